"""What the tests of the command line share."""

import pytest

from tests.support import commands


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> commands.Run:
    """Runs a command line in this process, its output not a terminal."""
    monkeypatch.delenv("CNNPROF_DEBUG", raising=False)
    return lambda *arguments: commands.run(capsys, *arguments)
