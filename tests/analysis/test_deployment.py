"""What a network takes of a device, from its file and from its layers."""

import json
from pathlib import Path

import pytest

import cnnprof
from cnnprof.analysis.arena import FLASH_ERROR, TAIL_ERROR
from cnnprof.analysis.deployment import of_file, of_graph
from cnnprof.importers import tflite

GOLDEN = Path(__file__).parents[1] / "golden" / "tflm"
MEASURED = json.loads((GOLDEN / "measured.json").read_text())["nets"]


@pytest.mark.parametrize("name", MEASURED)
def test_the_total_of_a_file_is_within_the_error_of_its_tail(name):
    file = tflite.load((GOLDEN / f"{name}.tflite").read_bytes(), name)
    found = of_file(file.deployed, file.file_bytes)
    assert (found.flash, found.flash_exact, found.refused) == (MEASURED[name]["file_bytes"], True, "")
    assert abs(found.total - MEASURED[name]["total"]) <= TAIL_ERROR * MEASURED[name]["tail"]


def test_the_figures_of_layers():
    """MLPerf Tiny's keyword spotting: the interpreter reports 24,208 bytes, and the file has 47,744."""
    found = of_graph(cnnprof.unfold("ds_cnn"))
    assert found.arena.non_persistent_bytes == 16_000
    assert abs(found.total - 24_208) <= TAIL_ERROR * 8_208
    assert abs(found.flash - 47_744) <= FLASH_ERROR * 47_744
    assert not found.flash_exact


def test_a_tail_that_is_not_known_is_refused_with_a_reason():
    network = of_graph(cnnprof.unfold("ds_cnn")).network
    first, *others = network.operators
    found = of_file(network._replace(operators=(first._replace(word="GELU"), *others)), 1000)
    assert found.arena.non_persistent_bytes == 16_000
    assert (found.persistent, found.total) == (None, None)
    assert found.refused == "what the kernels of `GELU` keep in the arena was not measured"
