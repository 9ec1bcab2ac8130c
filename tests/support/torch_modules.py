"""PyTorch modules to import, and what comes of them. Needs PyTorch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from cnnprof.errors import CnnprofError
from cnnprof.importers.torch import Imported, load
from cnnprof.language.registry import kinds
from cnnprof.runtime.build import module as built


class Calls(nn.Module):
    """Modules by name, and what to do with them."""

    def __init__(self, forward: Any, **parts: nn.Module | nn.Parameter | Any) -> None:
        super().__init__()
        self.called = forward
        for name, part in parts.items():
            if isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, input: Any) -> Any:
        return self.called(self, input)


def kind(word: str, **fields: Any) -> Any:
    return kinds()[word](**fields)


def imported(module: nn.Module, *shape: int) -> Imported:
    return load(module, {"input": shape or (4, 8, 6)})


def told(found: Imported) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(layer.path, layer.kind.word, layer.shape) for layer in found.graph.layers]


def of(forward: Any, *shape: int, **parts: Any) -> list[tuple[str, str, tuple[int, ...]]]:
    return told(imported(Calls(forward, **parts), *shape))


def refusal(module: Any, *shape: int, **inputs: tuple[int, ...]) -> str:
    with pytest.raises(CnnprofError) as caught:
        load(module, inputs or {"input": shape or (4, 8, 6)})
    return str(caught.value)


def same_values(module: nn.Module, *shape: int) -> None:
    """What the graph computes is what the module computes, with the same parameters under the same names."""
    found = imported(module, *shape)
    network = built(found.graph).eval()
    assert {name: tuple(each.shape) for name, each in network.named_parameters()} == {
        name: tuple(each.shape) for name, each in module.named_parameters()
    }
    network.load_state_dict(module.state_dict())
    example = torch.randn(2, *(shape or (4, 8, 6)))
    torch.testing.assert_close(network(example), module.eval()(example))
