"""What all tests share."""

from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.support.against_torch")


TESTS = Path(__file__).parent
SLOW = {
    "cli/test_cli_runtime.py",
    "fuzz/test_corpus.py",
    "hostile/test_hostile.py",
    "hostile/test_outside.py",
    "runtime/test_build.py",
    "runtime/test_measure.py",
    "runtime/test_verify.py",
    "runtime/test_verify_parts.py",
    "test_counters.py",
    "test_docs.py",
    "test_examples.py",
    "test_git.py",
    "test_hash_seeds.py",
    "test_hooks.py",
    "test_metamorphic.py",
    "test_packaging.py",
    "test_random_memory.py",
    "test_random_networks.py",
    "test_readme.py",
    "test_torchvision.py",
}
"""Modules that start many processes or run whole networks in PyTorch; `-m fast` is all others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is fast, and skips by name, instead of failing, what needs PyTorch where it is not installed."""
    for item in items:
        if item.path.relative_to(TESTS).as_posix() not in SLOW:
            item.add_marker(pytest.mark.fast)
    if find_spec("torch") is not None:
        return
    skip = pytest.mark.skip(reason="PyTorch is not installed: pip install 'cnnprof[torch]'")
    for item in items:
        if item.get_closest_marker("torch"):
            item.add_marker(skip)
