"""The program: its commands by name, and how the one that runs is built.

A command is a file of this folder: `command`, a function whose parameters are the options, and EXAMPLES, which end its
help. It is imported when it runs, completes or shows its help, and no other is; the list of all is the table here.
"""

# typer reads the annotations while the process starts, so they are not postponed.
import gc
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

COMMANDS = {
    "analyze": "Count parameters, MACs and memory, by layer and in total.",
    "check": "Check networks against their budgets: 0 within, 1 over, 2 wrong.",
    "init": "Write a first project file, with limits from today's figures.",
    "history": "Show the figures of a network commit by commit.",
    "compare": "Compare networks, and list the layers where two differ.",
    "separable": "Compare each convolution with depthwise + pointwise.",
    "rewrite": "Factorise, prune or quantize; show before and after.",
    "convert": "Write a network as YAML, PyTorch source or a drawing.",
    "verify": "Compare every figure with PyTorch. Needs cnnprof[torch].",
    "measure": "Measure latency and memory on a device. Needs cnnprof[torch].",
    "explain": "Show each figure of a layer as a formula with its numbers.",
    "sweep": "Count every combination of settings, and mark the best.",
    "targets": "List the devices that come with cnnprof, or show one.",
    "specs": "List the architectures that come with cnnprof, or print one.",
    "kinds": "List the layer kinds, or show the manual page of one.",
    "schema": "Print the JSON Schema of specs, for editors.",
    "bug-report": "Print what an issue needs, and nothing private.",
}
"""What `cnnprof --help` says of each command, in its order."""


class Command(TyperCommand):
    """A command whose options are listed in sections, those that it shares with others last.

    Options that take one value are given once: the parser would silently take the last.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments that are left. Raises UsageError for an option that is given twice."""
        given = self.make_parser(ctx).parse_args(args=list(args))[2] if args else []
        for number, param in enumerate(given):
            if isinstance(param, TyperOption) and not param.is_flag and not param.multiple and param in given[:number]:
                from cnnprof.errors import UsageError

                raise UsageError(f"{param.opts[0]} is given twice")
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes a section for the arguments, one for the command's own options, and one for each panel."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                own = "Arguments" if param.param_type_name == "argument" else "Options"
                sections.setdefault(getattr(param, "rich_help_panel", None) or own, []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Writes the examples, broken where they are wider than the window."""
        from cnnprof.cli.output import screen

        seen = screen()
        lines = (self.epilog or "").split("\n")
        if seen is not None:
            lines = [piece for line in lines for piece in in_lines(line, seen.width - 2)]
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text("\n".join(lines))

    def invoke(self, ctx: Any) -> Any:
        """Runs it. From here on garbage is collected, and not searched for in what was imported."""
        if not gc.isenabled():  # in a process of its own, see `main`
            gc.freeze()
            gc.set_threshold(10_000)  # a network is many objects that stay: looking at all of them often finds nothing
            gc.enable()
        return super().invoke(ctx)


class Commands(TyperGroup):
    """All commands: names and short helps to list, suggest and complete; the one that is used is built in full."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, short_help in COMMANDS.items():
            self.add_command(TyperCommand(name, short_help=short_help))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments name, imported and built."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else build(name), rest


def build(name: str) -> Command:
    """A command with its options, from its file."""
    module = import_module(f"cnnprof.cli.{name.replace('-', '_')}")
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=Command, short_help=COMMANDS[name], epilog=_examples(module.EXAMPLES))(module.command)
    built = typer.main.get_command(alone)
    assert isinstance(built, Command)
    return built


def _examples(lines: tuple[str, ...]) -> str:
    """The end of a help; the tests run every line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


_WORD = re.compile(r"""(?:--?[\w-]+ (?!-))?(?:'[^']*'|"[^"]*"|[^\s'"])+""")


def in_lines(command: str, width: int) -> Iterator[str]:
    """A command as a shell reads it, in lines of at most `width` characters where its words are short enough. An option
    is in one line with its value."""
    margin = " " * (len(command) - len(command.lstrip(" ")))
    words = _WORD.findall(command) if len(command) > width else [command.strip(" ")]
    line = margin + words.pop(0)
    for number, word in enumerate(words, 1):
        if len(f"{line} {word}") + (2 if number < len(words) else 0) > width:
            yield f"{line} \\"
            line = f"{margin}  {word}"
        else:
            line = f"{line} {word}"
    yield line


def _print_version(wanted: bool) -> None:
    if wanted:
        from cnnprof import __version__
        from cnnprof.cli.output import deliver

        deliver(f"cnnprof {__version__}\n")
        raise typer.Exit


def _as_named(word: str) -> str:
    """A word of the command line as options and their choices are called: `--format tex` is `latex`."""
    return "latex" if word == "tex" else word


app = typer.Typer(
    cls=Commands,
    help="Count the exact parameters, multiply-accumulates and memory of a convolutional network: a YAML, ONNX or "
    "TensorFlow Lite file, or a PyTorch module.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "token_normalize_func": _as_named},
)


@app.callback(epilog=_examples(("cnnprof analyze resnet@50", "cnnprof specs", "cnnprof analyze --help")))
def _app(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
    no_plugins: Annotated[bool, typer.Option("--no-plugins", help="Ignore layer kinds of installed packages.")] = False,
) -> None:
    if no_plugins:
        from cnnprof.language.registry import without_plugins

        context.with_resource(without_plugins())
