"""Limits as people write them, read into the integers that metrics are."""

import pytest

from cnnprof.errors import UsageError
from cnnprof.model.metrics import METRICS, RENAMED, RenamedWarning, metric_named, read_quantity

GIVES = [
    ("5M", "params", 5_000_000),
    ("1.6G", "macs", 1_600_000_000),
    ("2.5 k", "flops", 2_500),
    ("1T", "flops", 10**12),
    ("600_000", "params", 600_000),
    ("600,000", "params", 600_000),
    ("1.5e6", "params", 1_500_000),
    ("50", "depth", 50),
    ("10 MiB", "peak_activation_bytes", 10 * 2**20),
    ("0.5KiB", "param_bytes", 512),
    ("500 KB", "activation_bytes", 500_000),
    ("7 B", "training_bytes", 7),
]


@pytest.mark.parametrize(("text", "metric", "value"), GIVES, ids=[text for text, _, _ in GIVES])
def test_gives(text: str, metric: str, value: int) -> None:
    assert read_quantity(text, metric) == value


REFUSES = [
    ("many", "macs", "a limit on `macs` is a number like `5M` or `600000`, found `many`"),
    ("-5", "macs", "a limit on `macs` is a number like `5M` or `600000`, found `-5`"),
    ("5 MB", "macs", "a limit on `macs` is a number like `5M` or `600000`, found `5 MB`"),
    ("5 MiB", "macs", "a limit on `macs` is a number like `5M` or `600000`, found `5 MiB`"),
    ("1.5", "depth", "a limit on `depth` is a whole number, found `1.5` = 1.5"),
    (
        "10",
        "peak_activation_bytes",
        "a limit on `peak_activation_bytes` needs a unit of bytes (`KB`, `MB`, `KiB`, `MiB` …), found `10`",
    ),
    (
        "1 XB",
        "peak_activation_bytes",
        "a limit on `peak_activation_bytes` is a number like `10 MiB` or `500 KB`, found `1 XB`",
    ),
    ("9" * 50, "macs", f"a limit on `macs` is a number like `5M` or `600000`, found `{'9' * 39}…`"),
]


@pytest.mark.parametrize(("text", "metric", "message"), REFUSES, ids=[text[:20] for text, _, _ in REFUSES])
def test_refuses(text: str, metric: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_quantity(text, metric)
    assert str(caught.value) == message


def test_the_metrics_are_one_list() -> None:
    assert list(METRICS) == [
        "params", "inference_params", "buffers", "macs", "flops", "param_bytes", "activation_bytes",
        "peak_activation_bytes", "torch_peak_activation_bytes", "inference_bytes", "training_bytes",
        "depth", "receptive_field",
        "arena_non_persistent_bytes", "arena_persistent_bytes", "arena_total_bytes", "flash_bytes",
    ]  # fmt: skip


def test_a_name_is_that_of_a_metric() -> None:
    assert [metric_named(name) for name in METRICS] == list(METRICS)
    assert metric_named("parms") is None


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_is_read_with_a_note(old: str) -> None:
    with pytest.warns(RenamedWarning) as caught:
        assert metric_named(old, "net.yaml:3:10: ") == RENAMED[old]
    assert str(caught[0].message) == f"net.yaml:3:10: `{old}` is now called `{RENAMED[old]}`"
