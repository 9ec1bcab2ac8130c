"""Networks around one layer of a kind, with values that are not the default for each of its fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cnnprof.errors import RuleError
from cnnprof.language.registry import kinds
from cnnprof.model.builder import Builder
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind, Shape
from tests.support.random_networks import TABLE, Seeded

SHAPES = [(4,), (6, 8), (4, 6, 7), (8, 6, 6), (1, 4, 4), (4, 4, 4, 6), (2, 4, 3, 4, 6)]
BY_HAND: dict[str, list[dict[str, Any]]] = {
    "parameter": [
        {"shape": [4, 1, 1]},
        {"shape": [4, 1, 1], "stored": [9], "requires_grad": False},
        {"shape": [1, 1, 1], "stored": []},
    ],
    "buffer": [{"shape": [4, 1, 1]}, {"shape": [4, 1, 1], "stored": [3]}],
    "constant": [{"shape": [4, 1, 1]}],
    "std_conv2d": [{"out_channels": 4, "kernel_size": 3, "gamma": 1.7, "eps": 1e-3}],
    "folded_conv3d": [
        {"out_channels": 4, "kernel_size": 1, "stride": 2, "dilation": 2, "groups": 2},
        {"out_channels": 6, "kernel_size": 3, "padding": 1, "bias": False, "padding_mode": "reflect"},
    ],
    "opaque": [
        {"output_shape": [2, 3], "params": 5, "macs": 7, "flops": 2, "view": True, "saved": 3, "scratch": 4},
        {"output_shape": 4, "params": 0, "macs": 0, "keeps_input": False},
        {"output_shape": 4, "params": 0, "macs": 0, "keeps_output": True},
    ],
    "concat": [{}, {"dim": 2}, {"dim": -1}],
    "stack": [{}, {"dim": 2}, {"dim": -1}],
    "add": [{}, {"scalar": 0.5}],
    "mul": [{}, {"scalar": -3}],
    "sub": [{}, {"scalar": 1e-5}, {"scalar": 6, "scalar_first": True}],
    "div": [{}, {"scalar": 1e300}, {"scalar": 6, "scalar_first": True}],
    "maximum": [{}, {"scalar": 0}],
    "minimum": [{}, {"scalar": 6}],
    "hardtanh": [{"max_val": 6.0}],
    "matmul": [{}],
    "slice_scatter": [{"dim": -1}, {"dim": -1, "start": -99, "end": 99}, {"dim": 1, "step": 2}],
    "scaled_dot_product_attention": [{"is_causal": True, "scale": 0.5}],
    "rms_norm": [{"normalized_shape": 4, "eps": 1e-6}],
    "layer_norm": [{"normalized_shape": 4, "eps": 1e-6}],
}
"""Fields of kinds that no random network draws as a step of its own, and values that none draws."""


def made_of(kind: Kind, shape: Shape) -> Graph | None:
    """A network with a layer that reads what it can, twice where it merges; None where it takes no such shape."""
    builder = Builder()
    tensor = builder.input("input", shape)
    tensor = builder.add("stem.0", kinds()["relu"](), [tensor])
    count = 0 if kind.source else 2 if kind.several or (kind.merge and getattr(kind, "scalar", None) is None) else 1
    count = len(kind.roles) or count
    try:
        made = builder.add("stage.6.0", kind, [tensor, tensor - 1, tensor][:count])
    except RuleError:
        return None
    if kind.source:
        made = tensor
    builder.output("out", builder.add("stage.6.1", kinds()["relu"](), [made]))
    return builder.graph("net", same_in_training=True)


def examples(word: str) -> Iterator[Graph]:
    """Networks with the kind, its fields drawn at random where they can be."""
    choose = Seeded(("write", word))
    for number in range(240):
        shape = SHAPES[number % len(SHAPES)]
        drawn = [TABLE[word](choose, shape)] if word in TABLE else []
        for each in [*drawn, *BY_HAND.get(word, [])]:
            values = {
                name: {"in_channels": shape[0], "in_channels + 1": shape[0] + 1, "2 * in_channels": 2 * shape[0]}.get(
                    value, shape[-1]
                )
                if type(value).__name__ == "Expr"
                else value
                for name, value in each.items()
            }
            try:
                found = made_of(kinds()[word](**values), shape)
            except RuleError:
                continue
            if found is not None:
                yield found
