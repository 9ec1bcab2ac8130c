"""Kinds from installed packages: an entry point each, looked for only when a word is unknown.

Each test runs in a process of its own, with the packages in a folder on its path, as if installed there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

from cnnprof.language import registry
from cnnprof.language.spec import shipped_blocks
from tests.docs import kinds as tabulated

ROOT = Path(__file__).parents[2]
SPEC = """\
cnnprof: 1
name: net
input: [8, 4, 4]
args: {act: swish}
layers:
  - conv2d: {out_channels: 8, kernel_size: 1, bias: false}
  - swish
  - swish: {beta: 1.5}
    name: sharp
  - act
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which pip has installed tests/plugin_package."""
    pytest.importorskip("pip", reason="pip is not installed")
    folder = tmp_path_factory.mktemp("site")
    # Without isolation nothing is fetched: the development environment has what builds the package.
    isolation = ["--no-build-isolation"] if find_spec("hatchling") else []
    quiet = ["--quiet", "--disable-pip-version-check", "--no-deps"]
    command = [sys.executable, "-m", "pip", "install", *quiet, *isolation, "--target", str(folder)]
    done = subprocess.run(
        [*command, str(ROOT / "tests" / "plugin_package")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def package(folder: Path, name: str, entries: str, **modules: str) -> None:
    """Writes what pip leaves behind of a package: its metadata, its entry points, its modules."""
    metadata = folder / f"{name}-2.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(f"[cnnprof.kinds]\n{entries}\n", encoding="utf-8")
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(textwrap.dedent(text), encoding="utf-8")


def python(code: str, *folders: Path) -> str:
    """What a process prints that runs `code` with these folders on its path."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*folders, *filter(None, sys.path)]))},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


def error(code: str, *folders: Path) -> str:
    """The message of the CnnprofError that `code` raises, after its class."""
    indented = textwrap.indent(textwrap.dedent(code), "    ")
    caught = "except CnnprofError as error:\n    print(f'{type(error).__name__}: {error}')"
    return python(f"from cnnprof.errors import CnnprofError\ntry:\n{indented}\n{caught}", *folders)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


# An installed kind.


def test_an_installed_kind_is_analysed(site, spec):
    """Bare, with fields, and as the value of an argument."""
    printed = python(
        f"""
        import cnnprof
        for row in cnnprof.analyze({str(spec)!r}).layers:
            print(row.path, row.kind, row.flops)
        """,
        site,
    )
    values = 8 * 4 * 4
    assert printed.splitlines() == [
        f"conv2d conv2d {2 * values * 8}",
        f"swish swish {6 * values}",
        f"sharp swish {6 * values}",
        f"act swish {6 * values}",
    ]


def test_its_fields_are_checked(site, spec):
    spec.write_text(SPEC.replace("beta", "betta"), encoding="utf-8")
    assert error(f"import cnnprof; cnnprof.analyze({str(spec)!r})", site) == (
        f"SpecError: {spec}:8:13: error: `swish` has no field `betta`\n"
        "  8 |   - swish: {betta: 1.5}\n"
        "    |             ^\n"
        "  hint: did you mean `beta`?"
    )


@pytest.mark.torch
def test_its_module_is_built(site, spec):
    printed = python(f"import cnnprof; print(cnnprof.build({str(spec)!r}).sharp)", site)
    assert printed == "Call(swish beta=1.5)"


@pytest.mark.torch
def test_its_rules_agree_with_pytorch(site):
    python(
        "from tests.support.against_torch import same; from cnnprof_swish import Swish; same(Swish(beta=2), (4, 8))",
        site,
    )


def test_it_is_listed_with_its_package_and_not_imported(site):
    printed = python(
        """
        import sys
        from cnnprof.language import registry
        print(*((word, plugin.package) for word, plugin in registry.plugins().items()))
        print("cnnprof_swish" in sys.modules, registry.plugins()["swish"].load().__name__)
        """,
        site,
    )
    assert printed.splitlines() == ["('swish', 'cnnprof-swish 1.0')", "False Swish"]


def test_editors_know_it(site):
    printed = python(
        """
        from cnnprof.language import registry
        from cnnprof.language.schema import schema
        swish = schema()["definitions"]["step"]["properties"]["swish"]["properties"]
        print(swish["beta"])
        with registry.without_plugins():
            print("swish" in schema()["definitions"]["step"]["properties"])
        """,
        site,
    )
    description = "how sharply it bends at 0 (a number; default 1.0)"
    assert printed.splitlines() == [
        str({"description": description, "default": 1.0, "type": ["number", "string"]}),
        "False",
    ]


