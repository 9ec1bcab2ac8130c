"""The commands: what they take, and which functions answer. The only file that imports typer.

A command imports what it needs when it runs, so that `--help` and every other command start without.
"""

# typer reads the annotations while the process starts, so they are not postponed.
from typing import Annotated, Literal

import typer

app = typer.Typer(
    help="Exact parameters, multiply-accumulates and memory of a convolutional network, from a YAML file.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _examples(*lines: str) -> str:
    """The end of a command's help; the tests run every line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _print_version(wanted: bool) -> None:
    if wanted:
        from cnnprof import __version__
        from cnnprof.cli.output import deliver

        deliver(f"cnnprof {__version__}\n")
        raise typer.Exit


@app.callback(epilog=_examples("cnnprof analyze resnet@50", "cnnprof specs", "cnnprof analyze --help"))
def _app(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
    no_plugins: Annotated[
        bool, typer.Option("--no-plugins", help="Leave aside layer kinds that installed packages offer.")
    ] = False,
) -> None:
    if no_plugins:
        from cnnprof.language.registry import without_plugins

        context.with_resource(without_plugins())


Specs = Annotated[
    list[str],
    typer.Argument(
        metavar="SPEC...",
        help="NAME|PATH[@VARIANT][,key=value...]: a file, - for standard input, an architecture that `cnnprof specs` "
        "lists, or REF:PATH, what `git show` shows: PATH from the repository's top, ./PATH from here.",
    ),
]


def _once(param: typer.CallbackParam, value: list[str] | None) -> list[str] | None:
    """Refuses a name that is given twice: of two values one would be dropped in silence."""
    names = [text.split("=")[0].strip() for text in value or [] if "=" in text]
    for number, name in enumerate(names):
        if name in names[:number]:
            from cnnprof.errors import UsageError, brief, printable

            raise UsageError(f"{param.opts[0]} {printable(brief(name))} is given twice")
    return value


Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="[NAME=]SHAPE",
        callback=_once,
        help="Shape of one example instead of the spec's, as 3x192x192.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", callback=_once, help="Set an argument of the spec. Repeatable."),
]
Batch = Annotated[int, typer.Option(help="Examples at once; multiplies work and activations.")]
Dtype = Annotated[str, typer.Option(help="float64, float32, float16 or bfloat16.")]
Training = Annotated[bool, typer.Option("--training", help="The network as it is trained: side outputs run.")]
Optimizer = Annotated[str, typer.Option(help="sgd, momentum, adam or adamw: its state is in a training step's bytes.")]
MasterWeights = Annotated[
    bool, typer.Option("--master-weights", help="A training step keeps float32 weights too, as mixed precision does.")
]
Order = Annotated[
    Literal["written", "best"], typer.Option(help="best: execute layers in the order with the smallest peak memory.")
]
Fold = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="One row for neighbours that share N segments of their path; 0: a row per "
                 "layer. A terminal folds to a page by itself."),
]  # fmt: skip
Sort = Annotated[str | None, typer.Option(metavar="COLUMN", help="The largest of a column first.")]
Top = Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N rows.")]
Columns = Annotated[
    str | None, typer.Option(metavar="A,B,...", help="The columns to show, such as path,output_shape,flops.")
]
Convention = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Add the total as another tool counts: macs, torch, fvcore. Repeatable."),
]
Exact = Annotated[bool, typer.Option("--exact", help="25557032 where people would read 25.6 M.")]
Format = Annotated[
    Literal["table", "json", "csv", "markdown", "latex"] | None,
    typer.Option("--format", help="Default: by the suffix of --output (.json, .csv, .md, .tex), else a table."),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write a file instead of standard output. Its suffix chooses the format where --format does not; an "
        "unknown suffix gives the table.",
    ),
]
ListFormat = Annotated[
    Literal["text", "json", "markdown", "latex"], typer.Option("--format", help="For people or for machines.")
]


@app.command(
    short_help="Shapes, parameters, MACs, memory; by layer and in total.",
    epilog=_examples(
        "cnnprof analyze resnet@50",
        "cnnprof analyze vgg --input 3x192x192 --batch 8 --dtype float16",
        "cnnprof analyze mobilenet_v1,width=0.5 --sort macs --top 10",
        "cnnprof analyze resnet@18 resnet@34 --fold 1 --convention fvcore",
        "cnnprof analyze lenet5 --format csv --columns path,params,macs",
        "cnnprof analyze resnet@50 --batch 32 --dtype float16 --optimizer adamw --master-weights",
    ),
)
def analyze(
    specs: Specs,
    input: Inputs = None,
    set: Settings = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    training: Training = False,
    optimizer: Optimizer = "sgd",
    master_weights: MasterWeights = False,
    order: Order = "written",
    fold: Fold = None,
    sort: Sort = None,
    top: Top = None,
    columns: Columns = None,
    convention: Convention = None,
    exact: Exact = False,
    format: Format = None,
    output: Output = None,
) -> None:
    """Output shapes, parameters, MACs, FLOPs, memory and receptive field, layer by layer and in total."""
    from cnnprof.cli import analyze as command
    from cnnprof.cli.output import deliver, format_of

    chosen = format or format_of(output)
    view = command.View(fold, sort, top, columns, convention or [], exact, chosen)
    reports = command.reports(
        specs,
        input or [],
        set or [],
        batch=batch,
        dtype=dtype,
        training=training,
        optimizer=optimizer,
        master_weights=master_weights,
        order=order,
    )
    deliver(command.render(reports, view, output), output)


@app.command(
    short_help="Hold networks to their budgets: 0 within, 1 over, 2 wrong.",
    epilog=_examples(
        "cnnprof check resnet@50 --max params=26M --max macs=4.2G",
        "cnnprof check mobilenet_v1,width=0.5 --batch 8 --dtype float16 --max 'peak_bytes=40 MiB'",
        "cnnprof check --no-budgets resnet googlenet",
        "cnnprof check googlenet --report markdown=-",
    ),
)
def check(
    specs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SPEC...]",
            help="Files or architectures; without @VARIANT or settings, each as written and in every variant. Without "
            "SPEC, the project file: cnnprof.yaml, or [tool.cnnprof] in a pyproject.toml, here or above.",
        ),
    ] = None,
    max: Annotated[
        list[str] | None,
        typer.Option(
            "--max",
            metavar="NAME=VALUE",
            help="Limit a metric of all that the SPECs name, variants too: params=5M, peak_bytes=10MiB.",
        ),
    ] = None,
    input: Inputs = None,
    set: Settings = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    no_budgets: Annotated[bool, typer.Option("--no-budgets", help="Only see whether the specs are valid.")] = False,
    report: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT=PATH",
            help="Write a report as text, json, markdown, github, gitlab, junit or sarif; - is standard output. "
            "Repeatable.",
        ),
    ] = None,
    baseline_ref: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Compare with the files as they are at a git revision, such as origin/main: its tip, not where this "
            "branch left it. The repository is that of the working directory.",
        ),
    ] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Write the project's baseline file before checking.")
    ] = False,
    config: Annotated[str | None, typer.Option(metavar="FILE", help="The project file.")] = None,
    max_latency: Annotated[
        str | None,
        typer.Option(metavar="RATIO", help="Limit the measured time over that of --against. Needs PyTorch."),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="SPEC", help="The reference for --max-latency, measured in the same run.")
    ] = None,
) -> None:
    """Hold networks to their budgets: 0 within, 1 over, 2 where something is wrong."""
    from cnnprof.cli import check as command

    wanted = command.read_reports(report or [])
    result = command.check(
        specs or [],
        config=config,
        budgets=not no_budgets,
        limits=max or [],
        given=command.read_setup(input or [], set or [], batch, dtype),
        baseline_ref=baseline_ref,
        update_baseline=update_baseline,
        latency=command.read_latency(max_latency, against),
    )
    command.write_reports(result, wanted)
    raise typer.Exit(result.exit_code)


@app.command(
    short_help="Networks side by side, and the layers where two differ.",
    epilog=_examples(
        "cnnprof compare resnet@18 resnet@34 resnet@50",
        "cnnprof compare mobilenet_v1 mobilenet_v1,width=0.5 --format markdown",
        "cnnprof compare resnet@50 resnet@50_v1 --layers",
        "cnnprof compare resnet@50 resnet@101 --layers --fold 2",
    ),
)
def compare(
    specs: Specs,
    layers: Annotated[bool, typer.Option("--layers", help="Of two: the layers in which they differ.")] = False,
    fold: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="With --layers: one row for neighbours that share N path segments, 0: for each. Default: for a step.",
        ),
    ] = None,
    input: Inputs = None,
    set: Settings = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    training: Training = False,
    exact: Exact = False,
    format: Format = None,
    output: Output = None,
) -> None:
    """Networks side by side: every metric, ratios to the first, and layer by layer where two differ."""
    from cnnprof.cli import analyze as analysis
    from cnnprof.cli import compare as command
    from cnnprof.cli.output import deliver, format_of

    reports = analysis.reports(specs, input or [], set or [], batch=batch, dtype=dtype, training=training)
    found = command.comparison(specs, reports, layers)
    text = command.render(found, fold=fold, exact=exact, format=format or format_of(output), output=output)
    deliver(text, output)


Spec = Annotated[str, typer.Argument(metavar="SPEC", help="NAME|PATH[@VARIANT][,key=value...], as for `analyze`.")]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Only convolutions that a path pattern names: stem, '**.body'. Repeatable."),
]
Except = Annotated[
    list[str] | None, typer.Option("--except", metavar="PATTERN", help="Leave alone those that it names. Repeatable.")
]
NoBetween = Annotated[
    bool,
    typer.Option("--no-between", help="Do not repeat the norm and activation that follow between the new layers."),
]
Write = Annotated[
    str | None, typer.Option("--write", metavar="FILE", help="Save the spec of the network that came out.")
]


@app.command(
    short_help="Each convolution beside depthwise + pointwise.",
    epilog=_examples(
        "cnnprof separable mobilenet_v1@full_conv --except stem",
        "cnnprof separable vgg --only 'conv4*' --only 'conv5*' --no-between",
        "cnnprof separable resnet@18 --format json",
    ),
)
def separable(
    spec: Spec,
    only: Only = None,
    except_: Except = None,
    no_between: NoBetween = False,
    write: Write = None,
    input: Inputs = None,
    set: Settings = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    exact: Exact = False,
    format: Format = None,
    output: Output = None,
) -> None:
    """Every standard convolution beside depthwise + pointwise: MACs, parameters, and what theory says of them."""
    from cnnprof.cli import rewrite as command
    from cnnprof.cli.output import deliver, format_of

    wish = command.Wish(["separable"], only or [], except_ or [], not no_between, write=write)
    found = command.what_if(spec, command.Setup(input or [], set or [], batch, dtype), wish)
    deliver(command.render(found, exact=exact, format=format or format_of(output), output=output), output)


@app.command(
    short_help="What if: factorise, prune, quantize; before and after.",
    epilog=_examples(
        "cnnprof rewrite vgg --with bottleneck --factor 2",
        "cnnprof rewrite lenet5 --with stacked --no-between",
        "cnnprof rewrite resnet@50 --prune 0.5 --except conv1",
        "cnnprof rewrite mobilenet_v2 --weights int8 --activations int8 --weights 'linear=float32'",
        "cnnprof rewrite vgg --with separable --prune 25% --weights int4",
    ),
)
def rewrite(
    spec: Spec,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME", help="separable, stacked, asymmetric, bottleneck, grouped. Repeatable."),
    ] = None,
    factor: Annotated[
        int | None, typer.Option(min=1, help="Of bottleneck: what the channels in its middle are divided by (4).")
    ] = None,
    groups: Annotated[int | None, typer.Option(min=2, help="Of grouped: how many groups (2).")] = None,
    only: Only = None,
    except_: Except = None,
    no_between: NoBetween = False,
    prune: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Remove this share of every convolution's output channels: 0.5 or 50%."),
    ] = None,
    sparsity: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Of every kernel and matrix this share is zero, anywhere in it."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="[PATTERN=]TYPE", help="Store weights as int4, int8, int16, float16, bfloat16, float32."),
    ] = None,
    activations: Annotated[
        list[str] | None, typer.Option(metavar="[PATTERN=]TYPE", help="Store activations as such a type.")
    ] = None,
    write: Write = None,
    input: Inputs = None,
    set: Settings = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    exact: Exact = False,
    format: Format = None,
    output: Output = None,
) -> None:
    """What if: other factorisations of the convolutions, pruning, quantization; the network before and after."""
    from cnnprof.cli import rewrite as command
    from cnnprof.cli.output import deliver, format_of

    wish = command.Wish(
        with_ or [], only or [], except_ or [], not no_between, factor, groups, prune, sparsity,
        weights or [], activations or [], write,
    )  # fmt: skip
    found = command.what_if(spec, command.Setup(input or [], set or [], batch, dtype), wish)
    deliver(command.render(found, exact=exact, format=format or format_of(output), output=output), output)


DeviceName = Annotated[
    str, typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:N, mps, or auto: the fastest sort there is.")
]
TableOrJson = Annotated[
    Literal["table", "json", "markdown", "latex"] | None,
    typer.Option("--format", help="Default: by the suffix of --output (.json, .md, .tex), else a table."),
]


@app.command(
    short_help="Set every figure beside PyTorch's. Needs cnnprof[torch].",
    epilog=_examples(
        "cnnprof verify lenet5 resnet@18",
        "cnnprof verify vgg@16 --fake --no-fvcore",
        "cnnprof verify lenet5 --format json",
    ),
)
def verify(
    specs: Specs,
    input: Inputs = None,
    set: Settings = None,
    batch: Annotated[int, typer.Option(help="Examples at once; 2 shows what grows with the batch.")] = 2,
    device: DeviceName = "cpu",
    fake: Annotated[
        bool,
        typer.Option("--fake", help="Fake tensors, which take no memory, even below 1 GB. fvcore needs real ones."),
    ] = False,
    no_fvcore: Annotated[bool, typer.Option("--no-fvcore", help="Do not ask fvcore.")] = False,
    format: TableOrJson = None,
    output: Output = None,
) -> None:
    """Set every figure beside PyTorch's; exit with 1 where they differ, naming the layer. Needs cnnprof[torch]."""
    from cnnprof.cli import BROKEN, complain
    from cnnprof.cli import verify as command
    from cnnprof.cli.output import deliver, format_of
    from cnnprof.render.verified import summary

    found = command.verified(specs, input or [], set or [], batch=batch, device=device, fake=fake, fvcore=not no_fvcore)
    deliver(command.render(found, format or format_of(output), output), output)
    if wrong := [each for each in found if not each.ok]:
        complain("\n".join(f"error: {summary(each)}" for each in wrong))
        raise typer.Exit(BROKEN)


@app.command(
    short_help="Latency and memory on a device. Needs cnnprof[torch].",
    epilog=_examples(
        "cnnprof measure lenet5 --batch 1,8 --seconds 0.2",
        "cnnprof measure lenet5 --against lenet5,classes=100 --seconds 0.2",
        "cnnprof measure lenet5 --separable --seconds 0.1",
        "cnnprof measure lenet5 --training --dtype bfloat16 --seconds 0.2 --format json",
    ),
)
def measure(
    specs: Specs,
    input: Inputs = None,
    set: Settings = None,
    batch: Annotated[
        str, typer.Option(metavar="N,N,...", help="Examples at once; several are measured in turn.")
    ] = "1",
    device: DeviceName = "auto",
    dtype: Dtype = "float32",
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Channels next to each other in memory.")
    ] = False,
    training: Annotated[
        bool, typer.Option("--training", help="A training step: forward, backward and an update by SGD.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Threads of the CPU. Default: as many as PyTorch takes.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.01, max=3600, help="For each thing that is timed at most, and as much to warm up.")
    ] = 2.0,
    against: Annotated[
        str | None, typer.Option(metavar="SPEC", help="Another network by turns, A B A B, and the ratio of the times.")
    ] = None,
    separable: Annotated[
        bool, typer.Option("--separable", help="Each convolution against its depthwise-separable replacement.")
    ] = False,
    top: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="The N slowest layers first. A terminal shows 15 by itself.")
    ] = None,
    format: TableOrJson = None,
    output: Output = None,
) -> None:
    """Latency and memory on a device beside the arithmetic, layer by layer and whole. Needs cnnprof[torch]."""
    from cnnprof.cli import measure as command
    from cnnprof.cli.output import deliver, format_of

    text, status = command.run(
        command.Wanted(
            specs=specs,
            inputs=input or [],
            settings=set or [],
            batch=batch,
            device=device,
            dtype=dtype,
            channels_last=channels_last,
            training=training,
            threads=threads,
            seconds=seconds,
            against=against,
            separable=separable,
            top=top,
            form=format or format_of(output),
            output=output,
        )
    )
    deliver(text, output)
    raise typer.Exit(status)


