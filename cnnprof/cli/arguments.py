"""What the words on the command line stand for: shapes, settings, names, and the reports on SPECs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import cnnprof
from cnnprof import load
from cnnprof.cli import WRONG, complain, describe, progress
from cnnprof.errors import CnnprofError, UsageError, printable, refuse_twice
from cnnprof.importers.reference import AS_IT_IS, Reading, TypedShape
from cnnprof.load import Network, read_shape
from cnnprof.lookup import code_in
from cnnprof.model.kind import Shape

if TYPE_CHECKING:
    from cnnprof.analysis.report import Report
    from cnnprof.devices.profiles import Target
    from cnnprof.devices.verdicts import Fit
    from cnnprof.importers.reference import InputShape
    from cnnprof.model.graph import Graph

T = TypeVar("T")
MANY = 8
"""Networks that are sooner counted than processes are started for them."""


def reports(
    specs: Sequence[str],
    inputs: Sequence[str],
    settings: Sequence[str],
    reading: Reading = AS_IT_IS,
    jobs: int = 1,
    **options: Any,
) -> list[Report]:
    """The reports on all specs; options as `cnnprof.analyze` takes them. jobs: processes that many are divided among.

    Where some specs are wrong, says of each what is, and ends the process.
    """
    made: list[Report] = []
    for found, trained in of_each(_with_its_training, specs, inputs, settings, reading, jobs, **options):
        found.graph.train_as(trained)
        made.append(found)
    return made


def _with_its_training(found: Report) -> tuple[Report, Graph | None]:
    """A report, and its network in training, which a graph that is sent to another process leaves behind."""
    return found, found.graph.trained


def of_each(
    then: Callable[[Report], T],
    specs: Sequence[str],
    inputs: Sequence[str],
    settings: Sequence[str],
    reading: Reading = AS_IT_IS,
    jobs: int = 1,
    **options: Any,
) -> list[T]:
    """What becomes of the report on each spec, in the process that makes it; otherwise as `reports`."""
    given = {"input": read_inputs(inputs), "args": read_settings(settings), **options}
    work = [*zip(specs, readings(specs, reading), strict=True)]
    made: list[T] = []
    wrong: dict[str, None] = {}
    refused = None
    for found, message, error in _each(partial(_made, then, given), work, jobs):
        refused = refused or error
        if message:
            wrong[message] = None
        elif found is not None:
            made.append(found)
    if wrong:
        complain("\n".join(wrong))
        raise SystemExit(WRONG)
    if refused is not None:
        raise refused
    return made


def _made(
    then: Callable[[Report], T], options: Mapping[str, Any], work: tuple[str, Reading]
) -> tuple[T | None, str, UsageError | None]:
    """What becomes of the report on a spec; or what is wrong with the spec, or what is refused of the report."""
    spec, (strict, example) = work
    try:
        found = cnnprof.analyze(spec, strict=strict, example=example, **options)
    except CnnprofError as error:
        return None, describe(error), None
    try:
        return then(found), "", None
    except UsageError as error:
        return None, "", error


def _each(one: Callable[[Any], T], work: Sequence[tuple[str, Reading]], jobs: int) -> Iterator[T]:
    """What becomes of each spec, in order; in several processes where there are many, and none runs code."""
    alone = any(spec == "-" or code_in(spec) is not None or example is not None for spec, (_, example) in work)
    if jobs > 1 and len(work) >= MANY and not alone:
        from cnnprof.language import registry
        from cnnprof.processes import processes

        with processes(jobs, registry.begin, bool(registry.plugins())) as pool:
            chunk = max(1, len(work) // (8 * jobs))
            yield from progress.counted(pool.map(one, work, chunksize=chunk), len(work), "files")
        return
    told = progress.Networks()
    for number, each in enumerate(work):
        told.begin(each[0], number, len(work))
        yield one(each)


def read_network(spec: str, **options: Any) -> Network:
    """`load.network` of a SPEC; says of one in code that it is being read."""
    progress.reading(spec)
    return load.network(spec, **options)


def readings(specs: Sequence[str], reading: Reading) -> list[Reading]:
    """How each SPEC is read: an example is for those that are modules, where any of them is."""
    modules = [code_in(spec) is not None for spec in specs]
    return [reading if module or not any(modules) else reading._replace(example=None) for module in modules]


def read_names(text: str, option: str) -> list[str]:
    """The names that an option lists, `a,b`, each once. Raises UsageError."""
    names = [name.strip() for name in text.split(",")]
    refuse_twice(names, option)
    return names


def read_targets(names: Sequence[str]) -> list[Target]:
    """The devices that `--target` names, each once. Raises SpecError and UsageError."""
    if not names:
        return []
    from cnnprof.devices.profiles import named

    refuse_twice(names, "--target")
    for name in names:
        if "," in name.rpartition(":")[2]:
            repeated = printable(" ".join(f"--target {each.strip()}" for each in name.split(",")))
            raise UsageError(f"--target takes one target, found `{printable(name)}`; repeat the option: {repeated}")
    return [named(name) for name in names]


def fits_of(report: Report, targets: Sequence[Target]) -> list[Fit]:
    """What targets make of a network."""
    if not targets:
        return []
    from cnnprof.devices.verdicts import fit

    return [fit(report, target) for target in targets]


def read_inputs(given: Sequence[str]) -> InputShape | Mapping[str, InputShape] | None:
    """`3x192x192`, `77:int64`, or `left=3x64x64` and so on by name. Raises UsageError."""
    if not given:
        return None
    named = dict(text.rpartition("=")[::2] for text in given)
    shapes = {name: read_shape(text, "--input") for name, text in named.items()}
    for shape in shapes.values():
        doubt_order(shape.shape if isinstance(shape, TypedShape) else shape)
    if "" not in shapes:
        return shapes
    if len(given) > 1:
        raise UsageError("several --input need names: --input left=3x64x64 --input right=3x64x64")
    return shapes[""]


def doubt_order(shape: Shape) -> None:
    """Says of a shape that looks like an image with its channels last that they come first."""
    if len(shape) != 3:
        return
    height, width, channels = shape
    square = height == width and channels in (1, 3, 4)
    if (square or channels == 3) and min(height, width) > 4:
        complain(
            f"note: --input {height}x{width}x{channels}: channels come first: did you mean {channels}x{height}x{width}?"
        )


def read_settings(given: Sequence[str]) -> dict[str, str]:
    """`key=value` by key. Raises UsageError."""
    settings = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--set takes KEY=VALUE, such as classes=10, found `{printable(text)}`")
        settings[key.strip()] = value.strip()
    return settings
