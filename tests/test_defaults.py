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
    "add_bias_kv",
    "mode",
    "proj_size",
    "dropout",
    "add_zero_attn",
    "batch_first",
    "args",
    "kwargs",
}
OURS = {
    "abs", "add", "amax", "amin", "blur_pool2d", "buffer", "center_crop", "clamp", "concat", "constant", "div",
    "dynamic_conv2d", "erf", "exp", "expand", "log", "matmul", "maximum", "mean", "minimum", "mul", "neg", "opaque",
    "parameter", "permute", "pow", "reciprocal", "reshape", "roll", "rsqrt", "scaled_dot_product_attention", "select",
    "slice", "slice_scatter", "sqrt", "squeeze", "stack", "std", "std_conv2d", "stochastic_depth", "sub", "sum",
    "unsqueeze", "var", "vector_norm",
}  # fmt: skip
"""No torch.nn class or function with fields: merges, our own, and tensor methods."""


def signature(kind: type[Kind]) -> dict[str, Any]:
    """The parameters of the class of torch.nn that the kind makes, or else of the function of its name."""
    from torch import nn
    from torch.nn import functional

    page = manual.page(kind.word)
    graph = unfold(read(parse(f"cnnprof: 1\n{page.sections['Example']}", kind.word)))
    layer = next(layer for layer in graph.layers if type(layer.kind) is kind)
    made = type(layer.kind.module(*(graph.shapes()[number] for number in layer.inputs)))
    theirs = [each for each in made.__mro__[:-2] if each.__module__.startswith("torch.nn") and each is not nn.Module]
    # What takes anything hands it on to its base.
    telling = [each for each in theirs if set(inspect.signature(each).parameters) != {"args", "kwargs"}]
    called = (telling or theirs or [getattr(functional, kind.word, None)])[0]
    assert called is not None
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
    follow = {"in_channels", "in_features", "num_features", "num_channels", "embed_dim", "kdim", "vdim"}
    follow |= {"input_size"}
    assert set(theirs) - set(kind.fields) <= NOT_OURS | follow
