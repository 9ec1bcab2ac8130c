"""What a SPEC stands for: `NAME|PATH[@VARIANT][,key=value…]`, or `-`."""

import io
import subprocess
from pathlib import Path

import pytest

import cnnprof
from cnnprof.cli import main
from cnnprof.errors import UsageError
from cnnprof.importers import reference
from cnnprof.language.source import parse
from cnnprof.language.spec import read
from cnnprof.lookup import alike, architectures, locate


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
    assert locate(name)[:4] == (name, b"mine", None, {})


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"piped")))
    assert locate("-@small,a=1")[:4] == ("<stdin>", b"piped", "small", {"a": "1"})


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
    assert locate("HEAD:specs/net.yaml@small,width=2")[:4] == (
        "HEAD:specs/net.yaml",
        b"committed",
        "small",
        {"width": "2"},
    )


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


# Networks in other formats.


@pytest.mark.parametrize(
    ("spec", "format", "module", "name", "settings"),
    [
        ("torch:pkg.models:Net", "torch", "pkg.models", "Net", {}),
        ("torch:torch:nn.ReLU", "torch", "torch", "nn.ReLU", {}),
        ("torch:some dir/net.py:build,depth=18,sizes=[1, 2]", "torch", "some dir/net.py", "build",
         {"depth": "18", "sizes": "[1, 2]"}),
        ("torch:C:\\net.py:Net", "torch", "C:\\net.py", "Net", {}),
        ("timm:resnet50.a1_in1k", "timm", "", "resnet50.a1_in1k", {}),
        ("torchvision:resnet50,num_classes=10", "torchvision", "", "resnet50", {"num_classes": "10"}),
    ],
)  # fmt: skip
def test_code_is_named(spec: str, format: str, module: str, name: str, settings: dict[str, str]) -> None:
    located = locate(spec)
    assert located.reference is not None
    assert located.reference[:1] + located.reference[2:4] == (format, module, name)
    assert dict(located.settings) == settings
    assert located.reference.runs_code


@pytest.mark.parametrize("name", ["torch:os:getcwd", "timm:resnet50"])
def test_an_existing_path_wins_over_code(folder: Path, name: str) -> None:
    (folder / name).write_text("mine")
    assert locate(name)[:4] == (name, b"mine", None, {})
    assert locate(name).reference is None


@pytest.mark.parametrize("spec", ["torch:net.yaml", "timm:specs/net.yaml", "timm:net.yaml", "torchvision:net.onnx"])
def test_what_names_no_code_is_a_file_of_a_revision(spec: str) -> None:
    with pytest.raises(UsageError, match=r"^(git knows no revision|the working directory is in no git)"):
        locate(spec)


