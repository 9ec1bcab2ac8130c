"""The benchmark of importing says what it leaves out."""

from __future__ import annotations

import pytest

from tests.benchmarks.importing import missing


def test_what_is_not_installed_is_skipped_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert missing("yaml", "no_such_package", "nor_this")
    assert capsys.readouterr().out == "\nskipped: not installed: no_such_package, nor_this\n"
    assert not missing("yaml")
    assert capsys.readouterr().out == ""
