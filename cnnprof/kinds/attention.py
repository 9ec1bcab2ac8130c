"""Scaled dot-product attention."""

from math import prod
from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError, listing
from cnnprof.model.kind import Channels, Code, Kind, Memory, Reach, Shape, Tensor, Work, show

if TYPE_CHECKING:
    from torch import nn


class ScaledDotProductAttention(Kind, word="scaled_dot_product_attention", merge=True):
    """softmax(query · keyᵀ · scale + mask) · value, of each head, `torch.nn.functional.scaled_dot_product_attention`.

    Shape:
        query (…, heads, n, d), key and value (…, heads, m, d) → (…, heads, n, d); a mask has the dimensions of
        the products (heads, n, m), or 1, and before the heads 1
    Fields:
        is_causal: whether a position sees none after it; the products with those count all the same, as they do in
            PyTorch's FlopCounterMode; not with a mask
        scale: factor of the products; null is 1 / √d
    FLOPs:
        2 · n · m · d multiply-accumulates per head; n · m multiplies (the scale); with a mask n · m adds; softmax of
        n rows of m values, as that of the kind `softmax`
    Memory:
        keeps its inputs, its output and one value for each row of each head for the backward pass; the products
        themselves are never stored, as on the CPU, and a mask of each example is not counted as repeated along
        dimensions before the heads. Where a gradient is asked of the mask, PyTorch computes by products
        that it stores: training keeps them after the softmax, the value, and scaled copies of query and key
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
        return Memory(keeps="attention", saved=(sums, *stored), scratch=(sums,))

    def code(self, *inputs: Shape) -> Code:
        usual = self.usual()
        fields = "".join(f", {name}={value!r}" for name in usual if (value := getattr(self, name)) != usual[name])
        fold = len(inputs[0]) > 3
        tensors = [f"{{{place}}}" + (".flatten(0, -4)" if fold else "") for place in range(3)]
        if inputs[3:]:
            tensors.append(f"{{3}}.view(-1, *{inputs[3][-3:]})")
        made = f"torch.nn.functional.{self.word}({', '.join(tensors)}{fields})"
        return Code(made + (f".unflatten(0, (-1, *{inputs[0][:-3]}))" if fold else ""))

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch
        from torch.nn import functional

        from cnnprof.runtime.call import Call, repeated

        rank, leading = len(inputs[0]) + 1, inputs[0][:-3]

        def attend(*tensors: torch.Tensor) -> torch.Tensor:
            # A fused implementation takes a batch, heads, rows and columns.
            query, key, value = (tensor.flatten(0, -4) for tensor in repeated(tensors[:3], rank))
            mask = None
            for mask in tensors[3:]:
                mask = mask.reshape(-1, *mask.shape[-3:])
                if len(mask) > 1:  # of each example, and of what is folded into the batch
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

    def fvcore(self, *inputs: Shape, training: bool) -> int | None:
        return 0

    def _check_mask(self, mask: Shape, products: Shape) -> None:
        """Raises ShapeError for a mask that does not go with products of a shape."""
        if self.is_causal:
            raise ShapeError(f"`{self.word}` takes `is_causal: true` or a mask, found both")
        allowed = (*(1 for _ in products[:-3]), *products[-3:])
        if len(mask) != len(allowed) or any(own not in (1, size) for own, size in zip(mask, allowed, strict=True)):
            raise ShapeError(
                f"the mask of `{self.word}` needs the dimensions {show(allowed)} of the products, or 1, "
                f"found {show(mask)}"
            )