@pytest.mark.parametrize(
    ("name", "format"), [("a.onnx", "onnx"), ("a@2.onnx", "onnx"), ("A.TFLITE", "tflite"), ("a.pt2", "pt2")]
)
def test_a_suffix_tells_the_format(folder: Path, name: str, format: str) -> None:
    (folder / name).write_bytes(b"")
    for spec in (name, f"{name},a=1"):
        located = locate(spec)
        assert located.reference is not None
        assert (located.name, located.variant, located.reference.format) == (name, None, format)
    assert locate(f"{name}@small").variant == "small"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("net.py", "`net.py` is not a spec; name the class or function in it: `torch:net.py:NAME`"),
        (
            "model.pth",
            "`model.pth` is not a spec; weights are not read: name their module, `torch:MODULE:NAME`, or export it to "
            ".onnx or .pt2",
        ),
        ("none.onnx", "there is no file `none.onnx`"),
        ("nets.py", "`nets.py` is not a spec; name the class or function in it: `torch:nets.py:NAME`; it has "
         "`Net`, `mine`"),
        ("torch:nets.py", "`torch:nets.py` names no network: name the class or function in it: `torch:nets.py:NAME`; "
         "it has `Net`, `mine`"),
        ("torch:nets.Net", "`torch:nets.Net` names no network: write `torch:nets.py:Net`"),
        ("torch:nets", "`torch:nets` names no network: write `torch:nets.py:NAME`"),
        ("torch:pkg.Net", "`torch:pkg.Net` names no network: write `torch:pkg:Net`"),
        ("torch:my-nets:Net", "`torch:my-nets:Net` names no network: write `torch:FILE.py:NAME` or "
         "`torch:MODULE:NAME`"),
        ("nets.py:Net", "`nets.py:Net` names no network: a PyTorch module is `torch:nets.py:Net`"),
        ("nets.py:MINE", "`nets.py:MINE` names no network: a PyTorch module is `torch:nets.py:MINE`; it has `Net`, "
         "`mine`"),
        ("long.py", "`long.py` is not a spec; name the class or function in it: `torch:long.py:NAME`; it has `f0`, "
         "`f1`, `f2`, `f3`, `f4`, `f5`, `f6`, `f7`, and 2 more"),
        ("none.py", "`none.py` is neither a file nor an architecture that comes with cnnprof; name the class or "
         "function in it: `torch:none.py:NAME`"),
    ],
)  # fmt: skip
def test_what_people_type_first(folder: Path, spec: str, message: str) -> None:
    (folder / "net.py").write_text("raise SystemExit('it ran')")
    (folder / "nets.py").write_text("class Net: ...\ndef mine(): ...\ndef _own(): ...\nraise SystemExit('it ran')")
    (folder / "long.py").write_text("".join(f"def f{number}(): ...\n" for number in range(10)))
    (folder / "model.pth").write_bytes(b"\x80\x04.")
    with pytest.raises(UsageError) as caught:
        locate(spec)
    assert str(caught.value) == message


def test_names_of_code_that_python_would_warn_of(folder: Path) -> None:
    """Its warnings quote lines of the file."""
    (folder / "nets.py").write_text("class Net: ...\nPATTERN = '\\d'\n")
    assert reference.defined("nets.py") == ["Net"]


def test_a_module_without_torch_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"^`pkg\.models:Net` names no network: a PyTorch module is `torch:pkg\.mod"):
        locate("pkg.models:Net")


@pytest.mark.parametrize(
    ("installed", "hint"),
    [
        ((), "did you mean `resnet@50`?"),
        (("torchvision",), "did you mean `resnet@50`?; `torchvision:resnet50`"),
        (("torchvision", "timm"), "did you mean `resnet@50`?; `torchvision:resnet50` or `timm:resnet50`"),
    ],
)
def test_a_name_that_a_library_may_have(installed: tuple[str, ...], hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "find_spec", lambda name: name if name in installed else None)
    with pytest.raises(UsageError) as caught:
        locate("resnet50")
    assert str(caught.value).endswith(f"; {hint}")


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("net.onnx@small", {}, "`net.onnx` is an ONNX file, which has no variants: leave out `small`"),
        ("net.onnx", {"variant": "small"}, "`net.onnx` is an ONNX file, which has no variants: leave out `small`"),
        ("net.onnx,width=2", {}, "`net.onnx` is an ONNX file, which takes no arguments: leave out `width`"),
        ("net.onnx", {"args": {"width": 2}}, "`net.onnx` is an ONNX file, which takes no arguments: leave out `width`"),
        ("torch:os:getcwd@a", {}, "`torch:os:getcwd` is a PyTorch module, which has no variants: leave out `a`"),
    ],
)
def test_what_only_specs_take(folder: Path, spec: str, options: dict[str, object], message: str) -> None:
    (folder / "net.onnx").write_bytes(b"")
    with pytest.raises(UsageError) as caught:
        cnnprof.analyze(spec, **options)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_a_sweep_takes_none(folder: Path) -> None:
    (folder / "net.onnx").write_bytes(b"")
    message = "`net.onnx` is an ONNX file, which has no arguments to vary: a sweep takes a spec, or code"
    for spec in ("net.onnx", Path("net.onnx")):
        with pytest.raises(UsageError) as caught:
            cnnprof.sweep(spec, batch=[1, 2])
        assert str(caught.value) == message
