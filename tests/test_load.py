"""What a SPEC stands for: `NAME|PATH[@VARIANT][,key=value…]`, or `-`."""

import io
import subprocess
from pathlib import Path

import pytest

import cnnprof
from cnnprof.cli import main
from cnnprof.errors import UsageError
from cnnprof.importers.tflite import UncountedWarning
from cnnprof.language.source import parse
from cnnprof.language.spec import read
from cnnprof.load import alike, architectures, locate
from tests.support.tflite_files import Op, T, write


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two specs and nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.yaml").write_text("a file")
    (tmp_path / "my.yml").write_text("another")
    return tmp_path


@pytest.mark.parametrize(
    ("spec", "name", "variant", "settings"),
    [
        ("net.yaml", "net.yaml", None, {}),
        ("./net.yaml", "./net.yaml", None, {}),
        ("net.yaml@small", "net.yaml", "small", {}),
        ("net.yaml,classes=10", "net.yaml", None, {"classes": "10"}),
        ("net.yaml@16_bn,a=[1, 2],b=x=y", "net.yaml", "16_bn", {"a": "[1, 2]", "b": "x=y"}),
        ("resnet", "resnet.yaml", None, {}),
        ("resnet@50,classes=10", "resnet.yaml", "50", {"classes": "10"}),
    ],
)
def test_gives(spec: str, name: str, variant: str | None, settings: dict[str, str]) -> None:
    located = locate(spec)
    assert (located.name, located.variant, dict(located.settings)) == (name, variant, settings)
    assert (located.text == b"a file") is ("resnet" not in name)


