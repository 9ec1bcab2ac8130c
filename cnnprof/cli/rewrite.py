"""`cnnprof rewrite`: its options."""

from typing import Annotated

import typer

from cnnprof.analysis.rewritten import Wish
from cnnprof.cli import complete
from cnnprof.cli.before_after import Setup, before_and_after, render
from cnnprof.cli.options import (
    Arguments,
    Batch,
    Dtype,
    Exact,
    Except,
    Flat,
    Format,
    Inputs,
    NoBetween,
    Only,
    Output,
    Spec,
    Write,
)
from cnnprof.cli.output import deliver, settle

EXAMPLES = (
    "cnnprof rewrite vgg --with bottleneck --factor 2",
    "cnnprof rewrite lenet5 --with stacked --no-between",
    "cnnprof rewrite resnet@50 --prune 0.5 --except conv1",
    "cnnprof rewrite mobilenet_v2 --weights int8 --activations int8 --weights 'linear=float32'",
    "cnnprof rewrite vgg --with separable --prune 25% --weights int4",
)


def command(
    spec: Spec,
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="NAME",
            autocompletion=complete.rewrites,
            help="Apply separable, stacked, asymmetric, bottleneck or grouped. Repeatable.",
        ),
    ] = None,
    factor: Annotated[int | None, typer.Option(min=1, help="Set the reduction factor of bottleneck (4).")] = None,
    groups: Annotated[int | None, typer.Option(min=2, help="Set the number of groups of grouped (2).")] = None,
    only: Only = None,
    except_: Except = None,
    no_between: NoBetween = False,
    prune: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Remove this fraction of every convolution's output channels: 0.5 or 50%."),
    ] = None,
    sparsity: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Set this fraction of every kernel and matrix to zero (unstructured)."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[PATTERN=]TYPE",
            autocompletion=complete.stored,
            help="Store weights as int4, int8, int16, float16, bfloat16, float32.",
        ),
    ] = None,
    activations: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[PATTERN=]TYPE", autocompletion=complete.stored, help="Store activations as one of these dtypes."
        ),
    ] = None,
    write: Write = None,
    flat: Flat = False,
    input: Inputs = None,
    set: Arguments = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    exact: Exact = False,
    format: Format = None,
    output: Output = None,
) -> None:
    """Factorise convolutions, prune channels or quantize, and show the network before and after."""
    chosen = settle([spec], format, output, write=write)
    wish = Wish(
        with_ or [], only or [], except_ or [], not no_between, factor, groups, prune, sparsity,
        weights or [], activations or [],
    )  # fmt: skip
    found = before_and_after(spec, Setup(input or [], set or [], batch, dtype), wish, write, flat)
    deliver(render(found, exact=exact, format=chosen, output=output), output)
