"""The workflow and the action that `docs/gate-your-ci.md` shows."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from cnnprof.cli.check import read_reports

PAGE = (Path(__file__).parents[2] / "docs" / "gate-your-ci.md").read_text(encoding="utf-8")
ACTION = yaml.safe_load((Path(__file__).parents[2] / "action.yml").read_text(encoding="utf-8"))
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]


def test_the_pages_workflow_is_whole() -> None:
    """A file of GitHub's as it stands: `on` is the truth to YAML 1.1."""
    (workflow,) = [block for block in BLOCKS if "jobs" in block]
    assert set(workflow) == {"name", True, "jobs"}
    assert set(workflow[True]) == {"pull_request", "push"}
    ((_, job),) = workflow["jobs"].items()
    assert job["runs-on"] == "ubuntu-latest"
    assert all(set(step) <= {"uses", "with", "run"} for step in job["steps"])
    checkout, *_, install, check = job["steps"]
    assert (checkout["uses"], checkout["with"]) == ("actions/checkout@v4", {"fetch-depth": 0})
    assert install["run"] == 'pip install "cnnprof @ git+https://github.com/OWNER/cnnprof@COMMIT"'
    assert check["run"].startswith("cnnprof check --baseline-ref ")


def test_the_pages_use_of_the_action_has_its_inputs() -> None:
    steps = [step for block in BLOCKS if isinstance(block, list) for step in block]
    (used,) = [step for step in steps if step.get("uses", "").startswith("OWNER/cnnprof@")]
    assert set(used["with"]) == {"baseline-ref", "args", "artifact"} <= set(ACTION["inputs"])
    (upload,) = [step for step in steps if "upload-sarif" in step.get("uses", "")]
    assert upload["with"]["sarif_file"] == f"${{{{ steps.{used['id']}.outputs.sarif }}}}"
    assert "sarif" in ACTION["outputs"]
    read_reports(used["with"]["args"].split()[1:])
