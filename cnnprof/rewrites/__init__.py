"""What if: one file per rewrite, each a rule of `cnnprof.rewrites.contract`; and all of them by name."""

from __future__ import annotations

from cnnprof.rewrites.asymmetric import Asymmetric
from cnnprof.rewrites.bottleneck import Bottleneck
from cnnprof.rewrites.contract import Rewrite
from cnnprof.rewrites.grouped import Grouped
from cnnprof.rewrites.separable import Separable
from cnnprof.rewrites.stacked import Stacked

REWRITES: dict[str, type[Rewrite]] = {rule.name: rule for rule in (Separable, Stacked, Asymmetric, Bottleneck, Grouped)}
