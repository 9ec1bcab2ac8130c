"""`cnnprof rewrite`: its options."""

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
    "cnnprof rewrite vgg --with bottleneck=2",
    "cnnprof rewrite lenet5 --with stacked --no-between",
    "cnnprof rewrite resnet@50 --with prune=0.5 --except conv1",
    "cnnprof rewrite mobilenet_v2 --with fuse_bn --with int8",
    "cnnprof rewrite mobilenet_v2 --with weights=int8 --with 'weights=linear=float32'",
    "cnnprof rewrite vgg --with separable --with prune=25% --with weights=int4",
)


def command(
    spec: Spec,
    only: Only = None,
    except_: Except = None,
    no_between: NoBetween = False,
    with_: With = None,
    write: Write = None,
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
    """Factorise convolutions, fuse norms, prune or quantize, and show the network before and after."""
    chosen = settle([spec], format, output, write=write)
    wish = Wish(with_ or [], only or [], except_ or [], not no_between)
    setup = Setup(input or [], set or [], batch, dtype, Reading(strict, example))
    found = before_and_after(spec, setup, wish, write, flat)
    deliver(render(found, exact=exact, format=chosen, output=output), output, chosen)
