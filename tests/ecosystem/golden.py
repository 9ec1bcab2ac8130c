"""Measures torchvision's networks for tests/golden/torchvision.json.gz: `python -m tests.ecosystem.golden NAME…`.

NAME is that of a constructor, with arguments in brackets, `googlenet[aux_logits=False]`, and `@384` after it for images
of another size than 224. What was measured before is kept; fvcore has to be installed.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any

import torch
import torchvision
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

PATH = Path(__file__).parents[1] / "golden" / "torchvision.json.gz"


def constructed(name: str) -> nn.Module:
    """The network of a name, in evaluation and without values, which nothing here depends on."""
    found = re.fullmatch(r"(\w+)(?:\[(.*)\])?", name)
    assert found is not None, name
    arguments = dict(pair.split("=") for pair in found[2].split(",")) if found[2] else {}
    settings: dict[str, Any] = {key: value == "True" for key, value in arguments.items()}
    if hasattr(torchvision.models.segmentation, found[1]):
        settings["weights_backbone"] = None
    try:
        with torch.device("meta"):
            return torchvision.models.get_model(found[1], weights=None, **settings).eval()
    except NotImplementedError:  # RegNet computes its widths with tensors
        return torchvision.models.get_model(found[1], weights=None, **settings).eval().to("meta")


def macs(module: nn.Module, output: torch.Tensor) -> int:
    """Multiply-accumulates of a convolution or a linear layer; 0 of any other."""
    if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
        return output.numel() // output.shape[0] * module.weight[0].numel()
    return 0


def layers(network: nn.Module, image: torch.Tensor) -> list[list[Any]]:
    """The leaf modules in the order of execution: name, class, output shape, parameters, MACs."""
    rows: list[list[Any]] = []

    def watch(name: str, module: nn.Module) -> None:
        def record(_: nn.Module, __: Any, output: torch.Tensor) -> None:
            params = sum(parameter.numel() for parameter in module.parameters(recurse=False))
            rows.append([name, type(module).__name__, list(output.shape), params, macs(module, output)])

        module.register_forward_hook(record)

    for name, module in network.named_modules():
        if not any(module.children()):
            watch(name, module)
    with torch.no_grad():
        network(image)
    return rows


def measured(name: str, size: int) -> dict[str, Any]:
    """What a network gives for one image."""
    image = torch.zeros(1, 3, size, size, device="meta")
    rows = layers(constructed(name), image)
    counter = FlopCounterMode(display=False)
    network = constructed(name)
    with counter, torch.no_grad():
        network(image)
    traced = network.to_empty(device="cpu")  # the values are whatever is there: they count for nothing
    fvcore = FlopCountAnalysis(traced, torch.zeros(image.shape))
    fvcore.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return {
        "in_shape": list(image.shape),
        "params": sum(parameter.numel() for parameter in network.parameters()),
        "buffers": sum(buffer.numel() for buffer in network.buffers()),
        "macs": sum(row[-1] for row in rows),
        "fvcore_total": int(fvcore.total()),
        "flopcounter_flops": counter.get_total_flops(),
        "layers": rows,
    }


def main(names: list[str]) -> None:
    golden = json.loads(gzip.decompress(PATH.read_bytes()))
    for each in names:
        name, _, size = each.partition("@")
        golden["models"][name] = measured(name, int(size or 224))
    PATH.write_bytes(gzip.compress(json.dumps(golden, separators=(",", ":")).encode(), mtime=0))


if __name__ == "__main__":
    main(sys.argv[1:])