# Without.

BARE = "cnnprof: 1\ninput: [8, 4, 4]\nlayers:\n  - swish\n"
UNKNOWN = """\
:4:5: error: `swish` is neither a layer kind nor a block
  4 |   - swish
    |     ^
  hint: did you mean `silu`?"""


def test_it_is_unknown_where_plugins_are_turned_off(site, spec):
    spec.write_text(BARE, encoding="utf-8")
    message = error(
        f"""
        import cnnprof
        from cnnprof.language import registry
        cnnprof.analyze({str(spec)!r})  # found, and all the same unknown below
        with registry.without_plugins():
            assert not registry.plugins()
            cnnprof.analyze({str(spec)!r})
        """,
        site,
    )
    assert message == f"SpecError: {spec}{UNKNOWN}"


def test_it_is_unknown_where_it_is_not_installed(spec):
    spec.write_text(BARE, encoding="utf-8")
    assert error(f"import cnnprof; cnnprof.analyze({str(spec)!r})") == f"SpecError: {spec}{UNKNOWN}"


def test_plugins_are_on_again_afterwards(site):
    printed = python(
        """
        from cnnprof.language import registry
        try:
            with registry.without_plugins():
                print(registry.find("swish"))
                raise KeyError
        except KeyError:
            print(registry.find("swish").word)
        """,
        site,
    )
    assert printed.splitlines() == ["None", "swish"]


def test_packages_are_looked_for_only_when_a_word_is_unknown(site, spec):
    """A network with blocks, arguments and expressions, and one that uses the kind."""
    printed = python(
        f"""
        import sys
        import cnnprof
        from cnnprof.language import registry
        for name in ("resnet", "mobilenet_v1", "googlenet"):
            cnnprof.analyze(name)
            print(registry._installed.cache_info().currsize, "cnnprof_swish" in sys.modules)
        cnnprof.analyze({str(spec)!r})
        print(registry._installed.cache_info().currsize, "cnnprof_swish" in sys.modules)
        """,
        site,
    )
    assert printed.splitlines() == ["0 False", "0 False", "0 False", "1 True"]


# A word that is no kind.


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("ReLU", "relu"),
        ("Conv2D", "conv2d"),
        ("conv_2d", "conv2d"),
        ("MaxPool3d", "max_pool3d"),
        ("batch-norm", "batch_norm"),
        ("Conv-BN", "conv_bn"),
        ("BatchNorm2d", "batch_norm"),
        ("conv", "conv2d"),
        ("maxpool", "max_pool2d"),
        ("dense", "linear"),
        ("fc", "linear"),
        ("MaxPooling1D", "max_pool1d"),
        ("global_avg_pool", "adaptive_avg_pool2d: {output_size: 1}"),
        ("GlobalAveragePooling1D", "adaptive_avg_pool1d: {output_size: 1}"),
        ("gap", "adaptive_avg_pool2d: {output_size: 1}"),
        ("DepthwiseConv2D", "conv2d: {groups: in_channels, …}"),
        ("Conv2DTranspose", "conv_transpose2d"),
        ("bn", "batch_norm"),
        ("lrn", "local_response_norm"),
        ("swish", "silu"),
        ("upsample", "interpolate"),
        ("relux", "relu"),
        ("dense_layr", "dense_layer"),
    ],
)
def test_a_word_from_elsewhere_is_known(word, ours):
    known = [*registry.kinds(), "conv_bn", *shipped_blocks()]
    assert registry.suggestion(word, known) == f"did you mean `{ours}`?"


@pytest.mark.parametrize(("axes", "found"), [(1, 1), (2, 2), (3, 3), (None, 2), (0, 2), (4, 2)])
def test_a_word_that_leaves_the_axes_open_takes_those_at_hand(axes, found):
    known = list(registry.kinds())
    assert registry.suggestion("maxpool", known, axes) == f"did you mean `max_pool{found}d`?"
    assert registry.suggestion("gap", known, axes) == f"did you mean `adaptive_avg_pool{found}d: {{output_size: 1}}`?"
    assert registry.suggestion("MaxPool3d", known, axes) == "did you mean `max_pool3d`?"


def test_what_is_called_otherwise_elsewhere_is_a_kind_here():
    assert len(registry.CALLED) > 50
    for called, written in registry.CALLED.items():
        for axes in "123" if "#" in written else "2":
            word, _, fields = written.replace("#", axes).partition(": ")
            if word in shipped_blocks():
                continue
            assert word in registry.kinds(), called
            named = {field.partition(":")[0] for field in fields.strip("{}").split(", ") if ":" in field}
            assert named <= registry.kinds()[word].fields.keys(), called
            assert bool(named) == bool(fields), called


