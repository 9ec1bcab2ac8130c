"""TensorFlow Lite files as graphs, and as the operators and tensors that a device runs.

The graph is the network's arithmetic in the language's order of dimensions: channels first, no batch. A value keeps its
place in a tensor of four dimensions but for that order; what reads them in a row (`reshape`, a matrix after it) has
its weights in the file's order, which changes no figure. Quantising and its inverse are identities there; their tensors
count in the deployed network. An operator without a kind becomes `opaque`, and a warning names it.
"""

from __future__ import annotations

from collections.abc import Sequence

from cnnprof.errors import RuleError, UsageError, brief, listing, printable
from cnnprof.importers.common import Imported, params_of
from cnnprof.importers.tflite import file
from cnnprof.importers.tflite.file import Contents
from cnnprof.importers.tflite.reader import Reader
from cnnprof.model.deployed import Deployed, Operator

__all__ = ["deployed", "load"]


def load(data: bytes, name: str) -> Imported:
    """The network in a TensorFlow Lite file; `name` stands for the file.

    Raises UsageError for a file that is damaged, or whose batch is folded into other dimensions.
    """
    contents = file.read(data, name)
    reader = Reader(contents, name)
    try:
        graph = reader.graph()
    except RuleError as error:
        shown = brief(printable(name), 200)
        raise UsageError(f"the TensorFlow Lite file `{shown}` holds what no network can: {error}") from None
    return Imported(
        graph,
        tuple(reader.opaque),
        reader.agreeing,
        params_of(graph),
        reader.notes,
        deployed=deployed(contents, reader.paths),
        file_bytes=contents.size,
        types=reader.types(),
    )


def deployed(contents: Contents, paths: Sequence[str]) -> Deployed:
    """The operators of a file as the device runs them. paths: of the layers, by operator."""
    notes = []
    control = sorted({each.word for each in contents.operators} & {"IF", "WHILE", "CALL_ONCE", "CALL"})
    if control or contents.subgraphs > 1:
        what = listing(control) if control else f"{contents.subgraphs:,} subgraphs"
        notes.append(f"the file has {what}, and only its first subgraph is planned")
    if contents.offline_plan:
        notes.append("the file brings a plan of its own, which the runtime follows instead of making one")
    variable = sum(tensor.variable for tensor in contents.tensors)
    if variable:
        notes.append(f"{variable:,} tensors keep their values between inferences and are not in the plan")
    tensors = list(contents.tensors)
    for operator, path in zip(contents.operators, paths, strict=True):  # a converter's names say what it fused
        for place, number in enumerate(operator.outputs):
            tensors[number] = tensors[number]._replace(name=f"{path}:{place}" if place else path)
    return Deployed(
        tuple(tensors),
        tuple(
            Operator(
                each.word,
                tuple(number for number in each.inputs if number >= 0),
                each.outputs,
                path,
                each.custom,
            )
            for each, path in zip(contents.operators, paths, strict=True)
        ),
        contents.inputs,
        contents.outputs,
        tuple(notes),
    )
