"""What all tests share."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

# Every run draws the same examples: a change that fails is the one that was made. `python -m tests.fuzz` draws others.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")
pytest.register_assert_rewrite("tests.support.against_torch")


TESTS = Path(__file__).parent
SLOW = {
    "analysis/test_conventions.py::test_fvcore_in_training",
    "analysis/test_conventions.py::test_fvcore_on_every_architecture",
    "analysis/test_explain.py::test_random_networks",
    "analysis/test_explain.py::test_the_architectures_that_come_with_the_tool",
    "analysis/test_memory.py::test_kept_bytes_equal_pytorch_to_the_byte",
    "analysis/test_memory.py::test_peaks_equal_pytorch_to_the_byte",
    "analysis/test_memory.py::test_peaks_equal_the_real_cpu",
    "analysis/test_receptive_field.py::test_gradients_reach_exactly_the_field_in_whole_networks",
    "analysis/test_receptive_field.py::test_random_networks",
    "browser/test_page.py",
    "browser/test_playground.py",
    "cli/test_cli.py::test_help_ends_with_examples_that_run",
    "cli/test_cli.py::test_no_line_is_wider_than_the_terminal",
    "cli/test_cli_runtime.py",
    "cli/test_commands.py::test_a_command_imports_no_other",
    "cli/test_completion.py",
    "exporters/test_pytorch.py",
    "fuzz/test_arbitrary.py",
    "fuzz/test_corpus.py",
    "gate/test_check.py::test_latency_is_limited_on_request_as_a_ratio",
    "hostile/test_hostile.py",
    "hostile/test_other_systems.py::test_a_process_with_such_a_console",
    "hostile/test_other_systems.py::test_what_only_unix_has_is_not_needed",
    "hostile/test_outside.py",
    "importers/test_torch.py",
    "importers/test_torch_archive.py",
    "kinds/test_parameter.py::test_every_kind_computes_of_parameters_what_pytorch_does",
    "language/test_hints.py::test_of_pytorch_s_names_none_is_taken_for_another",
    "language/test_registry.py::test_its_module_is_built",
    "language/test_registry.py::test_its_rules_agree_with_pytorch",
    "language/test_whole_networks.py::test_in_pytorch",
    "language/test_write.py::test_shipped_specs",
    "mutation/test_mutation.py::test_every_equivalent_is_of_a_mutant_that_there_is",
    "mutation/test_mutation.py::test_one_module",
    "render/test_commands.py",
    "render/test_terminal.py::test_it_fits_the_window",
    "rewrites/test_contract.py::test_pytorch_agrees",
    "rewrites/test_contract.py::test_what_is_written_is_what_was_promised",
    "rewrites/test_prune.py::test_architectures",
    "runtime/test_build.py",
    "runtime/test_measure.py",
    "runtime/test_verify.py",
    "runtime/test_verify_parts.py",
    "sweeps/test_cluster.py",
    "sweeps/test_lanes.py::test_included_specs",
    "sweeps/test_lanes.py::test_the_number_of_processes_changes_nothing",
    "sweeps/test_store.py::test_ctrl_c_leaves_a_store_that_goes_on",
    "sweeps/test_store.py::test_the_number_of_processes_changes_no_byte",
    "sweeps/test_store.py::test_memory_is_limited_whatever_the_size",
    "sweeps/test_symbols.py::test_rules",
    "test_counters.py",
    "test_device_record.py",
    "test_docs.py",
    "test_error_page.py::test_the_tests_of_what_is_refused_meet_no_other_message",
    "test_examples.py",
    "test_git.py",
    "test_hash_seeds.py",
    "test_hooks.py",
    "test_metamorphic.py",
    "test_packaging.py",
    "test_random_memory.py",
    "test_random_networks.py",
    "test_readme.py",
    "test_site.py",
    "test_torchvision.py",
}
"""Modules and tests (`module::test`) that start many processes or run whole networks in PyTorch, for more than a few
seconds each. `-m fast` is every other test; `pytest --durations=40 -m fast` shows what belongs here."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is fast, and skips by name, instead of failing, what needs a package that is not installed."""
    for item in items:
        module = item.path.relative_to(TESTS).as_posix()
        if not {module, f"{module}::{getattr(item, 'originalname', item.name)}"} & SLOW:
            item.add_marker(pytest.mark.fast)
    for extra, package in (("torch", "torch"), ("onnx", "onnx"), ("cluster", "distributed")):
        if find_spec(package) is None:
            skip = pytest.mark.skip(reason=f"{package} is not installed: pip install 'cnnprof[{extra}]'")
            for item in items:
                if item.get_closest_marker(extra):
                    item.add_marker(skip)
