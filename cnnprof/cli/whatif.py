"""What `cnnprof rewrite` and `cnnprof separable` share: from words to a network before and after."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from cnnprof import load
from cnnprof.analysis.analyze import analyze
from cnnprof.analysis.compare import compare, subject
from cnnprof.analysis.quantize import Stored, read_types, store
from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.report import Report
from cnnprof.analysis.whatif import Stage, WhatIf, stage
from cnnprof.cli.arguments import read_inputs, read_settings
from cnnprof.cli.output import screen, show
from cnnprof.errors import UsageError, listing, nearest, printable
from cnnprof.files import save
from cnnprof.language.write import write
from cnnprof.model import paths
from cnnprof.render import whatif as drawn
from cnnprof.render.comparison import LONGEST_TITLE
from cnnprof.rewrites import REWRITES
from cnnprof.rewrites.contract import Rewrite, rewrite
from cnnprof.rewrites.prune import prune
from cnnprof.rewrites.rebuild import Selection

_SHARE = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}|[0-9]{1,9}/[0-9]{1,9}")
UNKNOWN_STORED = ("torch_peak_activation_bytes", "inference_bytes", "training_bytes")
"""What nobody can say of tensors in other types: PyTorch's operations hold what their kernels of that type need."""


class Setup(NamedTuple):
    """What a network is analyzed for; as the options of the command line."""

    inputs: Sequence[str]
    settings: Sequence[str]
    batch: int
    dtype: str


class Wish(NamedTuple):
    """What is to be done with it; as the options of the command line."""

    rewrites: Sequence[str] = ()
    only: Sequence[str] = ()
    except_: Sequence[str] = ()
    between: bool = True
    factor: int | None = None
    groups: int | None = None
    prune: str | None = None
    sparsity: str | None = None
    weights: Sequence[str] = ()
    activations: Sequence[str] = ()
    write: str | None = None


def what_if(spec: str, setup: Setup, wish: Wish) -> WhatIf:
    """The network before and after: rewritten in the order given, then pruned, then stored in fewer bits.

    Writes the spec of what came out where that is asked for. Raises SpecError and UsageError.
    """
    rules = read_rewrites(wish)
    if not (rules or wish.prune or wish.sparsity or wish.weights or wish.activations):
        raise UsageError(
            f"nothing to do: give --with NAME ({', '.join(REWRITES)}), --prune, --sparsity, --weights or --activations"
        )
    weights, activations = read_types("weights", wish.weights), read_types("activations", wish.activations)
    sparsity = None if wish.sparsity is None else read_share("sparsity", wish.sparsity)
    share = None if wish.prune is None else read_share("prune", wish.prune)
    selection = Selection(tuple(wish.only), tuple(wish.except_))
    network = load.network(spec, input=read_inputs(setup.inputs), args=read_settings(setup.settings))
    layers = [layer.path for layer in network.graph.layers]
    _matched("only", wish.only, layers)
    _matched("except", wish.except_, layers)
    for option, types in (("weights", weights), ("activations", activations)):
        _matched(
            option, [typed.pattern for typed in types if typed.pattern is not None], [*network.graph.inputs, *layers]
        )
    first = now = analyze(network, setup.batch, setup.dtype)
    stages: list[Stage] = []
    for rule in rules:
        rewritten = rewrite(now.graph, rule, selection, wish.between)
        then = analyze(network._replace(graph=rewritten.graph), setup.batch, setup.dtype)
        stages.append(stage(rule.name, now, then, rewritten, rule))
        now = then
    if share is not None:
        rewritten = prune(now.graph, share, selection)
        then = analyze(network._replace(graph=rewritten.graph), setup.batch, setup.dtype)
        stages.append(stage(f"{wish.prune} of the channels pruned", now, then, rewritten))
        now = then
    known: dict[str, Number | None] = {}
    notes: list[str] = []
    if weights or activations or sparsity is not None:
        stored = store(
            now.graph, setup.batch, setup.dtype,
            weights=weights, activations=activations, sparsity=sparsity or Fraction(0),
        )  # fmt: skip
        known, notes = _stored(stored, wish)
    title = _title(wish)
    if len(title) > LONGEST_TITLE:
        notes.insert(0, f"after: {title}")
        title = "after"
    before, after = subject(first, spec), subject(now, title, known)
    if wish.write is not None:
        _save(now, spec, setup, wish)
    return WhatIf(before, after, tuple(stages), compare([before, after]), tuple(notes))


