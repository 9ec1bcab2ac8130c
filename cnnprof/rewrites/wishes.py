"""`--with NAME[=VALUE]`: what is done to a network before it is looked at, in the order given.

Some change the graph (a rewrite, pruning, folding batch norm), some how its values are stored. One grammar for the
command line, project files (`with:`) and Python (`with_=`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from cnnprof.errors import UsageError, brief, listing, nearest, printable
from cnnprof.model import paths
from cnnprof.model.graph import Graph
from cnnprof.model.types import AS_COMPUTED, INT8, INT16, Typed, Types, read_type
from cnnprof.rewrites import REWRITES
from cnnprof.rewrites.contract import Rewrite, rewrite
from cnnprof.rewrites.fuse_bn import fuse_bn
from cnnprof.rewrites.prune import prune
from cnnprof.rewrites.rebuild import Rewritten, Selection

OPTIONS = {"bottleneck": "factor", "grouped": "groups"}
"""What the value of a rewrite is, of those that take one."""
INTEGERS = {"int8": INT8, "int16": INT16}
NAMES = {
    "fuse_bn": "batch norm into the convolution or linear layer before it",
    "separable": "convolutions as depthwise + pointwise",
    "stacked": "large kernels as a stack of 3×3",
    "asymmetric": "square kernels as a column and a row",
    "bottleneck": "convolutions between two of 1×1; bottleneck=4 divides the channels in the middle",
    "grouped": "convolutions in groups: grouped=2",
    "prune": "a share of every convolution's output channels removed: prune=0.5 or 50%",
    "sparsity": "a share of every kernel and matrix zero, and not stored",
    "weights": "weights stored as int4, int8, int16, float16, bfloat16 or float32; weights=PATTERN=TYPE for some",
    "activations": "activations stored so",
    "int8": "weights and activations int8, biases int32",
    "int16": "weights int8, activations int16, biases int64, as TensorFlow Lite has it",
}
"""What can be done, and what it is."""
_SHARE = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}|[0-9]{1,9}/[0-9]{1,9}")
EVERYTHING = Selection()


class Wish(NamedTuple):
    """One thing to be done. value: what comes after `=`, read; written: as it was given."""

    name: str
    written: str
    value: Rewrite | Fraction | Typed | None = None

    @property
    def stores(self) -> bool:
        """Whether it is about how values are stored, and leaves the graph as it is."""
        return self.name in ("sparsity", "weights", "activations", *INTEGERS)


class Granted(NamedTuple):
    """A network after one wish. rewritten: what changed in its graph; None where values are stored otherwise."""

    graph: Graph
    types: Types
    rewritten: Rewritten | None = None


def read(texts: Sequence[str]) -> tuple[Wish, ...]:
    """`NAME` or `NAME=VALUE` of each. Raises UsageError."""
    return tuple(map(_read, texts))


def _read(text: str) -> Wish:
    name, equals, value = text.partition("=")
    name, option = name.strip(), f"--with {name.strip()}"
    if name not in NAMES:
        hint = nearest(name, NAMES) or f"known: {listing(list(NAMES))}"
        raise UsageError(f"there is nothing to do that is called `{brief(printable(name))}`; {hint}")
    if name in REWRITES:
        return Wish(name, text, _rewrite(name, value if equals else None))
    if name in ("prune", "sparsity"):
        return Wish(name, text, read_share(option, value))
    if name in ("weights", "activations"):
        return Wish(name, text, read_type(option, value))
    if equals:
        raise UsageError(f"{option} takes no value, found `{brief(printable(value))}`")
    return Wish(name, text)


def _rewrite(name: str, value: str | None) -> Rewrite:
    """A rewrite with its option. Raises UsageError."""
    rule = REWRITES[name]
    if value is None:
        return rule()
    if name not in OPTIONS:
        raise UsageError(f"--with {name} takes no value, found `{brief(printable(value))}`")
    least = 2 if name == "grouped" else 1
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < least:
        raise UsageError(
            f"--with {name} takes {OPTIONS[name]}, a whole number from {least}, such as {name}=4, found "
            f"`{brief(printable(value))}`"
        )
    given: dict[str, Any] = {OPTIONS[name]: int(value)}
    return rule(**given)


def read_share(option: str, text: str) -> Fraction:
    """`0.5` or `50%`, exactly. Raises UsageError."""
    number = text.removesuffix("%")
    try:
        share = Fraction(number) / (100 if number != text else 1) if _SHARE.fullmatch(number) else None
    except ZeroDivisionError:
        share = None
    if share is None or not 0 <= share < 1:
        raise UsageError(
            f"{option} takes a fraction of at least 0 and below 1, such as 0.5 or 50%, found `{brief(printable(text))}`"
        )
    return share


def grant(
    wish: Wish, graph: Graph, types: Types = AS_COMPUTED, selection: Selection = EVERYTHING, between: bool = True
) -> Granted:
    """A network after a wish. types: how its values are stored so far.

    selection: the layers that may be replaced. between: whether the norm and activation that follow a convolution are
    repeated between the layers in its place.

    Raises UsageError for a pattern that matches no layer.
    """
    if isinstance(wish.value, Typed):
        _refuse_unmatched(wish, graph)
        return Granted(graph, types.also(**{wish.name: wish.value}))
    if wish.name in INTEGERS:
        return Granted(graph, INTEGERS[wish.name]._replace(sparsity=types.sparsity))
    if isinstance(wish.value, Fraction) and wish.name == "sparsity":
        return Granted(graph, types._replace(sparsity=wish.value))
    if isinstance(wish.value, Fraction):
        rewritten = prune(graph, wish.value, selection)
    elif isinstance(wish.value, Rewrite):
        rewritten = rewrite(graph, wish.value, selection, between)
    else:
        rewritten = fuse_bn(graph, selection)
    return Granted(rewritten.graph if rewritten.changes else graph, types, rewritten)


def notes(wish: Wish, made: Granted) -> list[str]:
    """What is to be said of what a wish did, and did not."""
    if wish.name == "fuse_bn" and made.rewritten is not None:
        reasons: dict[str, list[str]] = {}
        for path, reason in made.rewritten.skipped:
            reasons.setdefault(reason, []).append(path)
        return [f"fuse_bn leaves {_named(paths)}: {reason}" for reason, paths in reasons.items()]
    if wish.name in INTEGERS:
        given = INTEGERS[wish.name]
        return [
            f"{wish.name}: kernels and matrices in {given.weights[0].type}, activations in "
            f"{given.activations[0].type}, biases and norms in {given.vectors}; scales and zero points are not in "
            "param_bytes"
        ]
    if wish.name == "weights":
        return ["weights: kernels and matrices in the type given, biases and norms as before; scales not counted"]
    if wish.name == "activations":
        return ["activations: the input and every tensor in the type given; layers in place keep their input's type"]
    if wish.name == "sparsity":
        share = wish.written.partition("=")[2]
        return [
            f"unstructured sparsity, {share} of every kernel and matrix zero: params and their bytes count the "
            "remaining values, without the indices of where they are; MACs and FLOPs are those of dense hardware"
        ]
    return []


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
    return f"{printable(paths[0])}{more}"


def refuse_unmatched(option: str, pattern: str, names: Sequence[str]) -> None:
    """Raises UsageError for a pattern that is none, or that matches nothing: most likely it is misspelt."""
    paths.check(pattern)
    known = paths.parts(names)
    if not paths.matching(pattern, known):
        raise UsageError(f"{option} `{printable(pattern)}` matches no layer; {paths.meant(pattern, known)}")


def _refuse_unmatched(wish: Wish, graph: Graph) -> None:
    assert isinstance(wish.value, Typed)
    if wish.value.pattern is not None:
        names = [*graph.inputs, *(layer.path for layer in graph.layers)]
        refuse_unmatched(f"--with {wish.name}", wish.value.pattern, names)
