"""Network and Wish → WhatIf: rewritten in the order given, then pruned, then stored in fewer bits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from cnnprof.analysis.analyze import analyze
from cnnprof.analysis.compare import LONGEST_TITLE, compare, subject
from cnnprof.analysis.quantize import Stored, read_types, store
from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.whatif import Stage, WhatIf, stage
from cnnprof.errors import UsageError, listing, nearest, printable
from cnnprof.load import Network
from cnnprof.model import paths
from cnnprof.rewrites import REWRITES
from cnnprof.rewrites.contract import Rewrite, rewrite
from cnnprof.rewrites.prune import prune
from cnnprof.rewrites.rebuild import Selection

_SHARE = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}|[0-9]{1,9}/[0-9]{1,9}")
UNKNOWN_STORED = ("torch_peak_activation_bytes", "inference_bytes", "training_bytes")
"""What nobody can say of tensors in other types: PyTorch's operations hold what their kernels of that type need."""


class Wish(NamedTuple):
    """What is to be done with a network; as the options of the command line."""

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

    @property
    def title(self) -> str:
        """In short: `separable, pruned 0.5`."""
        said = list(self.rewrites)
        if self.prune:
            said.append(f"pruned {self.prune}")
        if self.sparsity:
            said.append(f"sparse {self.sparsity}")
        said += [f"weights {text}" for text in self.weights] + [f"activations {text}" for text in self.activations]
        return ", ".join(said)


def what_if(network: Network, title: str, wish: Wish, batch: int = 1, dtype: str = "float32") -> WhatIf:
    """The network before and after. title: what it is called. Raises SpecError and UsageError."""
    rules = read_rewrites(wish)
    if not (rules or wish.prune or wish.sparsity or wish.weights or wish.activations):
        raise UsageError(
            f"nothing to do: give --with NAME ({', '.join(REWRITES)}), --prune, --sparsity, --weights or --activations"
        )
    weights, activations = read_types("weights", wish.weights), read_types("activations", wish.activations)
    sparsity = None if wish.sparsity is None else read_share("sparsity", wish.sparsity)
    share = None if wish.prune is None else read_share("prune", wish.prune)
    selection = Selection(tuple(wish.only), tuple(wish.except_))
    layers = [layer.path for layer in network.graph.layers]
    _matched("only", wish.only, layers)
    _matched("except", wish.except_, layers)
    for option, types in (("weights", weights), ("activations", activations)):
        _matched(
            option, [typed.pattern for typed in types if typed.pattern is not None], [*network.graph.inputs, *layers]
        )
    first = now = analyze(network, batch, dtype)
    stages: list[Stage] = []
    for rule in rules:
        rewritten = rewrite(now.graph, rule, selection, wish.between)
        then = analyze(network._replace(graph=rewritten.graph), batch, dtype)
        stages.append(stage(rule.name, now, then, rewritten, rule))
        now = then
    if share is not None:
        rewritten = prune(now.graph, share, selection)
        then = analyze(network._replace(graph=rewritten.graph), batch, dtype)
        stages.append(stage(f"{wish.prune} of the channels pruned", now, then, rewritten))
        now = then
    known: dict[str, Number | None] = {}
    notes: list[str] = []
    if weights or activations or sparsity is not None:
        stored = store(
            now.graph, batch, dtype,
            weights=weights, activations=activations, sparsity=sparsity or Fraction(0),
        )  # fmt: skip
        known, notes = _stored(stored, wish)
    done = wish.title
    if len(done) > LONGEST_TITLE:
        notes.insert(0, f"after: {done}")
        done = "after"
    before, after = subject(first, title), subject(now, done, known)
    return WhatIf(before, after, tuple(stages), compare([before, after]), tuple(notes))


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
