"""Network and wishes → WhatIf: the network before, after each wish that changes its graph, and in the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cnnprof.analysis.analyze import analyze
from cnnprof.analysis.compare import LONGEST_TITLE, compare, subject
from cnnprof.analysis.whatif import Stage, WhatIf, stage
from cnnprof.errors import UsageError
from cnnprof.load import Network
from cnnprof.rewrites import wishes
from cnnprof.rewrites.contract import Rewrite
from cnnprof.rewrites.rebuild import Selection


class Wish(NamedTuple):
    """What is to be done with a network: in order, as `--with` takes it, and to which layers.

    only, except_: patterns of the paths that may, or may not, be replaced. between: whether the norm and activation
    that follow a convolution are repeated between the layers in its place.
    """

    with_: Sequence[str] = ()
    only: Sequence[str] = ()
    except_: Sequence[str] = ()
    between: bool = True

    @property
    def title(self) -> str:
        """In short: `separable, prune=0.5`."""
        return ", ".join(self.with_)


def what_if(network: Network, title: str, wish: Wish, batch: int = 1, dtype: str = "float32") -> WhatIf:
    """The network before and after. title: what it is called. Raises SpecError and UsageError."""
    wanted = wishes.read(wish.with_)
    if not wanted:
        raise UsageError(f"nothing to do: give --with NAME, one of {', '.join(wishes.NAMES)}")
    names = [layer.path for layer in network.graph.layers]
    for option, patterns in (("--only", wish.only), ("--except", wish.except_)):
        for pattern in patterns:
            wishes.refuse_unmatched(option, pattern, names)
    selection = Selection(tuple(wish.only), tuple(wish.except_))
    first = now = analyze(network, batch, dtype)
    stages: list[Stage] = []
    notes: list[str] = []
    for each in wanted:
        made = wishes.grant(each, network.graph, network.types, selection, wish.between)
        network = network._replace(graph=made.graph, types=made.types)
        then = analyze(network, batch, dtype)
        if made.rewritten is not None:
            rule = each.value if isinstance(each.value, Rewrite) else None
            stages.append(stage(each.written, now, then, made.rewritten, rule))
        else:
            notes += wishes.notes(each, made)
        now = then
    if now.costs.refusals:
        notes.append("- is unknown: it depends on how a runtime computes with such tensors")
    done = wish.title
    if len(done) > LONGEST_TITLE:
        notes.insert(0, f"after: {done}")
        done = "after"
    before, after = subject(first, title), subject(now, done)
    return WhatIf(before, after, tuple(stages), compare([before, after]), tuple(notes))
