"""A sweep as Python asks for it: values instead of texts → axes, limits and objectives, run → Sweep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cnnprof import load, lookup
from cnnprof.analysis.costs import scale_of
from cnnprof.errors import UsageError, brief, printable
from cnnprof.language.spec import Spec
from cnnprof.load import Source, as_text
from cnnprof.lookup import Located
from cnnprof.model.graph import Graph
from cnnprof.model.metrics import quantities
from cnnprof.sweeps.asked import objectives_of, read_limit, read_metrics, read_objectives
from cnnprof.sweeps.axes import SweepAxis, distinct, read_values
from cnnprof.sweeps.job import Job, chosen, job
from cnnprof.sweeps.result import Sweep
from cnnprof.sweeps.run import HERE, Running, answer, wanted_of


def swept(
    source: Source,
    axes: Sequence[SweepAxis],
    *,
    training: bool = False,
    with_: Sequence[str] = (),
    limits: Mapping[str, object] | None = None,
    pareto: Sequence[str] | None = None,
    sort: str | None = None,
    top: int | None = None,
    metrics: Sequence[str] | None = None,
    sample: int | None = None,
    seed: int = 0,
    where: str = "",
    how: Running = HERE,
) -> Sweep:
    """All combinations of the axes, run. Options as `cnnprof.sweep` takes them; raises as it does."""
    wanted = chosen(job_of(source, axes, training, with_), sample, seed, where)
    held = [read_limit(f"{name}={value}") for name, value in quantities(limits)]
    objectives = objectives_of(axes, held, wanted.size) if pareto is None else read_objectives(pareto, axes)
    if sort is not None:
        (sort,) = read_metrics([sort])
    shown = None if metrics is None else read_metrics(metrics)
    return answer(wanted, wanted_of(title_of(source), wanted, shown, held, objectives, sort, top), how)


def job_of(source: Source, axes: Sequence[SweepAxis], training: bool, with_: Sequence[str] = ()) -> Job:
    """The job of sweeping over a source. Raises UsageError for what varies and is fixed, or cannot vary."""
    load.refuse_other(source)
    if load.is_module(source):
        raise UsageError("a torch.nn.Module has no arguments to vary; batch and dtype of its Graph can vary: "
                         "sweep cnnprof.unfold(module, input=…)")  # fmt: skip
    if isinstance(source, Graph):
        if training or any(axis.kind not in ("batch", "dtype") for axis in axes):
            raise load.unfolded_already()
        return job(Located(title_of(source), b"", None, {}), axes, with_=with_)._replace(graph=source)
    if isinstance(source, Spec):
        return job(Located(title_of(source), b"", None, {}), axes, training, with_)._replace(read=source)
    return job(lookup.refuse_files(lookup.locate_any(source)), axes, training, with_)


def title_of(source: Source) -> str:
    """What a network is called that a source stands for: a SPEC or a file as it is written, or else by its name."""
    if isinstance(source, Graph):
        return source.title
    return source.name if isinstance(source, Spec) else str(source)


def axes_of(args: Mapping[str, Any] | None, input: Any, variant: Any, batch: Any, dtype: Any) -> tuple[SweepAxis, ...]:
    """What is varied, in the order of the options of the command. Raises UsageError."""
    found = [] if variant is None else [SweepAxis("variant", "variant", texts(variant))]
    found += [SweepAxis(name, "argument", texts(values)) for name, values in (args or {}).items()]
    if input is not None:
        shapes = input if isinstance(input, Mapping) else {"input": input}
        found += [SweepAxis(name, "input", shape_texts(given)) for name, given in shapes.items()]
    one = isinstance(batch, str) or not isinstance(batch, Iterable)  # a text is refused below, as it is
    batches, dtypes = (batch,) if one else tuple(batch), texts(dtype)
    for each in batches:
        for name in dtypes:
            scale_of(each, name)
    found += [SweepAxis("batch", "batch", texts(batches)), SweepAxis("dtype", "dtype", dtypes)]
    return distinct(found)


def texts(values: object) -> Sequence[str]:
    """The values of an axis as a spec writes them: each of a list, the ranges in a text, or one value."""
    if isinstance(values, str):
        return read_values(values)
    found = tuple(dict.fromkeys(map(as_text, values))) if isinstance(values, Iterable) else (as_text(values),)
    if not found:
        raise UsageError("nothing to vary: an empty list of values")
    return found


def shape_texts(given: object) -> Sequence[str]:
    """`3x128x128` of a shape, or each of several. Raises UsageError."""
    if isinstance(given, str):
        return read_values(given)
    shapes = [given] if isinstance(given, Sequence) and all(isinstance(size, int) for size in given) else given
    if not isinstance(shapes, Iterable):
        raise UsageError(f"an input is a shape such as (3, 224, 224), or a list of them, found {_shown(given)}")
    found = []
    for shape in shapes:
        if not (isinstance(shape, Sequence) and shape and all(isinstance(size, int) for size in shape)):
            raise UsageError(f"an input is a shape such as (3, 224, 224), or a list of them, found {_shown(given)}")
        found.append("x".join(map(str, shape)))
    return tuple(dict.fromkeys(found))


def _shown(value: object) -> str:
    return brief(printable(repr(value)))