@pytest.mark.parametrize("called", registry.CALLED)
def test_every_entry_is_used(called):
    """It is in the form that words are looked up in, and no kind's own name comes before it."""
    axes = "2" if "#" in registry.CALLED[called] else ""
    ours = registry.CALLED[called].replace("#", axes)
    assert registry.suggestion(called, [*registry.kinds(), *shipped_blocks()]) == f"did you mean `{ours}`?"


# Packages that claim or break something.


def test_a_built_in_kind_is_not_replaced(site, tmp_path):
    package(
        tmp_path,
        "thief",
        "relu = thief:ReLU",
        thief="""
        raise SystemExit("imported")
        """,
    )
    printed = python(
        """
        from cnnprof.language import registry
        print(registry.find("swish").__module__, registry.find("relu").__module__, *registry.plugins())
        """,
        site,
        tmp_path,
    )
    assert printed == "cnnprof_swish cnnprof.kinds.activation swish"


REFUSED = [
    pytest.param(
        "lost = no_such_module:Lost",
        "",
        "the kind `lost` of the package `broken 2.0` cannot be imported from `no_such_module:Lost`: "
        "ModuleNotFoundError: No module named 'no_such_module'",
        id="no such module",
    ),
    pytest.param(
        "lost = broken:Lost",
        "",
        "the kind `lost` of the package `broken 2.0` cannot be imported from `broken:Lost`: "
        "AttributeError: module 'broken' has no attribute 'Lost'",
        id="no such class",
    ),
    pytest.param(
        "lost = broken:Lost",
        "1 / 0",
        "the kind `lost` of the package `broken 2.0` cannot be imported from `broken:Lost`: "
        "ZeroDivisionError: division by zero",
        id="fails to import",
    ),
    pytest.param(
        "lost = broken:Lost",
        "class Lost: word = 'lost'",
        "the kind `lost` of the package `broken 2.0` is not a subclass of `cnnprof.model.kind.Kind`: `broken:Lost`",
        id="no kind",
    ),
    pytest.param(
        "lost = broken:lost",
        "def lost(): pass",
        "the kind `lost` of the package `broken 2.0` is not a subclass of `cnnprof.model.kind.Kind`: `broken:lost`",
        id="no class",
    ),
    pytest.param(
        "lost = broken:Lost",
        "from cnnprof.model.kind import Kind\nclass Lost(Kind, word='found'): pass",
        "the kind `lost` of the package `broken 2.0` calls itself `found`: "
        "its entry point and its class must give one word",
        id="another word",
    ),
]


@pytest.mark.parametrize(("entry", "module", "message"), REFUSED)
def test_a_broken_package_says_what_is_wrong(tmp_path, spec, entry, module, message):
    package(tmp_path / "site", "broken", entry, broken=module)
    spec.write_text(SPEC.replace("swish", "lost"), encoding="utf-8")
    assert error(f"import cnnprof; cnnprof.analyze({str(spec)!r})", tmp_path / "site") == f"UsageError: {message}"


def test_a_broken_package_is_silent_until_it_is_asked_for(site, spec, tmp_path):
    """Another package's kind, a misspelt word, the listing and the schema: none of them meets it."""
    package(tmp_path / "site", "broken", "lost = broken:Lost", broken="1 / 0")
    printed = python(
        f"""
        import cnnprof
        from cnnprof.language import registry
        from cnnprof.language.schema import schema
        print(len(cnnprof.analyze({str(spec)!r}).layers), registry.find("conv4d"), *registry.plugins())
        print("swish" in schema()["definitions"]["step"]["properties"])
        """,
        site,
        tmp_path / "site",
    )
    assert printed.splitlines() == ["4 None lost swish", "True"]


def test_two_packages_with_one_word_are_refused(site, tmp_path):
    package(tmp_path, "other", "swish = cnnprof_swish:Swish")
    assert error("from cnnprof.language import registry; registry.find('swish')", site, tmp_path) == (
        "UsageError: several packages offer a kind `swish`: `cnnprof-swish 1.0`, `other 2.0`; uninstall all but one"
    )


def test_the_table_of_kinds_is_generated() -> None:
    """`cog -r -I . cnnprof/kinds/__init__.py` writes it."""
    assert list(registry.CLASSES.items()) == list(tabulated.classes().items())
