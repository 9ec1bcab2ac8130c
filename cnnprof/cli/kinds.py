"""`cnnprof kinds`: the layer kinds, and the manual page or the text of one."""

from typing import Annotated

import typer

from cnnprof.cli import complete
from cnnprof.cli.options import TextOrJson
from cnnprof.cli.output import deliver, show
from cnnprof.errors import UsageError
from cnnprof.language import manual
from cnnprof.language.spec import shipped_blocks
from cnnprof.render import catalogue

EXAMPLES = (
    "cnnprof kinds",
    "cnnprof kinds conv2d",
    "cnnprof kinds conv2d --format json",
    "cnnprof kinds --search GlobalAveragePooling2D",
    "cnnprof kinds --search 'transposed convolution'",
)


def command(
    word: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]",
            autocompletion=complete.kinds,
            help="Show the manual page of one kind, or the text of a block.",
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="List what is called so, here, in PyTorch or in Keras, or has these words in its summary.",
        ),
    ] = None,
    format: TextOrJson = "text",
) -> None:
    """List the layer kinds and the blocks that come with cnnprof, or show the manual page of a kind."""
    if search is not None:
        if word is not None:
            raise UsageError("`kinds` shows one kind or searches all: leave KIND or --search out")
        matching = manual.search(search)
        document = catalogue.matches(search, matching)
        deliver(catalogue.kinds_json(matching.found) if format == "json" else show(document, format, None))
    elif word is None:
        listed = manual.summaries()
        document = catalogue.kinds(listed, list(shipped_blocks()))
        deliver(catalogue.kinds_json(listed) if format == "json" else show(document, format, None), form=format)
    elif format == "text" and (written := block(word)):
        deliver(written, form="yaml")
    else:
        page = manual.page(word)
        text = catalogue.page_json(page) if format == "json" else show(catalogue.page(page), format, None)
        deliver(text, form=format)


def block(name: str) -> str | None:
    """A block that comes with the tool as it is written; None where there is none of that name."""
    blocks = shipped_blocks()
    if name not in blocks:
        return None
    mark = blocks[name].mark
    after = [each.mark.line for each in blocks.values() if each.mark.line > mark.line]
    lines = mark.source.lines()[mark.line : min(after, default=None)]
    return "\n".join(lines).strip("\n") + "\n"
