"""What the words on the command line stand for: shapes, settings, names, and the reports on SPECs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cnnprof
from cnnprof import load
from cnnprof.cli import WRONG, complain, describe, progress
from cnnprof.errors import CnnprofError, UsageError, printable, refuse_twice
from cnnprof.importers.reference import AS_IT_IS, Reading
from cnnprof.load import Network, code_in, read_shape

if TYPE_CHECKING:
    from cnnprof.analysis.report import Report
    from cnnprof.devices.profiles import Target
    from cnnprof.devices.verdicts import Fit
    from cnnprof.importers.reference import InputShape


def reports(
    specs: Sequence[str],
    inputs: Sequence[str],
    settings: Sequence[str],
    reading: Reading = AS_IT_IS,
    **options: Any,
) -> list[Report]:
    """The reports on all specs; options as `cnnprof.analyze` takes them.

    Where some specs are wrong, says of each what is, and ends the process.
    """
    shapes = read_inputs(inputs)
    args = read_settings(settings)
    made = []
    wrong: dict[str, None] = {}
    told = progress.Networks()
    for number, (spec, (strict, example)) in enumerate(zip(specs, readings(specs, reading), strict=True)):
        told.begin(spec, number, len(specs))
        try:
            made.append(cnnprof.analyze(spec, input=shapes, args=args, strict=strict, example=example, **options))
        except CnnprofError as error:
            wrong[describe(error)] = None
    if wrong:
        complain("\n".join(wrong))
        raise SystemExit(WRONG)
    return made


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
    if "" not in shapes:
        return shapes
    if len(given) > 1:
        raise UsageError("several --input need names: --input left=3x64x64 --input right=3x64x64")
    return shapes[""]


def read_settings(given: Sequence[str]) -> dict[str, str]:
    """`key=value` by key. Raises UsageError."""
    settings = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--set takes KEY=VALUE, such as classes=10, found `{printable(text)}`")
        settings[key.strip()] = value.strip()
    return settings
