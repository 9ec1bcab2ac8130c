"""The options that several commands take, each declared once."""

# typer reads the annotations while the process starts, so they are not postponed.
from typing import Annotated, Literal

import typer

from cnnprof.cli import complete

SHARED = "Shared options"
"""The section of the help for what most commands take alike: the input, the settings, and where the output goes."""


def once(param: typer.CallbackParam, value: list[str] | None) -> list[str] | None:
    """Refuses a name that is given twice: one of the two values would be silently dropped. Raises UsageError."""
    names = [text.split("=")[0].strip() for text in value or [] if "=" in text]
    for number, name in enumerate(names):
        if name in names[:number]:
            from cnnprof.errors import UsageError, brief, printable

            raise UsageError(f"{param.opts[0]} {printable(brief(name))} is given twice")
    return value


# What is analyzed.

Specs = Annotated[
    list[str],
    typer.Argument(
        metavar="SPEC...",
        autocompletion=complete.specs,
        help="Read networks from NAME|PATH[@VARIANT][,key=value...]: a file, - for standard input, an architecture "
        "that `cnnprof specs` lists, or REF:PATH for a file at a git revision: PATH from the top of the repository, "
        "./PATH from here. From other formats: a file .onnx or .tflite; torch:MODULE:NAME[,key=value...], "
        "torch:FILE.py:NAME, timm:NAME or torchvision:NAME, which run that code.",
    ),
]
Spec = Annotated[
    str,
    typer.Argument(
        metavar="SPEC",
        autocompletion=complete.specs,
        help="Read the network from NAME|PATH[@VARIANT][,key=value...], as for `analyze`.",
    ),
]
Training = Annotated[
    bool, typer.Option("--training", help="Analyze the network in training mode, in which side outputs run.")
]
Exact = Annotated[bool, typer.Option("--exact", help="Print exact integers: 25557032 instead of 25.6 M.")]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs", min=1, metavar="N", help="Set the number of worker processes among which many networks are divided."
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        autocompletion=complete.devices,
        help="Run on cpu, cuda, cuda:N, mps, or auto, the fastest kind of device available.",
    ),
]

Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="NAME",
        autocompletion=complete.targets,
        help="Check whether every network fits a device that `cnnprof targets` lists, or FILE.yaml:NAME. Repeatable.",
    ),
]

# What `rewrite` and `separable` do.

Only = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        autocompletion=complete.layers,
        help="Rewrite only convolutions that a path pattern matches: stem, '**.body'. Repeatable.",
    ),
]
Except = Annotated[
    list[str] | None,
    typer.Option(
        "--except",
        metavar="PATTERN",
        autocompletion=complete.layers,
        help="Exclude convolutions that a path pattern matches. Repeatable.",
    ),
]
NoBetween = Annotated[
    bool,
    typer.Option(
        "--no-between",
        help="Omit the copies, between the new layers, of the norm and activation that follow a convolution.",
    ),
]
Write = Annotated[str | None, typer.Option("--write", metavar="FILE", help="Save the spec of the rewritten network.")]
Flat = Annotated[bool, typer.Option("--flat", help="Write a step per layer, without blocks and repeats.")]

# The shared options proper.

Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="[NAME=]SHAPE[:TYPE]",
        callback=once,
        rich_help_panel=SHARED,
        help="Set the shape of one example, as 3x192x192, instead of the spec's; a module needs it. An input that is "
        "not floating point has its type there: ids=77:int64.",
    ),
]
Example = Annotated[
    str | None,
    typer.Option(
        "--example",
        metavar="MODULE:FUNCTION",
        rich_help_panel=SHARED,
        help="Call a PyTorch module with what this function gives, instead of --input: a batch of tensors, a tuple of "
        "arguments or a dict of them by name, in any nesting. Or FILE.py:FUNCTION. It runs that code.",
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        rich_help_panel=SHARED,
        help="Refuse a network in another format in which a layer has no kind, instead of a warning.",
    ),
]
Arguments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        callback=once,
        autocompletion=complete.settings,
        rich_help_panel=SHARED,
        help="Set an argument of the spec. Repeatable.",
    ),
]
With = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="NAME[=VALUE]",
        autocompletion=complete.wishes,
        rich_help_panel=SHARED,
        help="Apply these to every network first, in the order given: fuse_bn, int8, int16, weights=TYPE, "
        "activations=TYPE, prune=SHARE, sparsity=SHARE, separable, stacked, asymmetric, bottleneck=N, "
        "grouped=N. Repeatable.",
    ),
]
Batch = Annotated[
    int, typer.Option(rich_help_panel=SHARED, help="Set the batch size, which multiplies work and activations.")
]
Dtype = Annotated[
    str,
    typer.Option(
        autocompletion=complete.dtypes,
        rich_help_panel=SHARED,
        help="Set the dtype of weights and activations: float64, float32, float16 or bfloat16.",
    ),
]
Format = Annotated[
    Literal["table", "json", "csv", "markdown", "latex", "html"] | None,
    typer.Option(
        "--format",
        rich_help_panel=SHARED,
        help="Choose the format. Default: by the suffix of --output (.json, .csv, .md, .tex, .html), else a table.",
    ),
]
TableOrJson = Annotated[
    Literal["table", "json", "markdown", "latex", "html"] | None,
    typer.Option(
        "--format",
        rich_help_panel=SHARED,
        help="Choose the format. Default: by the suffix of --output (.json, .md, .tex, .html), else a table.",
    ),
]
TextOrJson = Annotated[
    Literal["text", "json", "markdown", "latex", "html"],
    typer.Option("--format", rich_help_panel=SHARED, help="Choose the format: json is for programs."),
]
Open = Annotated[
    bool,
    typer.Option(
        "--open",
        rich_help_panel=SHARED,
        help="Show the figures as a page in the browser; without --output it is in a temporary file.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        rich_help_panel=SHARED,
        help="Write a file instead of standard output. Its suffix chooses the format where --format does not.",
    ),
]
