"""Where cnnprof and PyTorch may differ, and why."""

from __future__ import annotations

import re
from collections.abc import Callable

from cnnprof.model.kind import Shape
from tests.support.random_networks.tree import Refusal

# Where PyTorch refuses what cnnprof accepts, by its message, and why.
PARDONED_ACCEPTANCES = {
    "view size is not compatible with input tensor": "local_response_norm of a permuted volume: PyTorch asks for a "
    "layout, and a shape rule does not know it",
}


# How PyTorch words what `least_batch` refuses.
REFUSED_ALIKE = (
    "Expected more than 1 value per channel when training",
    "Expected more than 1 spatial element when training",
    "eps must be positive during training",
)


def wide(refusal: Refusal) -> bool:
    """Whether the input has an axis less than the kind takes, so that with its batch it has as many dimensions."""
    kind, (shape, *_) = refusal.kind, refusal.shapes
    return "needs an input of" in refusal.message and len(shape) == (kind.axes or 1)


def differing_widths(key: Shape, value: Shape) -> bool:
    """Whether a key and a value differ in their last dimension alone."""
    return key[:-1] == value[:-1] and key[-1] != value[-1]


# Where cnnprof refuses and PyTorch does not, and why.
PARDONED: dict[str, Callable[[Refusal], bool]] = {
    "a spec does not mix examples": lambda refusal: bool(
        re.search("the batch, which stays|must not reach the batch|must begin with 0, the batch", refusal.message)
    ),
    "PyTorch takes the batch for the channels of one example": wide,
    "PyTorch warns, and drops single values": lambda refusal: (
        refusal.kind.word in ("dropout1d", "dropout2d", "dropout3d") and "needs an input of" in refusal.message
    ),
    "PyTorch aligns right, and mixes the batch with another dimension": lambda refusal: (
        "inputs with equally many dimensions" in refusal.message
    ),
    "PyTorch takes the batch for a dimension of a matrix, or repeats it": lambda refusal: (
        refusal.kind.word == "matmul" and {*map(len, refusal.shapes)} not in ({2}, {3}, {4}, {5})
    ),
    "PyTorch forbids both, and its fused implementation on the CPU takes them": (
        lambda refusal: "takes `is_causal: true` or a mask, found both" in refusal.message
    ),
    "PyTorch attends to values of another width by products that it stores, which `matmul` and `softmax` say": (
        lambda refusal: refusal.kind.word == "scaled_dot_product_attention" and differing_widths(*refusal.shapes[1:3])
    ),
    "PyTorch crops where an uneven border is added by hand; that is what `pad` is for": lambda refusal: (
        re.search("`padding` of `conv.d` must be at least 0", refusal.message) is not None
    ),
    "PyTorch leaves a number for each example": lambda refusal: "leave at least one dimension" in refusal.message,
    "PyTorch wraps around unset memory": lambda refusal: "than cropping leaves" in refusal.message,
    "PyTorch's backward pass writes beside the tensor": lambda refusal: "steps over an axis" in refusal.message,
    "PyTorch takes further dimensions before the channels, or none of a mean of all": lambda refusal: (
        refusal.kind.word.startswith(("pixel_", "adaptive_avg_pool"))
        and "needs an input of" in refusal.message
        and len(refusal.shapes[0]) != (refusal.kind.axes or 0) + 1
    ),
    "PyTorch takes the batch for one part more": lambda refusal: (
        refusal.kind.word.startswith("folded_") and "needs an input of" in refusal.message
    ),
    "PyTorch has no class for it, the module is ours": lambda refusal: refusal.kind.word == "center_crop",
}
