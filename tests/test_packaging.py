"""What is in the package, what it asks for, and the project's own checks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
import yaml

import cnnprof

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def git(*arguments: str, cwd: Path) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)


def name_of(requirement: str) -> str:
    """`torch>=2.4` → `torch`."""
    return re.split(r"[^\w-]", requirement)[0].lower()


# The package.


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling", reason="hatchling is not installed: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_holds_what_the_tool_needs(wheel):
    """Modules, the mark of a typed package, and every spec, beside the modules."""
    names = set(wheel.namelist())
    sources = {f"cnnprof/{path.relative_to(ROOT / 'cnnprof').as_posix()}" for path in (ROOT / "cnnprof").rglob("*.py")}
    specs = {f"cnnprof/specs/{path.name}" for path in (ROOT / "specs").glob("*.yaml")}
    assert specs
    assert names >= sources | specs | {"cnnprof/py.typed"}
    assert names >= {f"cnnprof/render/html/{name}" for name in ("page.css", "page.js")}
    blocks = ROOT / "cnnprof" / "language" / "blocks.yaml"
    assert ("cnnprof/language/blocks.yaml" in names) == blocks.exists()


def test_the_wheel_holds_nothing_else(wheel):
    assert {name.split("/")[0] for name in wheel.namelist()} == {"cnnprof", f"cnnprof-{cnnprof.__version__}.dist-info"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name]


def test_the_wheel_knows_its_command_and_its_extras(wheel):
    folder = f"cnnprof-{cnnprof.__version__}.dist-info"
    assert "cnnprof = cnnprof.cli:main" in wheel.read(f"{folder}/entry_points.txt").decode()
    text = wheel.read(f"{folder}/METADATA").decode()
    assert f"Version: {cnnprof.__version__}" in text.splitlines()
    plain = [line for line in text.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    names = [re.match(r"Requires-Dist: ([\w-]+)", line)[1].lower() for line in plain]
    assert sorted(names) == ["pyyaml", "rich", "typer"]


def test_what_is_installed_is_this_version():
    """The tests run with the package installed, from the tree or beside it."""
    assert metadata.version("cnnprof") == cnnprof.__version__


def test_the_extra_torch_is_what_the_runtime_imports():
    extra = PYPROJECT["project"]["optional-dependencies"]["torch"]
    assert {name_of(requirement) for requirement in extra} == {"torch", "fvcore"}


def test_every_tool_is_pinned():
    """A new machine gets what the checks were last run with."""
    lines = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    project = PYPROJECT["project"]
    asked = chain(project["dependencies"], *project["optional-dependencies"].values())
    assert {name_of(requirement) for requirement in asked} <= pinned


def test_the_lowest_versions_are_those_that_are_asked_for():
    """And there are no others: `.ci/run` runs the fast tests with them."""
    project = PYPROJECT["project"]
    asked = chain(project["dependencies"], *project["optional-dependencies"].values())
    least = dict(found.groups() for each in asked if (found := re.match(r"([\w-]+)>=([\d.]+)", each)))
    of_docs = {"mkdocs-material"}
    lines = [line for line in (ROOT / ".ci/lowest.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    pinned = dict(line.split("==") for line in lines if not line.startswith("click=="))
    assert pinned.keys() == least.keys() - of_docs
    assert not [
        name
        for name, version in pinned.items()
        if not re.fullmatch(rf"{re.escape(least[name])}(\.0|\.post\d+)*", version)
    ]


def test_the_classifiers_name_the_pythons_that_were_run():
    """Those that the workflow runs: the first with everything, the others without PyTorch."""
    classifiers = PYPROJECT["project"]["classifiers"]
    versions = [text.split(" :: ")[-1] for text in classifiers if re.search(r":: 3\.\d+$", text)]
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    run = [step["with"]["python-version"] for step in jobs["checks"]["steps"] if "with" in step]
    assert versions == [*run, *jobs["without-pytorch"]["strategy"]["matrix"]["python-version"]]


# The project's own checks.


def test_the_workflow_runs_what_everyone_runs():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML 1.1 reads `on` so
    assert [step["run"] for step in workflow["jobs"]["checks"]["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]


def pre_commit(*arguments: str, cwd: Path, home: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("pre_commit", reason="pre-commit is not installed: pip install -e '.[dev]'")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", *arguments],
        cwd=cwd,
        env={**environment, "PATH": path, "PRE_COMMIT_HOME": str(home)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture
def repository(tmp_path):
    """A repository with this project's configuration and one module."""
    folder = tmp_path / "repository"
    (folder / "cnnprof").mkdir(parents=True)
    for name in (".pre-commit-config.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "cnnprof" / "__init__.py").write_text('"""A package."""\n', encoding="utf-8")
    (folder / "cnnprof" / "clean.py").write_text('"""A module."""\n\nANSWER = 42\n', encoding="utf-8")
    git("init", "--quiet", cwd=folder)
    git("add", ".", cwd=folder)
    return folder


def test_the_hooks_pass_on_clean_files(repository, tmp_path):
    for hook in ("ruff-check", "ruff-format", "mypy"):
        done = pre_commit("run", hook, "--all-files", cwd=repository, home=tmp_path / "home")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("hook", "text", "said"),
    [
        (
            "ruff-check",
            '"""A module."""\n\nimport yaml\n\nprint(yaml)\n',
            "cnnprof/language/source.py is the only file",
        ),
        ("ruff-format", '"""A module."""\n\nANSWER=42\n', "files were modified by this hook"),
        ("mypy", '"""A module."""\n\n\ndef answer():\n    return 42\n', "missing a return type annotation"),
    ],
)
def test_the_hooks_find_what_is_wrong(repository, tmp_path, hook, text, said):
    (repository / "cnnprof" / "wrong.py").write_text(text, encoding="utf-8")
    git("add", ".", cwd=repository)
    done = pre_commit("run", hook, "--all-files", cwd=repository, home=tmp_path / "home")
    assert done.returncode == 1
    assert said in done.stdout


def test_the_configuration_of_the_hooks_is_valid(tmp_path):
    done = pre_commit("validate-config", str(ROOT / ".pre-commit-config.yaml"), cwd=tmp_path, home=tmp_path / "home")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_hooks_run_what_ci_runs():
    """So that what a commit passes, the checks pass."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for hook in HOOKS:
        program, *arguments = hook["entry"].removesuffix(" --force-exclude").split()
        assert " ".join([f'"$bin/{program}"', *arguments]) in script
