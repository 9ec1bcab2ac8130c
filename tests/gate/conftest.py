"""What the tests of the gate share."""

import pytest

from tests.support import commands


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> commands.Run:
    """Runs `cnnprof check …`."""
    return lambda *arguments: commands.run(capsys, "check", *arguments)
