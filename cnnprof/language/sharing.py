"""Weights that a step shares with an earlier one."""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingType

from cnnprof.language import source
from cnnprof.language.problems import Unknown
from cnnprof.language.scope import Scope
from cnnprof.language.source import Mapping, Scalar
from cnnprof.language.spec import Step
from cnnprof.language.values import Values
from cnnprof.model.builder import Builder
from cnnprof.model.kind import show


def share(builder: Builder, values: Values, step: Step, path: str, own: range, scope: Scope) -> None:
    """Lets a step's layers use the weights and buffers of an earlier one's, equal by relative path and shape.

    Whether weights are frozen is up to the layer that has them first.
    """
    assert step.share is not None
    problems = values.problems
    mark = step.share.mark
    try:
        ref = values.layer_named(step.share, scope)
    except Unknown:
        return
    if ref.tensor.shape is None or scope.tensor is None or scope.tensor.shape is None:
        return  # some of their layers are unknown
    problems.spend(len(ref.layers) + len(own), mark)
    theirs = _states(builder, ref.path, ref.layers)
    mine = _states(builder, path, own)
    if not theirs:
        problems.report(f"`{ref.name}` has no weights or buffers to share", mark)
        return
    for below in [*theirs.keys() - mine.keys(), *mine.keys() - theirs.keys()][:1]:
        has, lacks = (ref.path, path) if below in theirs else (path, ref.path)
        problems.report(
            f"`{path}` cannot share the weights of `{ref.path}`: there is a `{has}{below}` but no "
            f"`{lacks}{below}` with weights or buffers",
            mark,
            "" if step.repeat is None else _each_time(step, step.share, scope),
        )
        return
    for below, (number, state) in mine.items():
        source, expected = theirs[below]
        if state != expected:
            problems.report(
                f"`{path}{below}` cannot share the weights of `{ref.path}{below}`: {_difference(state, expected)}",
                mark,
            )
            return
        owner = builder.layers[source]
        first = source if owner.shares is None else owner.shares
        builder.layers[number] = builder.layers[number]._replace(shares=first, frozen=owner.frozen)


def _each_time(step: Step, of: Scalar, scope: Scope) -> str:
    """The hint for a repeated step that is to use one step's weights every time."""
    body, written = step.body, f"{step.word}: {{…}}"
    if body is None:
        written = f"{step.word}: "
    elif isinstance(body, Mapping):
        fields = [f"{name}: {source.written(node)}" for name, node in body.items.items()]
        names = {"index", *scope.body.layers, *scope.body.args}  # which the block does not see
        if not names & {*re.findall(r"\w+", " ".join(fields))} and "…" not in "".join(fields):
            written = f"{step.word}: {{{', '.join(fields)}}}"
    count = source.written(step.repeat) if step.repeat is not None else ""
    return (
        "it shares with a step that is repeated as often; to use one step's weights every time, repeat a block: "
        f"`again: {{args: {{of: required}}, layers: [{{{written}, share: of}}]}}` under `blocks`, and "
        f"`- again: {{of: {of.text}}}` with `repeat: {count}`"
    )


def _states(builder: Builder, path: str, layers: range) -> dict[str, tuple[int, dict[str, object]]]:
    """Of a step's layers that have weights or buffers: path below the step → (number, shapes by name)."""
    found = {}
    for number in layers:
        layer = builder.layers[number]
        answers = builder.answers[number]
        state: dict[str, object] = {**answers.weights, **answers.buffers}
        if state:
            found[layer.path.removeprefix(path)] = (number, state)
    return found


def _difference(mine: MappingType[str, object], theirs: MappingType[str, object]) -> str:
    """The first weight or buffer in which two layers differ, for a message."""
    for name in [*mine, *theirs]:
        if mine.get(name) != theirs.get(name):
            here, there = (f"{show(state[name])}" if name in state else "missing" for state in (mine, theirs))
            return f"`{name}` is {here} here and {there} there"
    return ""
