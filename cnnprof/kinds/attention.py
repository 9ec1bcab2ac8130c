"""Scaled dot-product attention."""

from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError, listing
from cnnprof.model.kind import Channels, Code, Kind, Memory, Reach, Shape, Tensor, Work, show

if TYPE_CHECKING:
    from torch import nn


class ScaledDotProductAttention(Kind, word="scaled_dot_product_attention", merge=True):
    """softmax(query · keyᵀ · scale) · value, of each head, `torch.nn.functional.scaled_dot_product_attention`.

    Shape:
        query (heads, n, d), key and value (heads, m, d) → (heads, n, d)
    Fields:
        is_causal: whether a position sees none after it; the products with those count all the same, as they do in
            PyTorch's FlopCounterMode
        scale: factor of the products; null is 1 / √d
    FLOPs:
        2 · n · m · d multiply-accumulates per head; n · m multiplies (the scale); softmax of n rows of m values, as
        that of the kind `softmax`
    Memory:
        keeps its inputs, its output and one value for each row of each head for the backward pass; the products
        themselves are never stored, as on the CPU
    Reach:
        unknown along a spatial axis
    Example:
        input: [3, 49, 32]
        layers:
          - scaled_dot_product_attention: {query: [], key: [{gelu: {}}], value: []}    # [3, 49, 32]
    """

    is_causal: bool = False
    scale: float | None = None

    roles = ("query", "key", "value")

    def output(self, *inputs: Shape) -> Shape:
        query, key, value = inputs
        if not (len(query) == len(key) == 3 and key == value and (query[0], query[2]) == (key[0], key[2])):
            raise ShapeError(
                f"`{self.word}` needs a query [heads, n, d], and a key and a value [heads, m, d], "
                f"found {listing([show(shape) for shape in inputs])}",
                "`matmul` and `softmax` say what PyTorch computes of other shapes",
            )
        return query

    def reach(self, *inputs: Shape) -> Reach:
        return None

    def work(self, *inputs: Shape, training: bool) -> Work:
        heads, rows, width = self.output(*inputs)
        columns = inputs[1][1]
        products = heads * rows * columns
        return Work(
            macs=2 * products * width,
            multiplies=products,
            compares=products - heads * rows,
            adds=products + products - heads * rows,
            exponentials=products,
            divides=products,
        )

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        sums = (Tensor(inputs[0][:2]),)
        return Memory(keeps="inputs and output", saved=sums, scratch=sums)

    def code(self, *inputs: Shape) -> Code:
        usual = self.usual()
        fields = "".join(f", {name}={value!r}" for name in usual if (value := getattr(self, name)) != usual[name])
        return Code(f"torch.nn.functional.{self.word}({{0}}, {{1}}, {{2}}{fields})")

    def module(self, *inputs: Shape) -> "nn.Module":
        from torch.nn import functional

        from cnnprof.runtime.call import Call

        function = functional.scaled_dot_product_attention
        return Call(
            lambda query, key, value: function(query, key, value, is_causal=self.is_causal, scale=self.scale),
            label=f"{self.word} is_causal={show(self.is_causal)}, scale={show(self.scale)}",
        )

    def channels(self, *inputs: Shape) -> Channels:
        return "meet"

    def fvcore(self, *inputs: Shape, training: bool) -> int | None:
        return 0
