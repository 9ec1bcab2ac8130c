"""The figures of a network, or of a part of it, as sums over its layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cnnprof.analysis.explained import Sum, SumPage, SumPart
from cnnprof.analysis.report import estimates
from cnnprof.analysis.traced import TracedNetwork, flops_of
from cnnprof.errors import UsageError
from cnnprof.model import trace
from cnnprof.model.trace import term_of

SUMS: dict[str, tuple[Literal["count", "bytes"], str]] = {
    "params": ("count", "learnable values; shared ones count where they are first used"),
    "buffers": ("count", "values that are stored but not learned"),
    "macs": ("count", "multiply-accumulates of convolutions, linear layers and matrix products"),
    "flops": ("count", "2 per multiply-accumulate and 1 per other scalar operation"),
    "activation_bytes": ("bytes", "bytes of the tensors that the layers make; views and layers in place make none"),
    "peak_activation_bytes": ("bytes", "the tensors alive at the peak, including the input"),
    "torch_peak_activation_bytes": (
        "bytes",
        "the same, plus what PyTorch's operations allocate while they run, where that peaks",
    ),
    "inference_bytes": ("bytes", "parameters, buffers and PyTorch's peak"),
    "training_bytes": ("bytes", "what autograd keeps for the backward pass, parameters, gradients and optimizer state"),
}
OF_THE_WHOLE = ("peak_activation_bytes", "torch_peak_activation_bytes", "inference_bytes", "training_bytes")
"""Sums that only a network has."""


def sums(network: TracedNetwork, numbers: Sequence[int], path: str, only: Sequence[str]) -> SumPage:
    """The figures of some layers as sums. Raises UsageError for one that only the whole network has."""
    if path and (whole := [name for name in only if name in OF_THE_WHOLE]):
        raise UsageError(f"`{whole[0]}` is a metric of the whole network: omit `{path}`")
    graph, costs = network.graph, network.costs
    parts: dict[str, list[SumPart]] = {name: [] for name in SUMS}
    wanted = only or [name for name in SUMS if not path or name not in OF_THE_WHOLE]
    for number in numbers:
        layer, rules = graph.layers[number], network.rules(number)
        own = layer.shares is None
        work = network.work(number, rules)
        params = term_of(sum(network.values(rules).values())) if own else trace.value(0)
        buffers = sum(tensor.numel for tensor in rules.kind.buffers(*rules.inputs).values()) if own else 0
        found = {
            "params": params,
            "buffers": term_of(buffers),
            "macs": work.get("macs", trace.value(0)),
            "flops": flops_of(work) if work else trace.value(0),
            "activation_bytes": network.activation(number, rules) or trace.value(0),
        }
        for name, term in found.items():
            if term.value:
                parts[name].append(SumPart(layer.path, term, layer.kind.declared))
    parts["peak_activation_bytes"] = [SumPart(alive.name, trace.value(alive.bytes)) for alive in costs.peak.alive]
    held = costs.torch_peak
    parts["torch_peak_activation_bytes"] = [SumPart(alive.name, trace.value(alive.bytes)) for alive in held.alive]
    if held.scratch:
        parts["torch_peak_activation_bytes"].append(SumPart(f"scratch of {held.layer}", trace.value(held.scratch)))
    totals = costs.totals
    inference = {"parameters": totals.param_bytes, "buffers": totals.buffer_bytes, "peak": held.bytes}
    parts["inference_bytes"] = [SumPart(name, trace.value(amount)) for name, amount in inference.items() if amount]
    step = costs.training._asdict() if costs.training else {}
    parts["training_bytes"] = [SumPart(name, trace.value(amount)) for name, amount in step.items() if amount]
    meanings = dict(SUMS)
    meanings["peak_activation_bytes"] = ("bytes", f"the tensors alive after `{costs.peak.layer}`, at the peak")
    meanings["torch_peak_activation_bytes"] = (
        "bytes",
        f"the tensors alive while `{held.layer}` runs, plus what its operation allocates",
    )
    estimated = set(estimates(graph, costs.totals))
    if all(graph.layers[number].memory_exact for number in numbers):
        estimated.discard("activation_bytes")
    return SumPage(
        network=graph.title,
        path=path,
        layers=len(numbers),
        batch=costs.batch,
        dtype=costs.stored_dtype,
        sums=tuple(
            Sum(name, *meanings[name], tuple(parts[name]), name not in estimated)
            if name not in costs.refused
            else Sum(name, *meanings[name], (), refused=costs.refused[name])
            for name in wanted
        ),
        declared=sum(graph.layers[number].kind.declared for number in numbers),
    )
