"""What all tests share."""

from importlib.util import find_spec

import pytest

pytest.register_assert_rewrite("tests.support.against_torch")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips by name, instead of failing, what needs PyTorch where it is not installed."""
    if find_spec("torch") is not None:
        return
    skip = pytest.mark.skip(reason="PyTorch is not installed: pip install 'cnnprof[torch]'")
    for item in items:
        if item.get_closest_marker("torch"):
            item.add_marker(skip)