@pytest.mark.parametrize("name", ["resnet", "a@b.yaml", "a,b=c.yaml"])
def test_an_existing_path_wins(folder: Path, name: str) -> None:
    (folder / name).write_text("mine")
    assert locate(name) == (name, b"mine", None, {})


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"piped")))
    assert locate("-@small,a=1") == ("<stdin>", b"piped", "small", {"a": "1"})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nosuch.yaml", "there is no file `nosuch.yaml`"),
        ("dir/nosuch", "there is no file `dir/nosuch`"),
        ("net", "`net` is neither a file nor an architecture that comes with cnnprof; did you mean `net.yaml`?"),
        (
            "net@small,a=1",
            "`net` is neither a file nor an architecture that comes with cnnprof; did you mean `net.yaml`?",
        ),
        ("./net", "there is no file `./net`; did you mean `./net.yaml`?"),
        ("./my", "there is no file `./my`; did you mean `./my.yml`?"),
        ("resnt", "`resnt` is neither a file nor an architecture that comes with cnnprof; did you mean `resnet`?"),
        *[
            (name, f"`{name}` is neither a file nor an architecture that comes with cnnprof; did you mean `{meant}`?")
            for name, meant in [
                *[("resnet50", "resnet@50"), ("ResNet-18", "resnet@18"), ("efficientnet_b0", "efficientnet@b0")],
                *[("vgg16_bn", "vgg@16_bn"), ("mobilenet_v3_small", "mobilenet_v3@small"), ("vgg19", "vgg@19")],
                *[("densenet121", "densenet@121"), ("squeezenet1_0", "squeezenet@1_0"), ("r3d_18", "r3d@18")],
                *[("shufflenet_v2_x1_0", "shufflenet_v2@1.0"), ("fcn_resnet50", "fcn@resnet50")],
                *[("mobilenetv2", "mobilenet_v2"), ("InceptionV3", "inception_v3")],
            ]
        ],
        (".", f"`.` is a directory; a SPEC is a file, or one of: {', '.join(architectures())}"),
        ("net.yaml,a=1,b=2,a=3", "the SPEC `net.yaml,a=1,b=2,a=3` names `a` twice"),
        ("resnet@50,a=1,a=1", "the SPEC `resnet@50,a=1,a=1` names `a` twice"),
        ("a\0b/", "there is no file `a\\x00b/`"),
        ("x" * 5000 + ".yaml", f"there is no file `{'x' * 199}…`"),
    ],
    ids=[
        "no file",
        "no file in a folder",
        "without its ending",
        "without its ending, of a variant",
        "a path without its ending",
        "without the other ending",
        "nearly an architecture",
        *["as others call an architecture and its variant"] * 13,
        "a directory",
        "an argument twice",
        "the same twice",
        "NUL",
        "a name too long",
    ],
)
def test_refuses(spec: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        locate(spec)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", architectures())
def test_every_variant_is_found_by_its_name_without_the_sign(name: str) -> None:
    spec = read(parse(locate(name).text, name))
    for variant in spec.variants:
        for written in (f"{name}{variant}", f"{name}_{variant}", f"{name}-{variant}".upper()):
            if written not in architectures():
                assert alike(written) == f"did you mean `{name}@{variant}`?"


def test_a_file_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(UsageError) as caught:
        locate("net.yaml")
    assert str(caught.value) == "cannot read `net.yaml`: Permission denied"


def test_every_architecture_is_found_from_anywhere() -> None:
    for name in architectures():
        assert locate(name).text.startswith(b"# ")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with a spec of one commit, changed since; it is the working directory."""

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    spec = tmp_path / "specs" / "net.yaml"
    spec.parent.mkdir()
    spec.write_text("committed")
    git("add", ".")
    git("commit", "-m", "a spec")
    spec.write_text("changed")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("repository")
def test_a_file_at_a_revision() -> None:
    """Nothing is checked out; the rest of a SPEC follows as ever."""
    assert locate("specs/net.yaml").text == b"changed"
    assert locate("HEAD:specs/net.yaml@small,width=2") == ("HEAD:specs/net.yaml", b"committed", "small", {"width": "2"})


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("HEAD:specs/other.yaml", "the revision `HEAD` has no file `specs/other.yaml`"),
        ("c:specs/net.yaml", "there is no file `c:specs/net.yaml`"),
    ],
)
def test_refuses_what_a_revision_has_not(spec: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        locate(spec)
    assert str(caught.value) == message


@pytest.mark.usefixtures("repository")
def test_an_existing_path_wins_over_a_revision() -> None:
    Path("HEAD:specs").mkdir()
    Path("HEAD:specs/net.yaml").write_text("a file")
    assert locate("HEAD:specs/net.yaml").text == b"a file"


def test_a_variant_s_name_may_have_dots() -> None:
    assert locate("shufflenet_v2@0.5").variant == "0.5"
    with pytest.raises(UsageError) as caught:
        locate("models/a@b.yaml")
    assert str(caught.value) == "there is no file `models/a@b.yaml`"


# Arguments that nothing uses.

UNUSED = """cnnprof: 1
name: net
input: [3, 8, 8]
args: {width: 4, idle: 3}
variants: {wide: {width: 8, idle: 5}}
layers:
- conv2d: {out_channels: width, kernel_size: 1}
"""


def test_an_argument_that_nothing_uses_is_told(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(UNUSED, encoding="utf-8")
    assert cnnprof.analyze(f"{path}@wide").unused == ("idle",)
    path.write_text(UNUSED.replace("kernel_size: 1", "kernel_size: idle"), encoding="utf-8")
    assert cnnprof.analyze(str(path)).unused == ()


def test_what_is_said_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.yaml").write_text(UNUSED, encoding="utf-8")
    assert main(["analyze", "net.yaml"]) == 0
    assert "\nwarning: nothing uses the argument `idle`: its value changes nothing\n" in capsys.readouterr().out
    assert main(["sweep", "net.yaml", "--set", "idle=1,2"]) == 0
    assert capsys.readouterr().err == "warning: nothing uses the argument `idle`: varying it changes nothing\n"
    assert main(["sweep", "net.yaml", "--set", "width=1,2"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", architectures())
def test_what_comes_with_the_tool_uses_its_arguments(name: str) -> None:
    assert cnnprof.analyze(name).unused == ()


TFLITE = Path(__file__).parent / "golden" / "tflm" / "ds_cnn_kws.tflite"


def test_a_tensorflow_lite_file_is_a_spec():
    report = cnnprof.analyze(str(TFLITE))
    assert (report.name, report.totals.macs) == ("ds_cnn_kws", 2_656_768)
    assert cnnprof.unfold(str(TFLITE), training=True).training


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (f"{TFLITE}@small", {}, f"`{TFLITE}` is a TensorFlow Lite file, which takes neither a variant nor arguments"),
        (f"{TFLITE},width=2", {}, f"`{TFLITE}` is a TensorFlow Lite file, which takes neither a variant nor arguments"),
        (
            str(TFLITE),
            {"input": (1, 49, 10)},
            "a file of another format has its own shapes and no arguments: leave out input and args",
        ),
        ("net.tflite", {}, "there is no file `net.tflite`"),
    ],
)
def test_what_a_tensorflow_lite_file_does_not_take(spec, options, message):
    with pytest.raises(UsageError) as raised:
        cnnprof.unfold(spec, **options)
    assert str(raised.value) == message


def test_operators_whose_work_is_not_known_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tensors = [T("in", [1, 8, 8, 4], scales=1), T("a", [1, 8, 8, 4], scales=1), T("out", [1, 64, 4], scales=1)]
    Path("net.tflite").write_bytes(write(tensors, [Op("CUMSUM", [0], [1]), Op("RESHAPE", [1], [2])]))
    with pytest.warns(UncountedWarning) as said:
        report = cnnprof.analyze("net.tflite")
    assert [str(each.message) for each in said] == [
        "`net.tflite` has operators without a layer kind, whose work counts as 0: `CUMSUM`"
    ]
    assert [row.kind for row in report.layers] == ["opaque", "opaque"]
