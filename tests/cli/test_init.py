"""`cnnprof init`: a project file for what is there, which holds as it is written."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from cnnprof.gate import first
from tests.support.commands import Run
from tests.support.networks import network

ROOT = Path(__file__).parents[2]
NET = network("- conv2d: {out_channels: width, kernel_size: 3}\n- relu", header="args: {width: 4}")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two networks, and files that are none."""
    for name in ("CI", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "models/a.yaml": NET, "models/deep/[b] c.yml": NET + "variants: {wide: {width: 8}}\n",
        "docker-compose.yaml": "services: {}\n", "text.md": NET, ".hidden/x.yaml": NET, "venv/lib/y.yaml": NET,
        "venv/pyvenv.cfg": "", "models/note.yaml": "about: 'cnnprof: 1'\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_it_writes_holds(folder: Path, run: Run) -> None:
    done = run("init")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("wrote cnnprof.yaml: 3 networks; `cnnprof check` compares them\n")
    assert "- id: cnnprof-check\n" in done.out
    assert "uses: OWNER/cnnprof@COMMIT\n" in done.out
    project = yaml.safe_load((folder / "cnnprof.yaml").read_text())
    assert project["budgets"] == [
        {"name": "a", "files": ["models/a.yaml"],
         "max": {"params": 112, "macs": "3.89K", "peak_activation_bytes": "1350 B"}},
        {"name": "[b] c", "files": ["models/deep/[[]b] c.yml"],
         "max": {"params": 112, "macs": "3.89K", "peak_activation_bytes": "1350 B"}},
        {"name": "[b] c@wide", "files": ["models/deep/[[]b] c.yml"], "variant": "wide",
         "max": {"params": 224, "macs": "7.78K", "peak_activation_bytes": "1920 B"}},
    ]  # fmt: skip
    done = run("check")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("3 networks: 0 over budget, 3 within\n")


def test_an_estimate_says_so(folder: Path, run: Run) -> None:
    text = "cnnprof: 1\nname: e\ninput: [4, 8, 8]\nlayers:\n- permute: {dims: [0, 2, 3, 1]}\n- flatten\n"
    (folder / "models" / "a.yaml").write_text(text)
    assert run("init").code == 0
    written = (folder / "cnnprof.yaml").read_text()
    assert written.count("\n  # ≈ peak_activation_bytes: an estimate\n") == 1
    assert run("check").code == 0


def test_the_architectures_that_come_with_the_tool(folder: Path, run: Run) -> None:
    """More networks than budgets of their own: one for each folder and variant, and it holds."""
    shutil.copytree(ROOT / "specs", folder / "specs")
    assert len(list((folder / "specs").glob("*.yaml"))) > 15
    done = run("init", "specs")
    assert (done.code, done.err) == (0, "")
    done = run("check")
    assert (done.code, done.err) == (0, "")
    assert "no budget covers" not in done.out


def test_many_networks_are_limited_by_folder(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first, "MOST_NETWORKS", 2)
    (folder / "models" / "z.yaml").write_text(NET.replace("width: 4", "width: 5"))
    assert run("init").code == 0
    budgets = yaml.safe_load((folder / "cnnprof.yaml").read_text())["budgets"]
    assert [(each["name"], each["max"]["params"]) for each in budgets] == [
        ("models", 140), ("models/deep", 112), ("models/deep@wide", 224)]  # fmt: skip
    assert run("check").code == 0


def test_what_is_wrong_is_left_out_and_said(folder: Path, run: Run) -> None:
    (folder / "models" / "wrong.yaml").write_text(NET.replace("relu", "rleu"))
    done = run("init")
    assert done.code == 0
    assert done.err == "note: models/wrong.yaml is left out: `rleu` is neither a layer kind nor a block\n"
    assert "wrong" not in (folder / "cnnprof.yaml").read_text()


def test_workflows(folder: Path, run: Run) -> None:
    assert run("init", "--github").code == 0
    for name in ("networks.yml", "networks-comment.yml"):
        written = (folder / ".github" / "workflows" / name).read_text(encoding="utf-8")
        assert written == first.snippet(name)  # of a project at the top of its repository
        assert yaml.safe_load(written)["jobs"]


def repository(folder: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)


def test_a_project_file_elsewhere_is_for_its_folder(folder: Path, run: Run) -> None:
    """Its patterns begin there, and what runs it is told where it is."""
    repository(folder)
    done = run("init", "--to", "models/nets.yaml")
    assert done.out.startswith(
        "wrote models/nets.yaml: 3 networks; `cnnprof check --config models/nets.yaml` compares them\n"
    )
    text = (folder / "models" / "nets.yaml").read_text()
    assert [each["files"] for each in yaml.safe_load(text)["budgets"]] == [
        ["a.yaml"], ["deep/[[]b] c.yml"], ["deep/[[]b] c.yml"]]  # fmt: skip
    assert "`cnnprof check --config nets.yaml` compares" in text
    assert run("check", "--config", "models/nets.yaml").code == 0
    assert "    args: [--config, models/nets.yaml]\n" in done.out
    (workflow,) = yaml.safe_load(done.out[done.out.index("# Checks the") : done.out.index("\nOWNER")])["jobs"].values()
    given = workflow["steps"][-1]["with"]
    assert (given["working-directory"], given["args"]) == ("models", "--config nets.yaml")


def test_the_hook_sees_the_networks_and_nothing_else(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder below the top of the repository, whose paths pre-commit goes by."""
    repository(folder)
    inside = folder / "team"
    shutil.move(folder / "models", inside / "models")
    (inside / "networks").mkdir()
    (inside / "networks" / "d.yaml").write_text(NET)
    (inside / "networks" / "wrong.yaml").write_text(NET.replace("relu", "rleu"))
    monkeypatch.chdir(inside)
    out = run("init").out
    (hooks,) = yaml.safe_load(out[out.index("repos:") : out.index("\nIn pull")])["repos"]
    pattern = re.compile(hooks["hooks"][0]["files"])
    seen = ["models/a.yaml", "models/deep/[b] c.yml", "models/deep/new.yaml", "networks/d.yaml", "networks/wrong.yaml"]
    assert all(pattern.search(f"team/{name}") for name in seen)
    others = ["models/note.yaml", "docker-compose.yaml", "cnnprof.yaml", "networks/deep/x.yaml", "networks/d.json"]
    assert not any(pattern.search(f"team/{name}") for name in others)
    assert not pattern.search("models/a.yaml")
    assert hooks["hooks"][1] == {"id": "cnnprof-check", "args": ["--config", "team/cnnprof.yaml"]}


def test_networks_in_other_formats_have_no_hook_of_their_own(folder: Path, run: Run) -> None:
    shutil.copy(ROOT / "tests" / "docs" / "keywords.onnx", folder / "net.onnx")
    out = run("init", "net.onnx").out
    assert "cnnprof-validate" not in out
    assert "- id: cnnprof-check\n" in out


def test_workflows_go_to_the_top_of_the_repository(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(folder)
    monkeypatch.chdir(folder / "models")
    assert "\nwrote ../.github/workflows/networks.yml\n" in run("init", "--github").out
    (job,) = yaml.safe_load((folder / ".github/workflows/networks.yml").read_text())["jobs"].values()
    assert job["steps"][-1]["with"]["working-directory"] == "models"
    assert "args" not in job["steps"][-1]["with"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["text.md"], "found no network: no file has the key `cnnprof`, or is .onnx, .pt2 or .tflite; of 1 that may be "
                      "one none can be read: "),
        (["empty"], "found no network: no file has the key `cnnprof`, or is .onnx, .pt2 or .tflite; of a network in "
                    "code `cnnprof convert torch:FILE.py:NAME --input 3x224x224 -o net.yaml` makes such a file, with "),
        (["nets/mine.py"], "init runs no code, found `nets/mine.py`; `cnnprof convert torch:nets/mine.py:NAME "),
        (["torch:my file.py:Net,width=2"], "init runs no code, found `torch:my file.py:Net,width=2`; `cnnprof convert "
                                           "'torch:my file.py:Net,width=2' --input 3x224x224 -o net.yaml` makes "),
        (["models", "timm:resnet18"], "init runs no code, found `timm:resnet18`; `cnnprof convert timm:resnet18 "),
        (["none"], "found nothing at `none`, neither a file nor a folder\n"),
        ([".."], "`..` is not below the folder where the project file goes\n"),
        (["--to", "none/p.yaml"], "cannot write `none/p.yaml`: there is no folder `none`\n"),
        (["--to", ""], "init writes YAML: name a file that ends in .yaml (--to), found ``\n"),
        (["--to", "models/"], "init writes YAML: name a file that ends in .yaml (--to), found `models/`\n"),
        (["models", "--to", "empty/p.yaml"], "`models` is not below the folder where the project file goes\n"),
        (["--to", "cnnprof.toml"], "init writes YAML: name a file that ends in .yaml (--to), found `cnnprof.toml`\n"),
        (["--to", "models/a.yaml"], "`models/a.yaml` is there already: remove it, or name another file (--to)\n"),
    ],
)  # fmt: skip
def test_refuses(folder: Path, run: Run, arguments: list[str], message: str) -> None:
    (folder / "text.md").write_text("cnnprof: {")
    (folder / "empty").mkdir()
    done = run("init", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {message}")
    assert not (folder / "cnnprof.yaml").exists()


def test_a_project_file_is_never_replaced(folder: Path, run: Run) -> None:
    (folder / "cnnprof.yaml").write_text("mine")
    assert run("init", "--github").code == 2
    assert (folder / "cnnprof.yaml").read_text() == "mine"
    assert not (folder / ".github").exists()


def test_a_folder_with_too_many_files(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first, "MOST_FILES", 3)
    assert run("init").err == "error: the folder has more than 3 files: name those that have networks\n"


def test_links_that_lead_out_are_not_followed(folder: Path, run: Run) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "net.yaml").write_text(NET)
    (folder / "linked.yaml").symlink_to(outside / "net.yaml")
    (folder / "!not.yaml").write_text(NET)
    (folder / ".github").symlink_to(outside)
    done = run("init", "--github")
    assert (done.code, sorted(path.name for path in outside.iterdir())) == (2, ["net.yaml"])
    assert done.err.endswith("would be written elsewhere: it is reached through a symbolic link\n")
    assert "linked" not in run("init", "--to", "-").out
    assert run("init").code == 0
    assert run("check").code == 0
