"""Verdicts with their error, and the largest batch against every batch around it."""

import json
from pathlib import Path

import pytest

import cnnprof
from cnnprof.analysis.arena import FLASH_ERROR, TAIL_ERROR, flash_bytes
from cnnprof.analysis.costs import count
from cnnprof.analysis.deployment import of_file, of_graph
from cnnprof.devices.fit import NOTED, PREPARING, Need, gpu, largest_batch, microcontroller, worst
from cnnprof.devices.profiles import Figure, Target, find
from cnnprof.errors import UsageError
from cnnprof.importers import tflite
from cnnprof.rewrites.converter import convert

GOLDEN = Path(__file__).parents[1] / "golden" / "tflm"
MEASURED = json.loads((GOLDEN / "others.json").read_text())["nets"]


def imported(name):
    return tflite.load((GOLDEN / f"{name}.tflite").read_bytes(), name)


def board(ram, flash=2**20):
    return Target("board", "A board", "microcontroller", Figure(ram, "-"), Figure(flash, "-"))


def needs(name, target):
    return microcontroller(target, deployed(name))


def deployed(name):
    file = imported(name)
    return of_file(file.deployed, file.file_bytes)


LEAST = 73_728 + 21_920 + (int(29_811 / 1.02) - 21_920) // 2
"""Of the visual wake words network: the head, what the tail keeps per channel, and half of what is left of the tail."""


@pytest.mark.parametrize(
    ("ram", "verdict"), [(LEAST - 1, "does not fit"), (LEAST, "too close to call"), (104_200, "fits")]
)
def test_the_arena_is_its_head_and_its_tail_within_their_errors(ram, verdict):
    """The interpreter reports 103,536 bytes in all."""
    need, flash = needs("mobilenet_v1_025_96_vww", board(ram))
    assert need.verdict == verdict
    assert need.least == LEAST
    assert 103_536 <= need.most <= 103_536 * (1 + 2 * TAIL_ERROR)
    assert flash == Need("flash", 310_424, 310_424, 2**20)


@pytest.mark.parametrize("name", MEASURED)
def test_what_was_measured_with_pointers_of_32_bits_is_within_the_range(name):
    """In WebAssembly, less the 2,128 bytes that a microcontroller does not take."""
    need, _ = needs(name, board(2**20))
    assert need.least <= MEASURED[name]["tflm_wasm32"]["total"] - 2_128 <= need.most


def test_preparing_counts_where_the_head_is_tiny():
    """An interpreter reported 17,120 bytes for the autoencoder, and needed 19,146."""
    need, _ = needs("autoencoder_ad", board(17_200))
    assert need.most >= 19_146
    assert need.most - PREPARING <= 16_352 * (1 + 2 * TAIL_ERROR)
    assert need.verdict == "too close to call"


def test_a_head_with_a_note_has_an_error():
    found = of_graph(cnnprof.unfold(str(GOLDEN / "x_dense.yaml")))
    need, flash = microcontroller(board(300_000), found)
    assert need.least == 204_800 // NOTED + found.least_persistent
    assert need.most > 204_800 * NOTED
    assert need.verdict == "too close to call"
    assert flash.least <= 54_272 <= flash.most
    assert flash.least < found.flash * (1 - FLASH_ERROR / 2)


@pytest.mark.parametrize("name", ["autoencoder_ad", "ds_cnn_kws", "resnet8_ic"])
def test_the_file_is_within_the_error_of_its_estimate(name):
    spec = {"autoencoder_ad": "autoencoder", "ds_cnn_kws": "ds_cnn", "resnet8_ic": "resnet8"}[name]
    estimate, true = flash_bytes(convert(cnnprof.unfold(spec))), imported(name).file_bytes
    assert abs(estimate - true) <= FLASH_ERROR * true


def test_a_tail_that_is_not_known_fits_nowhere_for_certain():
    found = deployed("ds_cnn_kws")._replace(persistent=None, least_persistent=0)
    need, _ = microcontroller(board(2**30), found)
    assert need.verdict == "too close to call"
    assert microcontroller(board(100), found)[0].verdict == "does not fit"


def test_a_capacity_that_is_not_known_has_no_verdict():
    _, flash = needs("ds_cnn_kws", find("rp2040"))
    assert flash.verdict is None


def test_the_verdict_on_a_network_is_the_worst():
    fits, close, not_known = Need("a", 1, 1, 2), Need("b", 1, 3, 2), Need("c", 1, 1, None)
    assert worst((fits, not_known)) == "fits"
    assert worst((fits, close)) == "too close to call"
    assert worst((close, Need("d", 3, 3, 2))) == "does not fit"
    assert worst((not_known,)) is None


def test_the_networks_of_mlperf_tiny_fit_a_common_board():
    for name in ("autoencoder_ad", "ds_cnn_kws", "mobilenet_v1_025_96_vww", "resnet8_ic"):
        assert worst(needs(name, find("nrf52840"))) == "fits"
    assert worst(needs("mobilenet_v2_035_96", board(205_000))) == "too close to call"


# GPUs.


def test_a_gpu_is_compared_with_its_memory():
    target = find("a100")
    assert gpu(target, 80 * 10**9).verdict == "fits"
    assert gpu(target, 80 * 10**9 + 1).verdict == "does not fit"


@pytest.mark.parametrize("spec", ["resnet@18", "densenet@121", "mobilenet_v2"])
@pytest.mark.parametrize("metric", ["inference_bytes", "training_bytes"])
def test_the_largest_batch_fits_and_the_next_does_not(spec, metric):
    graph = cnnprof.unfold(spec)

    def bytes_at(batch):
        return getattr(count(graph, batch).totals, metric)

    least = 2  # batch norm needs two examples in training
    memory = 8 * 10**9
    batch = largest_batch(bytes_at, memory, least)
    assert bytes_at(batch) <= memory < bytes_at(batch + 1)


def test_the_largest_batch_of_a_line_takes_five_looks():
    looks = []

    def bytes_at(batch):
        looks.append(batch)
        return 100 + 7 * batch

    assert largest_batch(bytes_at, 1000) == 128
    assert len(looks) <= 4


@pytest.mark.parametrize("memory", [11, 12, 40, 41, 1000, 12345])
def test_a_line_that_bends_is_searched(memory):
    def bytes_at(batch):
        return 10 + batch + max(0, batch - 20) * 5

    batch = largest_batch(bytes_at, memory)
    assert bytes_at(batch) <= memory < bytes_at(batch + 1)


def test_no_batch_and_any_batch():
    assert largest_batch(lambda batch: 100 * batch, 99) == 0
    assert largest_batch(lambda batch: 5, 99) == 2**31 - 1


def test_a_target_of_another_sort_is_refused():
    with pytest.raises(UsageError) as raised:
        gpu(find("rp2040"), 5)
    assert str(raised.value) == "the target `rp2040` is a microcontroller, and this figure is of a gpu"
    with pytest.raises(UsageError) as raised:
        needs("ds_cnn_kws", find("h100"))
    assert str(raised.value) == "the target `h100` is a gpu, and this figure is of a microcontroller"
