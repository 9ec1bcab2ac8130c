"""cnnprof: exact parameters, multiply-accumulates and memory of a convolutional network.

>>> import cnnprof
>>> cnnprof.analyze("lenet5").totals.params
61706

Every function takes a network as one of

    a SPEC    "resnet@50", "mobilenet_v1,width=0.5", "models/net.yaml@small": what the command line takes
    a Path    a file, whatever it is called
    a Spec    a text that was read: `cnnprof.parse(text)`
    a Graph   a network that is unfolded: `cnnprof.unfold(…)`, `cnnprof.rewrite(…).graph`
    a Module  of PyTorch, with `input`: it is exported and read, and left as it was

and these options, as far as they apply. With a Graph, those of the spec that it came from are a UsageError.

    variant   of the spec, where the SPEC does not name one after `@`
    input     shape of one example without the batch, (channels, height, width) for images; by name where the network
              has several inputs. The spec's own where it is left out. As text it may have a type, "77:int64".
    args      values for the spec's arguments by name
    example   what a Module is called with instead of input: a batch of tensors, a tuple of arguments or a dict of them
              by name, in any nesting; or "MODULE:FUNCTION", which gives it. Shapes and types are all that is used.
    strict    of a network in another format, refuse layers that no kind stands for
    training  the network as it is trained: side outputs run, dropout and batch norm work
    with_     what is done to it first, in order: ["fuse_bn", "int8"], as `--with NAME[=VALUE]` of the commands
    batch     examples at once; multiplies work and activations
    dtype     float64, float32, float16 or bfloat16; sizes bytes

All raise SpecError (the spec is wrong; `problems` says where) or UsageError (a name, a file or an option is).
Importing this costs next to nothing: what a function needs is imported when it is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from cnnprof.analysis.compare import NetworkComparison
    from cnnprof.analysis.explained import LayerPage, SumPage
    from cnnprof.analysis.report import Report
    from cnnprof.analysis.whatif import WhatIf
    from cnnprof.errors import CnnprofError, MissingDependencyError, OverBudgetError, SpecError, UsageError
    from cnnprof.gate.result import CheckResult
    from cnnprof.language.spec import Spec
    from cnnprof.load import Input, Network, Source
    from cnnprof.model.graph import Graph
    from cnnprof.sweeps.result import Sweep

__version__ = "0.2.0"
__all__ = [
    "CnnprofError",
    "MissingDependencyError",
    "OverBudgetError",
    "SpecError",
    "UsageError",
    "__version__",
    "analyze",
    "build",
    "check",
    "compare",
    "explain",
    "parse",
    "rewrite",
    "sweep",
    "to_yaml",
    "unfold",
]


def parse(text: str | bytes, name: str = "<text>") -> Spec:
    """The spec that a text holds; `name` stands for it in errors. It is unfolded where it is used.

    Raises SpecError where the text is no YAML, or no spec's. What is wrong with its steps is raised where it is used.
    """
    from cnnprof.load import read
    from cnnprof.lookup import Located

    given: object = text
    if not isinstance(given, str | bytes):
        from cnnprof.errors import UsageError, brief

        raise UsageError(f"the text of a spec is a str or bytes, found {brief(repr(given))}")
    return read(Located(name, text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"), None, {}))


def analyze(
    spec: Source,
    *,
    variant: str | None = None,
    input: Input = None,
    args: Mapping[str, Any] | None = None,
    with_: str | Sequence[str] = (),
    batch: int = 1,
    dtype: str = "float32",
    training: bool = False,
    strict: bool = False,
    example: Any = None,
    optimizer: str = "sgd",
    master_weights: bool = False,
    order: Literal["written", "best"] = "written",
) -> Report:
    """The figures of a network, per layer and in total. `report["conv1"]` is a layer's row, or a block's sums.

    optimizer: sgd, momentum, adam or adamw; sizes `training_bytes`, which also holds float32
        `master_weights` where those are kept (mixed precision).
    order: "best" executes the layers in the order with the smallest `peak_activation_bytes`, or as written where
        that is too much to search; the report's `refused` then says so.
    """
    from cnnprof.analysis.analyze import analyze

    found = _network(spec, with_, strict, example, variant=variant, input=input, args=args, training=training)
    return analyze(found, batch, dtype, optimizer, master_weights, order)


def unfold(
    spec: Source,
    *,
    variant: str | None = None,
    input: Input = None,
    args: Mapping[str, Any] | None = None,
    with_: str | Sequence[str] = (),
    training: bool = False,
    strict: bool = False,
    example: Any = None,
) -> Graph:
    """The network as a graph: layers in execution order with edges, shapes and paths."""
    from cnnprof.load import as_computed

    found = _network(spec, with_, strict, example, variant=variant, input=input, args=args, training=training)
    return as_computed(found, "a graph").graph


def build(
    spec: Source,
    *,
    variant: str | None = None,
    input: Input = None,
    args: Mapping[str, Any] | None = None,
    with_: str | Sequence[str] = (),
    training: bool = False,
    strict: bool = False,
    example: Any = None,
    seed: int | None = None,
) -> nn.Module:
    """The network as a PyTorch module whose parameters are named by the layers' paths.

    seed: initialises the weights reproducibly, without touching PyTorch's global generator.

    Raises MissingDependencyError too, where PyTorch is not installed.
    """
    from cnnprof.runtime.build import module

    options: Any = {"variant": variant, "input": input, "args": args, "with_": with_, "training": training}
    graph = unfold(spec, strict=strict, example=example, **options)
    return module(graph, seed=seed)


def explain(
    spec: Source,
    path: str | None = None,
    *,
    only: str | Sequence[str] = (),
    variant: str | None = None,
    input: Input = None,
    args: Mapping[str, Any] | None = None,
    with_: str | Sequence[str] = (),
    batch: int = 1,
    dtype: str = "float32",
    training: bool = False,
    strict: bool = False,
    example: Any = None,
) -> LayerPage | SumPage:
    """Each figure of a layer as the formula that gives it; of a block, or the whole network, as a sum.

    path: of a layer or block, or a pattern of paths; the network without one. only: names of sums, to show no others.
    """
    from cnnprof.analysis.analyze import analyze
    from cnnprof.analysis.explain import explain

    found = _network(spec, with_, strict, example, variant=variant, input=input, args=args, training=training)
    report = analyze(found, batch, dtype)
    return explain(report.graph, report.costs, path, _list(only))


def compare(
    *specs: Source,
    layers: bool = False,
    input: Input = None,
    args: Mapping[str, Any] | None = None,
    with_: str | Sequence[str] = (),
    batch: int = 1,
    dtype: str = "float32",
    training: bool = False,
    strict: bool = False,
    example: Any = None,
) -> NetworkComparison:
    """Networks side by side in every metric, with ratios to the first. layers: of exactly two, where they differ."""
    from cnnprof.analysis.compare import compare, subject

    options: dict[str, Any] = {"batch": batch, "dtype": dtype, "training": training, "strict": strict}
    reports = [analyze(each, input=input, args=args, with_=with_, example=example, **options) for each in specs]
    titles = [each if isinstance(each, str) else "" for each in specs]
    return compare([subject(report, title) for report, title in zip(reports, titles, strict=True)], layers)


def rewrite(
    spec: Source,
    with_: str | Sequence[str] = (),
    *,
    only: str | Sequence[str] = (),
    except_: str | Sequence[str] = (),
    between: bool = True,
    variant: str | None = None,
    input: Input = None,
    args: Mapping[str, Any] | None = None,
    batch: int = 1,
    dtype: str = "float32",
    strict: bool = False,
    example: Any = None,
) -> WhatIf:
    """The network before and after; `.graph` is the one that came out.

    with_: what is done, in order: separable, stacked, asymmetric, "bottleneck=4", "grouped=2", fuse_bn; "prune=0.5", a
        share of every convolution's output channels; int8, int16, "weights=int4", "weights=fc*=float16" for some
        layers, "activations=int8"; "sparsity=50%", of weights set to zero.
    only, except_: patterns of the paths that may, or may not, be replaced. between: repeat norm and activation there.
    """
    from cnnprof.analysis.rewritten import Wish, what_if

    wish = Wish(_list(with_), _list(only), _list(except_), between)
    found = _network(spec, (), strict, example, variant=variant, input=input, args=args)
    return what_if(found, spec if isinstance(spec, str) else "", wish, batch, dtype)


def sweep(
    spec: Source,
    *,
    args: Mapping[str, Any] | None = None,
    input: Any = None,
    variant: str | Sequence[str] | None = None,
    with_: str | Sequence[str] = (),
    batch: int | Sequence[int] = 1,
    dtype: str | Sequence[str] = "float32",
    training: bool = False,
    max: Mapping[str, object] | None = None,
    pareto: Sequence[str] | None = None,
    sort: str | None = None,
    top: int | None = None,
    metrics: Sequence[str] | None = None,
    sample: int | None = None,
    seed: int = 0,
    where: str = "",
    jobs: int = 1,
    store: str | Path | None = None,
    resume: bool = False,
    scheduler: str | None = None,
) -> Sweep:
    """Every combination of settings, a row each; those that are Pareto-optimal are marked.

    args, input, variant, batch, dtype: a value, or a list of those to vary; "0.25:1.0:0.25" is a range, exact.
    with_: what is done to every network, in order, as elsewhere: "int8", ["fuse_bn", "prune=0.5"].
    max: keeps the rows within limits, {"macs": "300M"}; a number is in base units.
    pareto: what makes a row best: metrics, small; varied numbers, large; "+name" large, "-name" small.
    sort: by a metric, the smallest first. top: only so many of them. jobs: worker processes.
    metrics: what rows have; all metrics if left out. Those that can be are computed for many combinations at once (with
    the extra `sweep`); of more than 100,000, rows are those that are Pareto-optimal.

    sample, seed: so many combinations, drawn at random; the same ones for the same seed. where: a condition on what is
    varied, "depths[0] <= depths[1]"; the others are left out.

    store: a folder that keeps all rows within the limits as Parquet files (with the extra `store`). resume: goes on
    with one that is there. scheduler: of Dask, "tcp://host:8786", whose workers count (with the extra `cluster`).

    A combination that is no valid network is in `wrong`, with what is wrong.
    """
    from cnnprof.sweeps.given import axes_of, swept
    from cnnprof.sweeps.run import Running

    axes = axes_of(args, input, variant, batch, dtype)
    return swept(
        spec,
        axes,
        training=training,
        with_=_list(with_),
        limits=max,
        pareto=pareto,
        sort=sort,
        top=top,
        metrics=metrics,
        sample=sample,
        seed=seed,
        where=where,
        how=Running(jobs, None if store is None else str(store), resume, scheduler, __version__),
    )


def check(
    *specs: Source,
    max: Mapping[str, object] | None = None,
    at: Mapping[str, Mapping[str, object]] | None = None,
    each: Mapping[str, Mapping[str, object]] | None = None,
    variant: str | None = None,
    input: Input = None,
    args: Mapping[str, Any] | None = None,
    with_: str | Sequence[str] = (),
    batch: int = 1,
    dtype: str = "float32",
    strict: bool = False,
    example: Any = None,
    fits: str | Sequence[str] = (),
    config: str | Sequence[str] | None = None,
    baseline_ref: str | None = None,
    baseline_tip: bool = False,
    allow_code: bool = False,
    jobs: int = 1,
) -> CheckResult:
    """What networks make of their budgets; `.require()` raises OverBudgetError where one is over.

    max: limits in addition to the specs' own, {"params": "5M"}; a number is in base units.
    at, each: the same for parts, by pattern of their paths, {"stage4.*": {"macs": "1G"}}, and for every layer of a
        kind, {"conv2d": {"macs": "50M"}}.
    fits: targets that every network has to fit, as `cnnprof targets` lists them, or "boards.yaml:mine".
    config: the project file to check where there is no spec, or several; found from the working directory upwards if
        left out.
    baseline_ref: a git revision to compare with, at its merge base with HEAD, or (baseline_tip) as it is.
    allow_code: whether the code runs that the project file names.
    jobs: processes among which many networks are divided, which changes nothing else; code runs in this one.

    A spec is checked as written and in every variant, unless it says which. What is wrong with one does not stop the
    others: it is in `problems`, and `require` raises it.
    """
    from cnnprof.analysis.costs import scale_of
    from cnnprof.devices.profiles import named
    from cnnprof.errors import SourceText, UsageError
    from cnnprof.gate.budget import Budget, Elsewhere, Fits
    from cnnprof.gate.projects import check_project
    from cnnprof.gate.specs import ARGUMENT, check_specs, limits_of
    from cnnprof.gate.subjects import AS_WRITTEN, Setup
    from cnnprof.importers.reference import Reading
    from cnnprof.load import as_text, shapes_of
    from cnnprof.model.metrics import quantities

    scale_of(batch, dtype)
    settings = tuple((name, as_text(value)) for name, value in (args or {}).items())
    given = Setup(variant, settings, tuple(shapes_of(input).items()), batch, dtype, tuple(_list(with_)))
    if not specs:
        if max or at or each or fits or given != AS_WRITTEN:
            raise UsageError(
                "max, at, each, fits, variant, args, input, with_, batch and dtype need a spec; a project has keys for "
                "them"
            )
        if example is not None:
            raise UsageError("example needs a spec: a project gives the shapes of inputs")
        return check_project(
            config, baseline_ref=baseline_ref, baseline_tip=baseline_tip, version=__version__, allow_code=allow_code,
            strict=strict, jobs=jobs,
        )  # fmt: skip
    if config is not None:
        raise UsageError("config names a project file, and a spec is checked without one: choose one")
    limits = [*limits_of(quantities(max), ARGUMENT)]
    for path, below in (at or {}).items():
        limits += (limit.on(path) for limit in limits_of(quantities(below, "at"), f"`{path}`"))
    for kind, below in (each or {}).items():
        limits += (limit.on_kind(kind) for limit in limits_of(quantities(below, "each"), f"each {kind}"))
    targets = tuple(Fits(named(name), Elsewhere(SourceText("fits", name), 0, 0)) for name in _list(fits))
    budget = Budget(ARGUMENT, tuple(limits), fits=targets)
    reading = Reading(strict, example)
    past: Any = {"baseline_ref": baseline_ref, "baseline_tip": baseline_tip}
    return check_specs(specs, given, budget, version=__version__, reading=reading, jobs=jobs, **past)


def to_yaml(
    spec: Source,
    *,
    name: str = "",
    variant: str | None = None,
    input: Input = None,
    args: Mapping[str, Any] | None = None,
    with_: str | Sequence[str] = (),
    strict: bool = False,
    example: Any = None,
    flat: bool = False,
) -> str:
    """The text of a spec that unfolds to the same layers under the same paths; `name` in its header, the network's
    without. What is alike becomes blocks and repeats; with `flat` there is a step per layer.

    Raises UsageError too, for a network that training changes otherwise than by side outputs.
    """
    from cnnprof.language.write import write
    from cnnprof.load import as_computed

    found = _network(spec, with_, strict, example, variant=variant, input=input, args=args)
    as_computed(found, "a spec")
    return write(found.graph, name, budget=found.budget, folded=not flat)


def _network(spec: Source, with_: str | Sequence[str], strict: bool, example: Any, **options: Any) -> Network:
    """The network that a function is given, after what `with_` asks for."""
    from cnnprof.importers.reference import Reading
    from cnnprof.load import network

    return network(spec, with_=_list(with_), reading=Reading(strict, example), **options)


def _list(names: str | Sequence[str]) -> list[str]:
    """One name, or several."""
    return [names] if isinstance(names, str) else list(names)


def __getattr__(name: str) -> Any:
    """The errors, imported when they are asked for."""
    if name in __all__:
        from cnnprof import errors

        return getattr(errors, name)
    raise AttributeError(f"module `cnnprof` has no attribute `{name}`")
