"""Graph → Costs: what every layer has and does, as exact integers, and the totals.

Rules know neither the batch nor the type; both multiply here and in `memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

from cnnprof.analysis import memory, receptive_field
from cnnprof.analysis.memory import Peak, Scale, Training
from cnnprof.analysis.receptive_field import TensorField
from cnnprof.errors import Problem, ShapeError, SpecError, UsageError, brief, nearest
from cnnprof.model.answers import Answers
from cnnprof.model.arithmetic import total
from cnnprof.model.graph import Graph, Layer
from cnnprof.model.kind import Work
from cnnprof.model.types import AS_COMPUTED, Types

ITEM_SIZE = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
"""Bytes of one floating-point value."""
FLOPS_PER_MAC = 2
NO_WORK = Work()
MOST_EXAMPLES = 2**31 - 1
"""In a batch: the largest dimension that a tensor of a spec may have."""


class LayerCosts(NamedTuple):
    """The figures of one layer, at the batch and type of the whole. Counts are zero where a layer that
    is not executed does nothing; its parameters and buffers count all the same."""

    params: int
    buffers: int
    param_bytes: int
    buffer_bytes: int
    work: Work
    activation_bytes: int
    moved_bytes: int
    field: TensorField | None

    @property
    def flops(self) -> int:
        """2 per multiply-accumulate and 1 per other operation."""
        return price(self.work)


class Totals(NamedTuple):
    """The metrics of a network (`cnnprof.model.metrics` says what each means), and the work by sort.

    product_macs: of `macs` those between tensors that both depend on the input, as in attention; the others are those
    of convolution, linear and recurrent layers.
    """

    params: int
    inference_params: int
    buffers: int
    macs: int
    flops: int
    param_bytes: int
    activation_bytes: int
    depth: int
    receptive_field: int | None
    receptive_field_min: int | None
    receptive_field_exact: bool
    buffer_bytes: int
    input_bytes: int
    moved_bytes: int
    peak_activation_bytes: int
    torch_peak_activation_bytes: int | None
    inference_bytes: int | None
    training_bytes: int | None
    memory_exact: bool
    work: Work
    product_macs: int = 0

    @property
    def arithmetic_intensity(self) -> float | None:
        """FLOPs per byte of weights, inputs and outputs moved; None where nothing moves."""
        return self.flops / self.moved_bytes if self.moved_bytes else None


class Costs(NamedTuple):
    """The costs of a graph at a batch and a type, layer by layer and in total; where memory peaks, at layer
    boundaries and with what PyTorch's operations hold; and what a training step takes, or why PyTorch refuses it
    (`untrained`, empty where it does not). refusals: other metrics that there are none of, and why. types: of every
    tensor, by id, where they are not all `dtype`; storage: by which rules."""

    batch: int
    dtype: str
    layers: tuple[LayerCosts, ...]
    totals: Totals
    peak: Peak
    torch_peak: Peak
    training: Training | None
    untrained: str
    optimizer: str
    refusals: Mapping[str, str] = {}
    types: tuple[str, ...] = ()
    storage: Types = AS_COMPUTED

    @property
    def stored_dtype(self) -> str:
        """The type that activations are stored in, or several, the commonest first."""
        found = self.types or (self.dtype,)
        return " and ".join(sorted(set(found), key=lambda name: (-found.count(name), name)))

    @property
    def refused(self) -> Mapping[str, str]:
        """The metrics that there are none of, and why."""
        return {**({"training_bytes": self.untrained} if self.untrained else {}), **self.refusals}


class _Static(NamedTuple):
    """What layers of a kind have and do on given shapes, at a batch and a type."""

    params: int
    buffers: int
    buffer_bytes: int
    work: Work
    weighted: bool  # a convolution or linear layer: it has weights and multiplies by them
    written: int  # bytes of the output
    moved: int  # bytes of weights, inputs and output, as if every input had a batch
    products: int  # multiply-accumulates between tensors that both depend on the input


def price(work: Work) -> int:
    """FLOPs of work: 2 per multiply-accumulate, 1 per scalar operation of any sort."""
    return FLOPS_PER_MAC * work.macs + sum(work[1:])


def dtype_hint(dtype: str) -> str:
    """What is meant by a dtype that a network is not computed in."""
    if dtype in ("int8", "int16"):
        return f"`--with {dtype}` stores a network so"
    return nearest(dtype, ITEM_SIZE)


def scale_of(batch: int, dtype: str) -> Scale:
    """What sizes tensors at a batch and a type. Raises UsageError where either cannot be."""
    if dtype not in ITEM_SIZE:
        raise UsageError(f"unknown dtype `{dtype}`; {dtype_hint(dtype)}")
    given: object = batch  # from Python, anything
    if not isinstance(given, int) or isinstance(given, bool) or batch < 1:
        raise UsageError(f"a batch is a whole number of examples, at least 1, found {brief(repr(given))}")
    if batch > MOST_EXAMPLES:
        raise UsageError(f"a batch is at most {MOST_EXAMPLES:,} examples, found more")
    return Scale(batch, ITEM_SIZE[dtype])


def count(
    graph: Graph, batch: int = 1, dtype: str = "float32", optimizer: str = "sgd", master_weights: bool = False
) -> Costs:
    """The costs of a graph. optimizer, master_weights: of a training step, see `memory.training`.

    Raises UsageError for a batch, type or optimizer that cannot be, and SpecError where PyTorch refuses to run a layer
    at that batch.
    """
    scale = scale_of(batch, dtype)
    if problem := refusal(graph, batch):
        raise SpecError([problem])
    fields = receptive_field.follow(graph)
    statics = _statics(graph, scale)
    layers = _layers(graph, scale, statics, fields[len(graph.inputs) :])
    inputs = [prod(shape) * batch * scale.size for shape in graph.inputs.values()]
    peak, torch_peak = memory.peaks(graph, scale, sizes=[*inputs, *[each.activation_bytes for each in layers]])
    trained, problem = graph.trained or graph, refusal(graph.trained or graph, batch)
    step = None if problem else memory.training(trained, scale, optimizer, master_weights)
    params, buffers, param_bytes, buffer_bytes, works, activations, moved, _ = zip(*layers, strict=True)
    work = Work(*map(sum, zip(*works, strict=True)))
    last = next(output.tensor for output in graph.outputs if output.label == "out")
    seen = fields[last]
    idle = sum([costs.params for layer, costs in zip(graph.layers, layers, strict=True) if not layer.executed])
    totals = Totals(
        params=sum(params),
        inference_params=sum(params) - idle,
        buffers=sum(buffers),
        macs=work.macs,
        flops=price(work),
        param_bytes=sum(param_bytes),
        activation_bytes=sum(activations),
        depth=depth(graph, [static.weighted for static in statics]),
        receptive_field=None if seen is None else seen.largest,
        receptive_field_min=None if seen is None else seen.smallest,
        receptive_field_exact=seen is None or seen.exact,
        buffer_bytes=sum(buffer_bytes),
        input_bytes=sum(inputs),
        moved_bytes=sum(moved),
        peak_activation_bytes=peak.bytes,
        torch_peak_activation_bytes=torch_peak.bytes,
        inference_bytes=sum(param_bytes) + sum(buffer_bytes) + torch_peak.bytes,
        training_bytes=None if step is None else step.total,
        memory_exact=all(layer.memory_exact for layer in graph.layers),
        work=work,
        product_macs=sum([own.products for layer, own in zip(graph.layers, statics, strict=True) if layer.executed]),
    )
    untrained = problem.message if problem else ""
    return Costs(batch, dtype, tuple(layers), totals, peak, torch_peak, step, untrained, optimizer)


def _statics(graph: Graph, scale: Scale) -> list[_Static]:
    """What each layer has and does, found once for all of a kind on the same shapes."""
    memo: dict[tuple[Answers, bool], _Static] = {}
    statics = []
    for layer, answers in zip(graph.layers, graph.answers, strict=True):
        key = answers, layer.batched
        found = memo.get(key)
        if found is None:
            found = memo[key] = _static(answers, scale if layer.batched else scale.of_one, graph.training)
        statics.append(found)
    return statics


def _layers(
    graph: Graph, scale: Scale, statics: Sequence[_Static], fields: Sequence[TensorField | None]
) -> list[LayerCosts]:
    """The costs of every layer, whose output has these receptive fields."""
    batch, size = scale
    layers = []
    for layer, static, field in zip(graph.layers, statics, fields, strict=True):
        executed = layer.executed
        own = layer.shares is None  # shared weights count where they are first used
        moved = static.moved if executed and not layer.view else 0
        if moved and batch > 1 and layer.batched and layer.kind.broadcasts:
            moved -= (batch - 1) * size * _shared_read(graph, layer)
        layers.append(
            LayerCosts(
                static.params if own else 0,
                static.buffers if own else 0,
                static.params * size if own else 0,
                static.buffer_bytes if own else 0,
                static.work if executed else NO_WORK,
                static.written if layer.materialises else 0,
                moved,
                field,
            )
        )
    return layers


FIGURES = (
    "params", "inference_params", "buffers", "macs", "flops", "param_bytes", "activation_bytes",
    "peak_activation_bytes", "torch_peak_activation_bytes", "inference_bytes", "training_bytes", "depth",
)  # fmt: skip
"""The metrics that `figures` gives."""


def figures(graph: Graph, batch: int, dtype: str, names: Collection[str]) -> dict[str, int | None]:
    """Some of the metrics of a graph, no others computed: those of `count`. Sizes may be symbols, as in `lanes`.

    names: of `FIGURES`. dtype: of `ITEM_SIZE`. Raises SpecError where PyTorch refuses to run a layer at that batch.
    """
    if problem := refusal(graph, batch):
        raise SpecError([problem])
    scale = Scale(batch, ITEM_SIZE[dtype])
    layers = list(zip(graph.layers, graph.answers, strict=True))
    owned = [(layer, answers) for layer, answers in layers if layer.shares is None]

    def params() -> int:
        return total(answers.params for _, answers in owned)  # type: ignore[no-any-return]

    def done(amount: Callable[[Work], int]) -> int:
        each, once = (
            total(
                amount(own.work(graph.training)) for layer, own in layers if layer.executed and layer.batched == batched
            )
            for batched in (True, False)
        )
        return each * batch + once  # type: ignore[no-any-return]

    def inference_bytes() -> int:
        buffers = total(scale.bytes(each) for _, answers in owned for each in answers.buffers.values())
        return params() * scale.size + buffers + peaks()[1]  # type: ignore[no-any-return]

    def peaks() -> tuple[int, int]:
        if not peak:
            peak.append(memory.peak_bytes(graph, scale))
        return peak[0]

    def training_bytes() -> int | None:
        trained = graph.trained or graph
        return None if refusal(trained, batch) else memory.training(trained, scale).total

    peak: list[tuple[int, int]] = []
    rules: dict[str, Callable[[], Any]] = {
        "params": params,
        "inference_params": lambda: total(answers.params for layer, answers in owned if layer.executed),
        "buffers": lambda: total(each.numel for _, answers in owned for each in answers.buffers.values()),
        "macs": lambda: done(lambda work: work.macs),
        "flops": lambda: done(price),
        "param_bytes": lambda: params() * scale.size,
        "activation_bytes": lambda: total(memory.storage_bytes(graph, scale)[len(graph.inputs) :]),
        "peak_activation_bytes": lambda: peaks()[0],
        "torch_peak_activation_bytes": lambda: peaks()[1],
        "inference_bytes": inference_bytes,
        "training_bytes": training_bytes,
        "depth": lambda: depth(graph, [own.params > 0 and own.work(graph.training).macs > 0 for _, own in layers]),
    }
    return {name: rules[name]() for name in names}


def refusal(graph: Graph, batch: int) -> Problem | None:
    """What is wrong with the first layer that PyTorch refuses to run at a batch in the graph's mode, at the user's own
    step that leads to it; None where there is no such layer."""
    checked: set[tuple[Answers, bool]] = set()
    for layer, answers in zip(graph.layers, graph.answers, strict=True):
        if not layer.executed or (answers, layer.batched) in checked:
            continue
        try:
            least = answers.least_batch(graph.training)
            if least > 1:
                _check_batch(answers, least, layer.examples(batch), graph.training)
        except ShapeError as error:
            return Problem(f"{layer.path}: {error.message}", (*layer.calls, layer.mark)[0], error.hint)
        checked.add((answers, layer.batched))
    return None


def _check_batch(answers: Answers, least: int, batch: int, training: bool) -> None:
    if batch < least:
        kind = answers.kind
        raise ShapeError(
            f"`{kind.word}` needs a batch of at least {least}{' in training' if training else ''}, found {batch}",
            "PyTorch cannot compute statistics of a single value",
        )


def _shared_read(graph: Graph, layer: Layer) -> int:
    """Values that a layer reads of tensors without a batch, which all examples share."""
    return sum(prod(graph.shape(tensor)) for tensor in layer.inputs if not graph.batched(tensor))


def _static(answers: Answers, scale: Scale, training: bool) -> _Static:
    batch, size = scale
    buffers = answers.buffers.values()
    params = answers.params
    work = answers.work(training)
    written = prod(answers.output) * size * batch
    return _Static(
        params=params,
        buffers=sum([buffer.numel for buffer in buffers]) if buffers else 0,
        buffer_bytes=sum(map(scale.bytes, buffers)) if buffers else 0,
        work=work if batch == 1 else Work(*[amount * batch for amount in work]),
        weighted=params > 0 and work.macs > 0,
        written=written,
        moved=params * size + sum(map(prod, answers.inputs)) * batch * size + written,
        products=answers.kind.products(*answers.inputs) * batch,
    )


def depth(graph: Graph, weighted: Sequence[bool]) -> int:
    """Weighted layers (convolution and linear) on the longest path from an input to an executed output.

    `weighted` says of every layer whether it is one. The depth is the number in the name: 16 for VGG-16,
    50 for ResNet-50 (He et al. 2016, table 1).
    """
    longest = [0] * len(graph.inputs)
    for layer, own in zip(graph.layers, weighted, strict=True):
        before = layer.inputs
        longest.append(
            (longest[before[0]] if len(before) == 1 else max([longest[t] for t in before], default=0))
            + (own and layer.batched)
        )
    return max(longest[output.tensor] for output in graph.outputs if output.executed)