@app.command(
    short_help="Each figure of a layer as a formula with its numbers.",
    epilog=_examples(
        "cnnprof explain resnet@50 conv1.conv2d",
        "cnnprof explain resnet@50 conv3_x.0",
        "cnnprof explain resnet@50 'conv3_x.*.add.body' --only params,macs",
        "cnnprof explain lenet5 --only params,macs",
        "cnnprof explain mobilenet_v1 stem.conv.conv2d --batch 8 --format json",
    ),
)
def explain(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="As for analyze.")],
    layer: Annotated[
        str | None,
        typer.Argument(
            metavar="[LAYER]",
            help="Path of a layer, or of a merge or block: its sums; or a path pattern. Default: all.",
        ),
    ] = None,
    input: Inputs = None,
    set: Settings = None,
    batch: Batch = 1,
    dtype: Dtype = "float32",
    training: Training = False,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Of the sums of a block or network only these: params, buffers, macs, flops, activation_bytes, "
            "peak_bytes, training_bytes.",
        ),
    ] = None,
    format: ListFormat = "text",
    output: Output = None,
) -> None:
    """Each figure of a layer as a formula with its numbers; of a block or network as a sum."""
    from cnnprof.cli import explain as command
    from cnnprof.cli.output import deliver

    page = command.explain(
        spec,
        layer,
        inputs=input or [],
        settings=set or [],
        batch=batch,
        dtype=dtype,
        training=training,
        only=only,
        form=format,
        output=output,
    )
    deliver(page, output)


