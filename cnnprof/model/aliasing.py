"""Which layers pass on their input's storage: views, and layers that run in place.

One rule for inference and training. A layer whose torch.nn class takes `inplace`, or an `add`,
overwrites an input that a layer made, that is no view, viewed or output, has the result's shape, has no
other reader ever, and whose last writer does not keep it for the backward pass (autograd would raise).

Of a tensor's layout three things are followed: whether its values lie in the order of its dimensions, side by
side, and one example next to the other. Behind a permutation PyTorch's operations keep the order they find or
not, each as it likes; what a layer that looks beyond a single position copies there is an estimate, and the layer
says so. So is what a few layers copy of examples that lie apart, as after a slice of channels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import copy
from itertools import chain
from typing import Literal, NamedTuple

from cnnprof.model.answers import Answers
from cnnprof.model.graph import Layer, Output, Refusal
from cnnprof.model.kind import Memory

_WRITTEN = Layer._fields.index("overwrites")
"""Fields of a layer before those that are decided here."""


class _State(NamedTuple):
    """What is known of a tensor.

    in_order: its values lie in the order of its dimensions. dense: and side by side. apart: but not those of one
    example and the next. settled: no permutation came before. barred: why no layer may overwrite it, as far as its
    making goes; empty where one may. shared: it has no batch, as a parameter or what is computed of some.
    """

    in_order: bool = True
    dense: bool = True
    apart: bool = False
    settled: bool = True
    barred: Literal["", "input", "view", "other view", "kept", "shape"] = ""
    shared: bool = False


class _Decision(NamedTuple):
    """What is decided of a layer, and what is then known of its output."""

    view: bool
    memory: Memory
    exact: bool
    state: _State


_INPUT = _State(barred="input")


def resolve(
    layers: Sequence[Layer], answers: Sequence[Answers], inputs: int, outputs: Sequence[Output], training: bool
) -> tuple[Layer, ...]:
    """The layers in evaluation or in training, with all decided that a layer does to its inputs' storage.

    answers: of each layer's rules. inputs: how many the network has; nobody overwrites them: the caller holds them.
    """
    mode = _Mode(layers, inputs, outputs)
    found = []
    for layer, own in zip(layers, answers, strict=True):
        place, refusals = mode.overwritten(layer, own)
        decision = mode.decision(layer, own, place)[training]
        mode.states.append(decision.state)
        found.append(_resolved(layer, place, decision, refusals))
    return tuple(found)


def resolve_both(
    layers: Sequence[Layer], answers: Sequence[Answers], inputs: int, outputs: Sequence[Output]
) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    """The layers in evaluation and in training, as `resolve` gives them: in one pass, since most are alike."""
    evaluation = _Mode(layers, inputs, outputs)
    training: _Mode | None = None  # for as long as both modes know the same of every tensor
    evaluated, trained = [], []
    for layer, own in zip(layers, answers, strict=True):
        place, refusals = evaluation.overwritten(layer, own)
        decision, other = evaluation.decision(layer, own, place)
        resolved = _resolved(layer, place, decision, refusals)
        evaluated.append(resolved)
        if training is not None:
            place, refusals = training.overwritten(layer, own)
            other = training.decision(layer, own, place)[1]
        elif other.state != decision.state:
            training = evaluation.copy()
        same = training is None and other == decision
        trained.append(resolved if same else _resolved(layer, place, other, refusals))
        evaluation.states.append(decision.state)
        if training is not None:
            training.states.append(other.state)
    return tuple(evaluated), tuple(trained)


def _resolved(layer: Layer, overwrites: int | None, decision: _Decision, refusals: tuple[Refusal, ...]) -> Layer:
    view, memory, exact, _ = decision
    known = not (layer.frozen and layer.kind.keeps_frozen == "unknown")
    return Layer._make((*layer[:_WRITTEN], overwrites, view, memory, exact and known, refusals))


class _Mode:
    """Evaluation or training: what is known of each tensor so far, by id, and what was decided of equal layers."""

    def __init__(self, layers: Sequence[Layer], inputs: int, outputs: Sequence[Output]) -> None:
        self.readers = Counter(chain.from_iterable([layer.inputs for layer in layers]))
        self.handed_out = {output.tensor for output in outputs}
        self.states = [_INPUT] * inputs
        self.memo: dict[tuple[Answers, bool, _State, bool, bool, bool], tuple[_Decision, _Decision]] = {}

    def copy(self) -> _Mode:
        """The other mode, from where it knows something else."""
        other = copy(self)
        other.states = [*self.states]
        return other

    def overwritten(self, layer: Layer, own: Answers) -> tuple[int | None, tuple[Refusal, ...]]:
        """The position of the input that a layer overwrites, and, where it could and does not, why each is barred."""
        if not layer.inputs:
            return None, ()
        source = self.states[layer.inputs[0]]
        if own.memory(True, source.in_order and source.dense).in_place is None:
            return None, ()
        refusals: list[Refusal] = []
        for position, tensor in enumerate(layer.inputs):
            same = own.inputs[position] == layer.shape and self.states[tensor].shared != layer.batched
            refusal = self.refusal(tensor, same) if layer.in_place else "off"
            if refusal is None:
                return position, ()
            refusals.append(refusal)
        return None, tuple(refusals)

    def refusal(self, tensor: int, same_shape: bool) -> Refusal | None:
        """Why a layer that reads a tensor may not overwrite it; None where it may."""
        barred = self.states[tensor].barred
        if barred == "input":
            return barred
        if self.readers[tensor] > 1:
            return "read"
        if not same_shape:
            return "shape"
        if tensor in self.handed_out:
            return "output"
        return barred or None

    def decision(self, layer: Layer, own: Answers, overwrites: int | None) -> tuple[_Decision, _Decision]:
        """What else is decided of a layer, in evaluation and in training, by what this mode knows of its inputs."""
        before = [self.states[tensor] for tensor in layer.inputs]
        source = before[0] if before else _State()
        ordered = source.settled if len(before) == 1 else all(state.settled for state in before)
        contiguous = source.in_order and source.dense
        in_evaluation = own.memory(False, contiguous)
        once, alone = in_evaluation.once, in_evaluation.own
        known = not once or (layer.batched and all(before[position].shared for position in once))
        known &= not (layer.batched and any(before[position].shared for position in alone))
        key = (own, overwrites is not None, source, ordered, known, layer.batched)
        found = self.memo.get(key)
        if found is None:
            memories = in_evaluation, own.memory(True, contiguous)
            evaluated = _decided(*key, memories, False)
            same = memories[0] == memories[1]
            found = self.memo[key] = (evaluated, evaluated if same else _decided(*key, memories, True))
        return found


def _decided(
    own: Answers,
    overwrites: bool,
    source: _State,
    ordered: bool,
    known: bool,
    batched: bool,
    memories: tuple[Memory, Memory],
    training: bool,
) -> _Decision:
    """What is decided of a layer in a mode. ordered: no permutation came before any of its inputs. known: those that
    `Memory.once` names have no batch, and its output has one; those that `Memory.own` names have one where it has.
    memories: in evaluation and in training, of such a source."""
    contiguous = source.in_order and source.dense
    at_evaluation, at_training = memories
    view = False
    barred: Literal["", "view", "other view", "kept", "shape"] = ""
    if overwrites:
        barred = "kept" if at_training.in_place == "output" else ""
    else:
        view = at_training.view if training else at_evaluation.view
        if view:
            barred = "view"
        # An identity, or a dropout that evaluation passes through, counts as a view in training too; so does what
        # would be one of an input in order, since PyTorch finds a view more often than is followed here.
        elif at_evaluation.view or at_training.view or (not contiguous and _views_in_order(own)):
            barred = "other view"
        elif at_training.keeps in ("output", "inputs and output"):
            barred = "kept"
    in_order, dense, settled, exact = at_evaluation.contiguous, True, True, True
    if view:
        dense = source.dense and at_evaluation.dense
    elif not source.dense:  # what writes closes gaps and keeps the order that was there
        in_order = own.memory(False, source.in_order).contiguous
    if contiguous and ordered:
        settled = not view or at_evaluation.contiguous
    else:
        settled = not view and ordered
        # What computes every position from itself takes any order; what looks further may copy first.
        alike = all(own.memory(mode, True) == own.memory(mode, False) for mode in (False, True))
        exact = alike and (view or not own.reach)
    memory = at_training if training else at_evaluation
    apart = view and batched and (source.apart or memory.apart)
    if not known and memory.exact:
        memory = memory._replace(estimate=memory.repeated)
    exact = exact and memory.exact and not (source.apart and memory.gathers)
    if overwrites and own.kind.merge:
        memory = memory._replace(scratch=())  # every term is added into place: no sum in between
    return _Decision(view, memory, exact, _State(in_order, dense, apart, settled, barred, not batched))


def _views_in_order(own: Answers) -> bool:
    """Whether a layer is a view, in either mode, of an input whose values lie in order."""
    return own.memory(False, True).view or own.memory(True, True).view
