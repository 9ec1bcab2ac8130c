"""Scaled dot-product attention, alone and with its projections."""

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError, listing
from cnnprof.model.arithmetic import most
from cnnprof.model.kind import Channels, Code, Keeps, Kind, Memory, Reach, Shape, Tensor, Work, show

if TYPE_CHECKING:
    import torch
    from torch import nn


class ScaledDotProductAttention(Kind, word="scaled_dot_product_attention", merge=True):
    """softmax(query · keyᵀ · scale + mask) · value, of each head, `torch.nn.functional.scaled_dot_product_attention`.

    Shape:
        query (…, heads, n, d), key and value (…, heads, m, d) → (…, heads, n, d); a mask has the dimensions of
        the products (…, heads, n, m), or 1
    Fields:
        is_causal: whether a position sees none after it; the products with those count all the same, as they do in
            PyTorch's FlopCounterMode; not with a mask
        scale: factor of the products; null is 1 / √d
    FLOPs:
        2 · n · m · d multiply-accumulates per head; n · m multiplies (the scale); with a mask n · m adds; softmax of
        n rows of m values, as that of the kind `softmax`
    Memory:
        keeps its inputs, its output and one value for each row of each head for the backward pass; the products
        themselves are never stored, as on the CPU. Where a gradient is asked of the mask, PyTorch computes by products
        that it stores: training keeps them after the softmax, the value, and scaled copies of query and key. Where
        there are dimensions before the heads, a mask that differs along them is repeated for every example: a copy. A
        mask of each example is repeated along them: an estimate, which leaves that out
    Reach:
        unknown along a spatial axis
    Example:
        input: [3, 49, 32]
        layers:
          - scaled_dot_product_attention:    # [3, 49, 32]
              query: []
              key: [{gelu: {}}]    # [3, 49, 32]
              value: []
              mask: [{parameter: {shape: [3, 49, 49], stored: [169, 3]}}]    # [3, 49, 49]
    """

    is_causal: bool = False
    scale: float | None = None

    roles = ("query", "key", "value")
    further_roles = ("mask",)
    broadcasts = True

    def output(self, *inputs: Shape) -> Shape:
        query, key, value = inputs[:3]
        alike = len(query) >= 3 and key == value and (query[:-2], query[-1]) == (key[:-2], key[-1])
        if not alike:
            raise ShapeError(
                f"`{self.word}` needs a query [heads, n, d], and a key and a value [heads, m, d], "
                f"found {listing([show(shape) for shape in inputs[:3]])}",
                "`matmul` and `softmax` say what PyTorch computes of other shapes",
            )
        for mask in inputs[3:]:
            self._check_mask(mask, (*query[:-1], key[-2]))
        return query

    def reach(self, *inputs: Shape) -> Reach:
        return None

    def work(self, *inputs: Shape, training: bool) -> Work:
        rows = prod(self.output(*inputs)[:-1])
        width, columns = inputs[1][-1], inputs[1][-2]
        products = rows * columns
        return Work(
            macs=2 * products * width,
            multiplies=products,
            compares=products - rows,
            adds=products + products - rows + (products if inputs[3:] else 0),
            exponentials=products,
            divides=products,
        )

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        query, key = inputs[:2]
        sums = Tensor(query[:-1])
        if not inputs[3:]:
            return Memory(keeps="inputs and output", saved=(sums,), scratch=(sums,))
        stored = Tensor((*query[:-1], key[-2])), Tensor(query), Tensor(key)
        copies = self._copies(inputs[3], query)
        once, repeated = ((3,), "{} repeats the mask of each example") if len(query) > 3 else ((), "")
        return Memory(
            keeps="inputs and output", saved=(sums, *stored, *copies), scratch=(sums, *copies), once=once,
            repeated=repeated,
        )  # fmt: skip

    def code(self, *inputs: Shape) -> Code:
        usual = self.usual()
        fields = "".join(f", {name}={value!r}" for name in usual if (value := getattr(self, name)) != usual[name])
        fold = len(inputs[0]) > 3
        tensors = [f"{{{place}}}" + (".flatten(0, -4)" if fold else "") for place in range(3)]
        if inputs[3:] and self._copies(inputs[3], inputs[0]):
            shape = f"len({{0}}), {', '.join(map(str, inputs[0][:-3]))}, -1, -1, -1"
            tensors.append(f"{{3}}.view(-1, *{inputs[3]}).expand({shape}).flatten(0, -4)")
        elif inputs[3:]:
            tensors.append(f"{{3}}.view(-1, *{inputs[3][-3:]})")
        made = f"torch.nn.functional.{self.word}({', '.join(tensors)}{fields})"
        return Code(made + (f".unflatten(0, (-1, *{inputs[0][:-3]}))" if fold else ""))

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch
        from torch.nn import functional

        from cnnprof.runtime.call import Call, repeated

        leading = inputs[0][:-3]
        copied = bool(inputs[3:]) and self._copies(inputs[3], inputs[0])

        def attend(*tensors: torch.Tensor) -> torch.Tensor:
            # A fused implementation takes a batch, heads, rows and columns.
            query, key, value = (tensor.flatten(0, -4) for tensor in repeated(tensors[:3], inputs[:3]))
            mask = None
            for mask in tensors[3:]:
                if copied:
                    mask = _for_every_example(mask.reshape(-1, *inputs[3]), len(query) // prod(leading), leading)
                mask = mask.reshape(-1, *inputs[3][-3:])
                if leading and not copied and len(mask) > 1:  # of each example
                    mask = mask.repeat_interleave(prod(leading), 0)
                if not torch.is_grad_enabled():  # then none is asked of a parameter either
                    mask = mask.detach()
            made = functional.scaled_dot_product_attention(
                query, key, value, mask, is_causal=self.is_causal, scale=self.scale
            )
            return made.reshape(-1, *inputs[0]) if leading else made

        return Call(attend, label=f"{self.word} is_causal={show(self.is_causal)}, scale={show(self.scale)}")

    def channels(self, *inputs: Shape) -> Channels:
        return "meet"

    def kept(self, asked: Sequence[bool], *inputs: Shape) -> Keeps | None:
        if not inputs[3:]:
            return None
        if not asked[3]:
            copied = self._copies(inputs[3], inputs[0])
            return Keeps((0, 1, 2) if copied else (0, 1, 2, 3), output=True, saved=(0, 4) if copied else (0,))
        # By products: of query and key, what each is scaled to where a gradient is asked of the other.
        scaled = [place for place, partner in ((2, 1), (3, 0)) if asked[partner]]
        return Keeps((2,), saved=(1, *scaled))

    def products(self, *inputs: Shape) -> int:
        return self.work(*inputs, training=False).macs

    def fvcore(self, *inputs: Shape, training: bool) -> int | None:
        return 0

    def _check_mask(self, mask: Shape, products: Shape) -> None:
        """Raises ShapeError for a mask that does not go with products of a shape."""
        if self.is_causal:
            raise ShapeError(f"`{self.word}` takes `is_causal: true` or a mask, found both")
        if len(mask) != len(products) or any(own not in (1, size) for own, size in zip(mask, products, strict=True)):
            raise ShapeError(
                f"the mask of `{self.word}` needs the dimensions {show(products)} of the products, or 1, "
                f"found {show(mask)}"
            )

    def _copies(self, mask: Shape, query: Shape) -> tuple[Tensor, ...]:
        """What a mask is copied to that differs along dimensions before the heads."""
        return (Tensor((*query[:-3], *mask[-3:])),) if any(size > 1 for size in mask[:-3]) else ()


def _for_every_example(mask: "torch.Tensor", examples: int, leading: Shape) -> "torch.Tensor":
    """A copy of a mask for each of so many examples, whole along the dimensions before the heads."""
    whole = (size // own for size, own in zip(leading, mask.shape[1:-3], strict=True))
    return mask.repeat(examples // len(mask), *whole, 1, 1, 1)


class MultiHeadAttention(Kind, word="multi_head_attention"):
    """Attention between learned projections of its inputs, `torch.nn.MultiheadAttention`.

    With one input it attends to itself; `from: [query, memory]` and `from: [query, key, value]` list several.

    Shape:
        query (…, n, embed_dim), key (…, m, kdim) and value (…, m, vdim) → (…, n, embed_dim); the dimensions in
        front, as windows or the pixels of a patch, are the same in all and attend each by itself
    Fields:
        num_heads: heads that embed_dim is divided into
        bias: whether the projections have a bias
    Weights:
        in_proj_weight (3 · embed_dim, embed_dim), or where kdim or vdim is another q_proj_weight (embed_dim,
        embed_dim), k_proj_weight (embed_dim, kdim) and v_proj_weight (embed_dim, vdim); in_proj_bias (3 · embed_dim);
        out_proj.weight (embed_dim, embed_dim); out_proj.bias (embed_dim)
    FLOPs:
        embed_dim · (2 · n · embed_dim + m · kdim + m · vdim) multiply-accumulates for the projections, bias 1 add per
        value; between them as of `scaled_dot_product_attention`; all that for each position in front
    Memory:
        for the backward pass keeps copies of its inputs with the positions first (of a batch of one with nothing in
        front the inputs themselves), the projections, one value for each row of each head, and what the last projection
        reads; without the fused implementation of `torch.nn`, which runs at inference alone
    Reach:
        unknown along a spatial axis
    Example:
        input: [197, 768]
        layers:
          - multi_head_attention: {num_heads: 12}    # [197, 768]
    """

    num_heads: int
    bias: bool = True

    inferred = ("embed_dim",)
    several = True
    keeps_frozen = "unknown"

    def output(self, *inputs: Shape) -> Shape:
        self.at_least(1, "num_heads")
        rank, front = len(inputs[0]), inputs[0][:-2]
        if len(inputs) > 3 or rank < 2 or any(len(shape) != rank or shape[:-2] != front for shape in inputs):
            raise ShapeError(
                f"`{self.word}` needs a query [n, embed_dim], and if others a key [m, kdim] and a value [m, vdim], "
                f"all with the same dimensions in front, found {listing([show(shape) for shape in inputs])}",
                "`flatten` and `permute` make positions of an image",
            )
        query, key, value = self._three(inputs)
        if key[-2] != value[-2]:
            raise ShapeError(
                f"`{self.word}` needs a key and a value of equally many positions, found {show(key)} and {show(value)}"
            )
        if query[-1] % self.num_heads:
            raise ShapeError(
                f"`num_heads` of `{self.word}` must divide the last dimension, "
                f"found num_heads {self.num_heads} and {query[-1]}"
            )
        return query

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        width, key, value = self._widths(inputs)
        named: dict[str, Shape] = {"in_proj_weight": (3 * width, width)}
        if (key, value) != (width, width):
            named = {
                "q_proj_weight": (width, width), "k_proj_weight": (width, key), "v_proj_weight": (width, value),
            }  # fmt: skip
        if self.bias:
            named["in_proj_bias"] = (3 * width,)
        named["out_proj.weight"] = (width, width)
        return named | ({"out_proj.bias": (width,)} if self.bias else {})

    def reach(self, *inputs: Shape) -> Reach:
        return None

    def work(self, *inputs: Shape, training: bool) -> Work:
        width, key, value = self._widths(inputs)
        *front, rows, _ = inputs[0]
        columns, heads = self._three(inputs)[1][-2], (*front, self.num_heads)
        read = (*heads, columns, width // self.num_heads)
        own = ScaledDotProductAttention().work((*heads, rows, width // self.num_heads), read, read, training=training)
        projected = prod(front) * width * (2 * rows * width + columns * (key + value))
        biases = prod(front) * 2 * (rows + columns) * width if self.bias else 0
        return own._replace(macs=own.macs + projected, adds=own.adds + biases)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        query, key, value = self._three(inputs)
        attended = Tensor(query)
        sums = Tensor((*query[:-2], self.num_heads, query[-2]))
        projected = Tensor((*key[:-1], query[-1]))
        packed = key[-1] == value[-1] == query[-1]
        copied = tuple(range(len(inputs)))
        if len(inputs) == 1:
            made: tuple[Tensor, ...] = (Tensor((3, *query)),)
            scratch = Tensor((5, *query))
        elif len(inputs) == 2 and packed:
            made = attended, Tensor((2, *projected.shape))
            scratch = Tensor((most(4 * projected.numel, 2 * projected.numel + attended.numel + sums.numel),))
        else:
            made = attended, projected, projected
            # One projection after the other, each next to its input in another order, or to itself without its bias.
            last, first = (
                most(projected.numel + prod(shape), 2 * projected.numel if self.bias else 0) for shape in (value, key)
            )
            attending = 2 * projected.numel + attended.numel + sums.numel
            scratch = Tensor((most(projected.numel + last, first, attending),))
            copied = 0, min(1, len(inputs) - 1), len(inputs) - 1
        kept = (*made, sums, attended)
        estimate = "{} may copy a single position, or not" if query[-2] == 1 else ""
        if contiguous:
            copies = tuple([Tensor(inputs[position]) for position in copied])
            moved = copied if prod(query[:-2]) == 1 else ()  # in a batch of one that is no copy
            made_of = Memory(saved=copies + kept, copied=moved)
        else:
            made_of = Memory(keeps="inputs", saved=kept)
        return made_of._replace(scratch=(scratch,), contiguous=False, gathers=True, estimate=estimate)

    def code(self, *inputs: Shape) -> Code:
        width, key, value = self._widths(inputs)
        values = {"embed_dim": width, "num_heads": self.num_heads, "bias": self.bias, "kdim": key, "vdim": value}
        usual = {"bias": True, "kdim": width, "vdim": width}
        return Code("MultiHeadAttention", values, usual, unnamed=2, definition=_MULTI_HEAD_ATTENTION)

    def module(self, *inputs: Shape) -> "nn.Module":
        from cnnprof.runtime.call import AttendingHeads

        width, key, value = self._widths(inputs)
        return AttendingHeads(width, self.num_heads, bias=self.bias, kdim=key, vdim=value)

    def channels(self, *inputs: Shape) -> Channels:
        return "fixed"

    def products(self, *inputs: Shape) -> int:
        return 2 * prod(inputs[0]) * self._three(inputs)[1][-2]

    def fvcore(self, *inputs: Shape, training: bool) -> int | None:
        return self.work(*inputs, training=training).macs - self.products(*inputs)

    def _three(self, inputs: tuple[Shape, ...]) -> tuple[Shape, Shape, Shape]:
        """Query, key and value: what is left out is what comes before it."""
        return inputs[0], inputs[1 if len(inputs) > 1 else 0], inputs[-1]

    def _widths(self, inputs: tuple[Shape, ...]) -> tuple[int, int, int]:
        """The last dimension of query, key and value: embed_dim, kdim and vdim."""
        query, key, value = self._three(inputs)
        return query[-1], key[-1], value[-1]


_MULTI_HEAD_ATTENTION = """\
class MultiHeadAttention(nn.MultiheadAttention):
    def __init__(self, embed_dim, num_heads, **options):
        super().__init__(embed_dim, num_heads, batch_first=True, **options)

    def forward(self, query, key=None, value=None):
        key = query if key is None else key
        value = key if value is None else value
        folded = [each.flatten(0, -3) for each in (query, key, value)]
        return super().forward(*folded, need_weights=False)[0].view(*query.shape)
"""