@app.command(
    short_help="Every combination of settings: its costs, and the best.",
    epilog=_examples(
        "cnnprof sweep mobilenet_v1 --set width=0.25:1.0:0.25 --input 3x128x128,3x160x160,3x192x192,3x224x224",
        "cnnprof sweep mobilenet_v1 --set width=0.25:1.0:0.25 --input 3x128x128,3x224x224 --max macs=300M",
        "cnnprof sweep resnet --variant 18,34,50 --columns params,macs,depth --plot params,macs",
        "cnnprof sweep lenet5 --batch 1,8,32 --columns peak_bytes,training_bytes --format csv",
    ),
)
def sweep(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="As for analyze.")],
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUES",
            help="Vary an argument: START:END:STEP, exact and END included, or A,B,C. Repeatable: every combination. "
            "Its column is KEY, or set.KEY where a metric or an option is called so.",
        ),
    ] = None,
    input: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="[NAME=]SHAPES", help="Vary the input: 3x128x128,3x160x160."),
    ] = None,
    variant: Annotated[str | None, typer.Option(metavar="A,B,...", help="Vary the variant.")] = None,
    batch: Annotated[str, typer.Option(metavar="N,...", help="Examples at once; several are varied.")] = "1",
    dtype: Annotated[str, typer.Option(metavar="TYPE,...", help="As for analyze; several are varied.")] = "float32",
    training: Training = False,
    max: Annotated[
        list[str] | None,
        typer.Option("--max", metavar="NAME=VALUE", help="Only rows with at most so much: macs=300M. Repeatable."),
    ] = None,
    pareto: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="What makes a row best: metrics, small; varied numbers, large; +NAME large, -NAME small. Default: all "
            "varied numbers, and macs and params unless --max limits something.",
        ),
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="The metrics to show. Default: params,macs,peak_bytes.")
    ] = None,
    sort: Annotated[str | None, typer.Option(metavar="METRIC", help="The smallest of a metric first.")] = None,
    plot: Annotated[
        str | None, typer.Option(metavar="X,Y", help="Plot two metrics or varied numbers. A terminal has one anyway.")
    ] = None,
    no_plot: Annotated[bool, typer.Option("--no-plot", help="No plot on a terminal.")] = False,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Processes; they change nothing else.")] = 1,
    exact: Exact = False,
    format: Format = None,
    output: Output = None,
) -> None:
    """Every combination of settings as a row: what it costs, and which are best."""
    from cnnprof.cli import WRONG, complain
    from cnnprof.cli import sweep as command
    from cnnprof.cli.output import deliver, format_of

    view = command.View(columns, exact, plot, no_plot, format or format_of(output))
    varied = command.axes(set or [], input or [], variant, batch, dtype)
    command.read_view(view, varied)
    found = command.run(spec, varied, training=training, limits=max or [], pareto=pareto, sort=sort, jobs=jobs)
    if len(found.wrong) < found.combinations:
        deliver(command.render(found, view, output), output)
    if found.wrong:
        complain(command.errors(found))
        raise typer.Exit(WRONG)