def render(found: WhatIf, *, exact: bool, format: str, output: str | None) -> str:
    """The text of it in one format."""
    if format == "json":
        return drawn.to_json(found)
    if format == "csv":
        return drawn.to_csv(found)
    page = format == "table" and output in (None, "-") and screen() is not None
    return show(drawn.document(found, exact, page), format, output)


def read_rewrites(wish: Wish) -> list[Rewrite]:
    """The rewrites by name, with the options that they have. Raises UsageError."""
    options = {"factor": wish.factor, "groups": wish.groups}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    rules = []
    for name in wish.rewrites:
        if name not in REWRITES:
            hint = nearest(name, REWRITES)
            raise UsageError(f"unknown rewrite `{printable(name)}`; {hint or 'known: ' + listing(list(REWRITES))}")
        rule = REWRITES[name]
        rules.append(rule(**{option: value for option, value in given.items() if option in rule.__annotations__}))
    for option in given:
        if not any(option in type(rule).__annotations__ for rule in rules):
            of = next(name for name, rule in REWRITES.items() if option in rule.__annotations__)
            raise UsageError(f"--{option} is an option of `--with {of}`")
    return rules


def _matched(option: str, patterns: Sequence[str], layers: Sequence[str]) -> None:
    """Raises UsageError for a pattern that is none, or that matches nothing: most likely it is misspelt."""
    known = paths.parts(layers)
    for pattern in patterns:
        paths.check(pattern)
        if not paths.matching(pattern, known):
            hint = paths.meant(pattern, known)
            raise UsageError(f"--{option} `{printable(pattern)}` matches no layer; {hint}")


def read_share(option: str, text: str) -> Fraction:
    """`0.5` or `50%`, exactly. Raises UsageError."""
    number = text.removesuffix("%")
    try:
        share = Fraction(number) / (100 if number != text else 1) if _SHARE.fullmatch(number) else None
    except ZeroDivisionError:
        share = None
    if share is None or not 0 <= share < 1:
        raise UsageError(
            f"--{option} takes a fraction of at least 0 and below 1, such as 0.5 or 50%, found `{printable(text)}`"
        )
    return share


def _title(wish: Wish) -> str:
    said = list(wish.rewrites)
    if wish.prune:
        said.append(f"pruned {wish.prune}")
    if wish.sparsity:
        said.append(f"sparse {wish.sparsity}")
    said += [f"weights {text}" for text in wish.weights] + [f"activations {text}" for text in wish.activations]
    return ", ".join(said)


def _stored(stored: Stored, wish: Wish) -> tuple[dict[str, Number | None], list[str]]:
    """The metrics that storing changes, those that nobody can say, and what has to be said about them."""
    known: dict[str, Number | None] = {
        "params": stored.params,
        "inference_params": stored.inference_params,
        "param_bytes": stored.param_bytes,
        "activation_bytes": stored.activation_bytes,
        "peak_activation_bytes": stored.peak.bytes,
        "training_bytes": None,
    }
    notes = []
    if wish.sparsity:
        notes.append(
            f"unstructured sparsity, {wish.sparsity} of every kernel and matrix zero: params and their bytes count the "
            "remaining values, without the indices of where they are; MACs and FLOPs are those of dense hardware"
        )
    if wish.weights:
        notes.append("weights: kernels and matrices in the type given, biases and norms as before; scales not counted")
    if wish.activations:
        notes.append(
            "activations: the input and every tensor in the type given; layers in place keep their input's type"
        )
    if wish.weights or wish.activations:
        known |= dict.fromkeys(UNKNOWN_STORED)
    notes.append("- is unknown: it depends on how a runtime computes with such tensors")
    return known, notes


def _save(now: Report, spec: str, setup: Setup, wish: Wish) -> None:
    assert wish.write is not None
    if wish.write == "-":
        raise UsageError("--write takes a file: standard output shows the report")
    if wish.weights or wish.activations or wish.sparsity:
        raise UsageError(
            "--write saves a network, and a spec does not say how its values are stored: leave out --weights, "
            "--activations and --sparsity"
        )
    settings = "".join(f" --set {text}" for text in setup.settings)
    remarks = [printable(f"{spec}{settings}: {_title(wish)}"), "written by cnnprof rewrite, a step per layer"]
    pruned = ["pruned"] if wish.prune else []
    name = "_".join([now.name, *([now.variant] if now.variant else []), *wish.rewrites, *pruned])
    save(write(now.graph, name, remarks, now.budget), wish.write)
