"""What the tests of rewrites share: one convolution in a network, rewritten."""

from __future__ import annotations

import cnnprof
from cnnprof.analysis.costs import Totals, count
from cnnprof.language import source
from cnnprof.language import unfold as expand
from cnnprof.language.spec import read
from cnnprof.model.graph import Graph
from cnnprof.rewrites.contract import Rewrite, rewrite
from cnnprof.rewrites.rebuild import Rewritten, Selection
from tests.support.networks import graph, network

ZOO = (
    "alexnet", "densenet", "efficientnet", "fcn", "googlenet", "inception_v3", "lenet5", "mobilenet_v1@full_conv",
    "mobilenet_v2", "mobilenet_v3", "r3d", "resnet", "shufflenet_v1", "shufflenet_v2", "squeezenet", "unet", "vgg",
)  # fmt: skip


def rewritten(rule: Rewrite, layers: str, input: str = "[3, 9, 9]", between: bool = True) -> Rewritten:
    return rewrite(graph(network(layers, input)), rule, Selection(), between)


def kinds(found: Graph) -> list[str]:
    """`path: kind and fields that differ from their defaults`, as a reader of the graph sees it."""
    report = cnnprof.analysis.report.tabulate(found, count(found))
    return [f"{row.path}: {row.kind} {row.config}".rstrip() for row in report.layers]


def parts(rule: Rewrite, conv: str, input: str = "[3, 9, 9]") -> list[str]:
    """The layers in the place of a single convolution, without the path that they share."""
    return [line.removeprefix("conv2d.") for line in kinds(rewritten(rule, f"- conv2d: {{{conv}}}", input).graph)]


def refusal(rule: Rewrite, conv: str, input: str = "[3, 9, 9]", kind: str = "conv2d") -> str:
    """Why a single convolution is left alone."""
    found = rewritten(rule, f"- {kind}: {{{conv}}}", input)
    assert found.changes == ()
    (skipped,) = found.skipped
    return skipped.reason


def totals(text: str) -> Totals:
    return count(expand.unfold(read(source.parse(text, "written.yaml")))).totals


def multiplications(graph: Graph) -> int:
    """MACs as PyTorch counts them, on a module of this graph that has no storage."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from cnnprof.runtime.build import module

    with torch.device("meta"):
        network = module(graph).eval()
        inputs = [torch.empty(1, *shape) for shape in graph.inputs.values()]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(*inputs)
    return counter.get_total_flops() // 2
