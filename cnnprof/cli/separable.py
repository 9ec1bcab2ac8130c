"""`cnnprof separable`: its options. What it does is `rewrite --with separable`."""

from cnnprof.analysis.rewritten import Wish
from cnnprof.cli.before_after import Setup, before_and_after, render
from cnnprof.cli.options import (
    Arguments,
    Batch,
    Dtype,
    Exact,
    Example,
    Except,
    Flat,
    Format,
    Inputs,
    NoBetween,
    Only,
    Output,
    Spec,
    Strict,
    With,
    Write,
)
from cnnprof.cli.output import deliver, settle
from cnnprof.importers.reference import Reading

EXAMPLES = (
    "cnnprof separable mobilenet_v1@full_conv --except stem",
    "cnnprof separable vgg --only 'conv4*' --only 'conv5*' --no-between",
    "cnnprof separable resnet@18 --format json",
)


def command(
    spec: Spec,
    only: Only = None,
    except_: Except = None,
    no_between: NoBetween = False,
    write: Write = None,
    with_: With = None,
    flat: Flat = False,
    input: Inputs = None,
    example: Example = None,
    strict: Strict = False,
    set: Arguments = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    exact: Exact = False,
    format: Format = None,
    output: Output = None,
) -> None:
    """Compare each standard convolution with depthwise + pointwise: MACs, parameters, and the ratio in theory."""
    chosen = settle([spec], format, output, write=write)
    wish = Wish([*(with_ or []), "separable"], only or [], except_ or [], not no_between)
    setup = Setup(input or [], set or [], batch, dtype, Reading(strict, example))
    found = before_and_after(spec, setup, wish, write, flat)
    deliver(render(found, exact=exact, format=chosen, output=output), output, chosen)
