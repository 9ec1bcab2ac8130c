"""Parameters and multiply-accumulates of an ONNX file by the shapes that ONNX's own inference gives."""

from __future__ import annotations

from math import prod
from typing import Any

from onnx import shape_inference

from cnnprof.model.kind import Shape


def counted_by_onnx(model: Any) -> tuple[int, int]:
    """(parameters, MACs) of a model whose weights are what they are; inputs have whole shapes."""
    whole = shape_inference.infer_shapes(model, data_prop=True)
    shapes = {each.name: tuple(each.dims) for each in model.graph.initializer}
    shapes |= {
        node.output[0]: tuple(each.t.dims) for node in model.graph.node for each in node.attribute
        if node.op_type == "Constant" and each.name == "value"
    }  # fmt: skip
    of_constants = {*shapes}
    shapes |= {
        each.name: tuple(dim.dim_value for dim in each.type.tensor_type.shape.dim)
        for each in [*whole.graph.value_info, *whole.graph.input, *whole.graph.output]
    }
    for node in model.graph.node:
        if all(name in of_constants for name in node.input):
            of_constants.update(node.output)
    params, macs = set(), 0
    for node in model.graph.node:
        own = [name for name in node.input if name in of_constants]
        if len(own) < len(node.input) and node.op_type in _WITH_WEIGHTS:
            # A single number is a factor, not a weight.
            params.update(name for name in own[:2] if node.op_type not in ("Mul", "Add") or prod(shapes[name]) > 1)
        if node.op_type in _PRODUCTS:
            macs += _macs(node.op_type, *(shapes[name] for name in (*node.input[:2], node.output[0])))
    return sum(prod(shapes[name]) for name in params), macs


_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_WITH_WEIGHTS = (*_PRODUCTS, "BatchNormalization", "Mul", "Add")


def _macs(operator: str, read: Shape, weight: Shape, made: Shape) -> int:
    if operator == "Conv":
        return prod(made) * prod(weight[1:])
    if operator == "ConvTranspose":
        return prod(read) * prod(weight[1:])
    return prod(made) * read[-1]
