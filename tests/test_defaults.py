"""A field means what it does in PyTorch, also where nobody writes it: its default is that of `torch.nn`."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from cnnprof.language import manual, registry
from cnnprof.language.source import parse
from cnnprof.language.spec import read
from cnnprof.language.unfold import unfold
from cnnprof.model.kind import REQUIRED, Kind

# Where ours differs, and why.
OTHERS = {
    ("softmax", "dim"): "without one PyTorch guesses, and warns",
    ("log_softmax", "dim"): "without one PyTorch guesses, and warns",
    ("pad", "value"): "PyTorch's None is 0",
}
NOT_OURS = {
    "input",
    "inplace",
    "device",
    "dtype",
    "return_indices",
    "min_value",
    "max_value",
    "recompute_scale_factor",
    "out",
    "args",
    "kwargs",
}
OURS = {"add", "sub", "mul", "div", "maximum", "minimum", "concat", "blur_pool2d", "center_crop", "opaque", "parameter"}
OURS |= {"abs", "amax", "amin", "clamp", "erf", "exp", "log", "mean", "neg", "pow", "reciprocal", "rsqrt", "sqrt"}
OURS |= {
    "expand",
    "matmul",
    "stack",
    "stochastic_depth",
    "vector_norm",
    "std",
    "scaled_dot_product_attention",
    "sum",
    "var",
}
OURS |= {"permute", "reshape", "scaled_dot_product_attention", "roll", "select", "slice", "squeeze", "unsqueeze"}
"""No torch.nn class or function with fields: merges, our own, and tensor methods."""


def signature(kind: type[Kind]) -> dict[str, Any]:
    """The parameters of the class of torch.nn that the kind makes, or else of the function of its name."""
    from torch.nn import functional

    page = manual.page(kind.word)
    graph = unfold(read(parse(f"cnnprof: 1\n{page.sections['Example']}", kind.word)))
    layer = next(layer for layer in graph.layers if type(layer.kind) is kind)
    made = type(layer.kind.module(*(graph.shapes()[number] for number in layer.inputs)))
    called = made if made.__module__.startswith("torch.nn") else getattr(functional, kind.word)
    return dict(inspect.signature(called).parameters)


@pytest.mark.torch
@pytest.mark.parametrize("word", [word for word in registry.kinds() if word not in OURS])
def test_defaults_are_those_of_torch(word: str) -> None:
    kind = registry.kinds()[word]
    theirs = signature(kind)
    assert set(kind.fields) <= set(theirs)
    for name, field in kind.fields.items():
        default = theirs[name].default
        if default is inspect.Parameter.empty:
            default = REQUIRED
        elif isinstance(field.default, tuple) and not isinstance(default, tuple):
            default = (default,) * len(field.default)
        assert (field.default == default) != ((word, name) in OTHERS), name
    follow = {"in_channels", "in_features", "num_features", "num_channels"}  # from the graph
    assert set(theirs) - set(kind.fields) <= NOT_OURS | follow
