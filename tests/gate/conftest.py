"""What the tests of the gate share."""

from pathlib import Path

import pytest

from tests.support import commands
from tests.support.gate import NET


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> commands.Run:
    """Runs `cnnprof check …`."""
    return lambda *arguments: commands.run(capsys, "check", *arguments)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a network in models/, and no CI around it."""
    for name in ("CI", "GITHUB_STEP_SUMMARY", "CNNPROF_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.yaml").write_text(NET)
    return tmp_path
