"""What comes of a network."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
import traceback
from collections import Counter
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

import torch
from onnx import load as load_onnx

from cnnprof.analysis.costs import count
from cnnprof.errors import UsageError
from cnnprof.importers import onnx
from cnnprof.importers.common import Imported, MismatchError
from cnnprof.importers.torch import Reference, archive, load
from cnnprof.importers.torch.reference import resolve
from tests.ecosystem.networks import Named
from tests.support.onnx_inference import counted_by_onnx


class Outcome(NamedTuple):
    """A network's result, one of RESULTS, and why; layers: how many it has; seconds: of the processor."""

    origin: str
    name: str
    family: str
    result: str
    reason: str = ""
    layers: int = 0
    seconds: float = 0.0


def tried(named: Named) -> Outcome:
    """What comes of a network of timm or torchvision."""
    begin = time.process_time()
    result, reason, layers = "wrong", "", 0
    try:
        reference = Reference(named.origin, named.name)  # type: ignore[arg-type]
        found = load(reference)
        reason = differences(found, reference)
        layers = len(found.graph.layers)
        if not reason:
            result = "opaque" if found.opaque else "exact"
            reason = ", ".join(
                f"{operator} {n}" for operator, n in Counter(each.operator for each in found.opaque).items()
            )
    except MismatchError as error:
        reason = str(error)
    except UsageError as error:
        result, reason = "refused", str(error)
    except Exception:  # noqa: BLE001
        reason = traceback.format_exc()
    return Outcome(*named, result, reason, layers, round(time.process_time() - begin, 1))


def differences(found: Imported, reference: Reference) -> str:
    """What is not as in the module; empty where all is."""
    totals = count(found.graph, 1).totals
    params = sum(each.numel() for each in resolve(reference).module.parameters())
    if totals.params != params:
        return f"{totals.params:,} parameters, and the module has {params:,}"
    if found.compared is None or found.compared.macs != totals.macs:
        return f"{totals.macs:,} multiply-accumulates, compared: {found.compared}"
    trained = found.graph.trained
    if trained is None or count(trained, 2).totals.params != params:
        return "other parameters in training"
    return ""


def archived(name: str) -> Outcome:
    """What comes of a network of torchvision that was saved by torch.export."""
    named = Named("torchvision", name, "torch.export archives of torchvision")
    begin = time.process_time()
    module = resolve(Reference("torchvision", name), meta=False)
    assert module.input is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.pt2"
        example = torch.zeros(2, *module.input)
        dynamic = ({0: torch.export.Dim("batch")},)
        torch.export.save(
            torch.export.export(module.module.eval(), (example,), dynamic_shapes=dynamic, strict=False), path
        )
        try:
            read, expected = archive.load(path), load(module.module, {"input": module.input})
        except MismatchError as error:
            return Outcome(*named, "wrong", str(error))
        except UsageError as error:
            return Outcome(*named, "refused", str(error))
    layers = shown(expected)  # behind them the archive has parameters of heads that only training runs
    same = shown(read)[: len(layers)] == layers
    result = "opaque" if read.opaque else "exact"
    return Outcome(
        *named, result if same else "wrong", "" if same else "it is not what its module is", len(read.graph.layers),
        round(time.process_time() - begin, 1),
    )  # fmt: skip


def exported(name: str, dynamo: bool) -> Outcome:
    """What comes of a network of torchvision that one of PyTorch's two exporters wrote as an ONNX file.

    Both fold batch norm, so that only multiply-accumulates and the shape of the output are the module's.
    """
    family = f"torch.onnx files of torchvision, {'dynamo' if dynamo else 'older exporter'}"
    named = Named("torchvision", name, family)
    begin = time.process_time()
    module = resolve(Reference("torchvision", name), meta=False)
    assert module.input is not None
    expected = load(module.module, {"input": module.input}).graph
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        example = (torch.zeros(1, *module.input),)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            torch.onnx.export(module.module.eval(), example, str(path), dynamo=dynamo, verbose=False)
        try:
            found = onnx.load(path)
        except UsageError as error:
            return Outcome(*named, "refused", str(error).replace(folder, ""))
    graphs = (found.graph, expected)
    same = len({(count(graph, 1).totals.macs, graph.shape(graph.outputs[0].tensor)) for graph in graphs}) == 1
    result = "opaque" if found.opaque else "exact"
    return Outcome(
        *named, result if same else "wrong", "" if same else "it is not what its module is", len(found.graph.layers),
        round(time.process_time() - begin, 1),
    )  # fmt: skip


def packaged(package: str, file: str, shape: tuple[int, ...]) -> Outcome:
    """What comes of an ONNX file in an installed package, beside the shapes that ONNX's own inference gives it."""
    named = Named("wheel", f"{package} {file.rpartition('/')[2]}", "ONNX files in wheels")
    begin = time.process_time()
    path = Path(str(distribution(package).locate_file(file)))
    model = load_onnx(path)
    (given,) = model.graph.input
    found = onnx.load(path, {given.name: shape})
    for dim, size in zip(given.type.tensor_type.shape.dim, (1, *shape), strict=True):
        dim.dim_value = size
    _, macs = counted_by_onnx(model)
    own = count(found.graph, 1).totals.macs
    result, reason = "opaque" if found.opaque else "exact", ""
    if own != macs:
        result, reason = "wrong", f"{own:,} multiply-accumulates, and {macs:,} by ONNX's shapes"
    seconds = round(time.process_time() - begin, 1)
    return Outcome(*named, result, reason, len(found.graph.layers), seconds)


def shown(found: Imported) -> list[tuple[Any, ...]]:
    """The layers that evaluation runs."""
    return [(layer.path, layer.kind, layer.shape) for layer in found.graph.layers if layer.executed]