@app.command(
    short_help="List the architectures that come with cnnprof, or print one.",
    epilog=_examples("cnnprof specs", "cnnprof specs resnet", "cnnprof specs --format json"),
)
def specs(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Print this one as it is written.")] = None,
    format: ListFormat = "text",
) -> None:
    """List the architectures that come with cnnprof: their variants and arguments. With a NAME: its YAML file."""
    from cnnprof.cli import specs as command
    from cnnprof.cli.output import deliver, show
    from cnnprof.load import architectures
    from cnnprof.render import catalogue

    written = None if name is None else command.text(name)
    if written is not None and format == "text":
        deliver(written)
        return
    found = command.architectures(architectures() if name is None else [name])
    if format == "json":
        deliver(catalogue.architectures_json(found))
    else:
        deliver(show(catalogue.architectures(found), format, None))


@app.command(
    short_help="List the layer kinds, or show the manual page of one.",
    epilog=_examples("cnnprof kinds", "cnnprof kinds conv2d", "cnnprof kinds conv2d --format json"),
)
def kinds(
    word: Annotated[
        str | None,
        typer.Argument(metavar="[KIND]", help="Show the manual page of one kind, or the text of a block."),
    ] = None,
    format: ListFormat = "text",
) -> None:
    """List the layer kinds and the blocks that come with cnnprof, or show the manual page of a kind."""
    from cnnprof.cli.output import deliver, show
    from cnnprof.cli.specs import block
    from cnnprof.language import manual
    from cnnprof.language.spec import shipped_blocks
    from cnnprof.render import catalogue

    if word is None:
        listed = manual.summaries()
        document = catalogue.kinds(listed, list(shipped_blocks()))
        deliver(catalogue.kinds_json(listed) if format == "json" else show(document, format, None))
    elif format == "text" and (written := block(word)):
        deliver(written)
    else:
        page = manual.page(word)
        deliver(catalogue.page_json(page) if format == "json" else show(catalogue.page(page), format, None))


@app.command(
    short_help="The JSON Schema of specs, for editors.",
    epilog=_examples("cnnprof schema"),
)
def schema(output: Output = None) -> None:
    """The JSON Schema of specs, with which editors complete and check them."""
    import json

    from cnnprof.cli.output import deliver
    from cnnprof.language.schema import schema as made

    deliver(json.dumps(made(), indent=2, ensure_ascii=False) + "\n", output)
