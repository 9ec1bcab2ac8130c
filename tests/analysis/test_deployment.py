"""What a network takes of a device, from its file and from its layers."""

import json
from pathlib import Path

import pytest

import cnnprof
from cnnprof.analysis.arena import FLASH_ERROR, TAIL_ERROR
from cnnprof.analysis.deployment import of_file, of_graph
from cnnprof.errors import UsageError
from cnnprof.importers import tflite
from cnnprof.model.metrics import METRICS, PLANNED

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
    assert (found.flash, found.flash_exact, found.dtype) == (1000, True, "int8")
    assert found.metrics == {
        "arena_non_persistent_bytes": 16_000,
        "arena_persistent_bytes": None,
        "arena_total_bytes": None,
        "flash_bytes": 1000,
    }
    assert found.reasons == dict.fromkeys(("arena_persistent_bytes", "arena_total_bytes"), found.refused)


def test_which_figures_are_estimates():
    """The tail always, the file of layers, and the head where a file may differ."""
    tail = ("arena_persistent_bytes", "arena_total_bytes")
    made = of_graph(cnnprof.unfold("ds_cnn"))
    assert made.estimates == (*tail, "flash_bytes")
    assert of_file(made.network, 1000).estimates == tail
    noted = of_file(made.network._replace(notes=("it may differ",)), 1000)
    assert noted.estimates == ("arena_non_persistent_bytes", *tail)


def test_where_the_most_is_needed():
    """The layer of the operator; the operator where it is of none; the inputs where nothing is computed."""
    made = of_graph(cnnprof.unfold("ds_cnn"))
    assert made.at_peak == made.network.operators[made.arena.peak - 1].path == "separable.0.depthwise"
    bare = made.network._replace(operators=tuple(each._replace(path="") for each in made.network.operators))
    assert of_file(bare, 1000).at_peak == "DEPTHWISE_CONV_2D"
    nothing = made.network._replace(operators=(), outputs=made.network.inputs)
    assert of_file(nothing, 1000).at_peak == "the inputs"


# As metrics of a report.

SPECS = {"autoencoder_ad": "autoencoder", "ds_cnn_kws": "ds_cnn", "resnet8_ic": "resnet8"}


@pytest.mark.parametrize("name", MEASURED)
def test_the_head_is_a_metric_of_the_file_and_of_the_spec(name):
    """To the byte, of both."""
    own = GOLDEN / f"{name}.yaml"
    for spec, options in (
        (str(GOLDEN / f"{name}.tflite"), {}),
        (str(own) if own.exists() else SPECS.get(name, "lenet5"), {"with_": "int8"}),
    ):
        if not own.exists() and name not in SPECS and options:
            continue
        report = cnnprof.analyze(spec, **options)
        assert report.deployed
        assert report.metric("arena_non_persistent_bytes") == MEASURED[name]["head"]
        assert report.deployment.arena.lower_bound <= report.deployment.arena.best.bytes <= MEASURED[name]["head"]
        assert ("flash_bytes" in report.estimates) == bool(options)


def test_int16_has_twice_the_head():
    report = cnnprof.analyze("ds_cnn", with_="int16")
    assert report.deployed
    assert report.metric("arena_non_persistent_bytes") == 32_000
    assert "the int16 file, ± 12.0 %" in report.to_markdown()


def test_they_are_planned_where_they_are_asked_for():
    """Of a network in float32 by name: those of the int8 file that a converter makes of it."""
    report = cnnprof.analyze("ds_cnn")
    assert not report.deployed
    assert report.metric("arena_non_persistent_bytes") == 16_000
    assert report.metric("arena_total_bytes") == report.deployment.total
    with pytest.raises(KeyError):
        report.metric("arena")


@pytest.mark.parametrize(
    ("spec", "options", "reason"),
    [
        ("ds_cnn", {"batch": 2}, "memory is planned for a batch of 1, found 2"),
        ("ds_cnn", {"training": True}, "memory is planned for inference, and this is the network in training"),
        ("ds_cnn", {"with_": ["int16", "sparsity=0.5"]},
         "memory is planned for networks in int8 or int16, as `--with int8` or `--with int16` alone makes them"),
        ("mobilenet_v3", {"with_": "int16"},
         "there is no HARD_SWISH in int16: TensorFlow's converter has none with int16 activations (the layer "
         "`stem.act`); see `--with int8`"),
        ("ds_cnn", {"with_": ["int8", "weights=int4"]},
         "memory is planned for networks in int8 or int16, as `--with int8` or `--with int16` alone makes them"),
        ("unet", {}, None),
    ],
)  # fmt: skip
def test_there_are_none_with_a_reason(spec, options, reason):
    report = cnnprof.analyze(spec, **options)
    if report.metric("flash_bytes") is None:
        assert reason is None or report.reason("flash_bytes") == reason
        assert report.reason("flash_bytes")
    else:
        assert reason is None
        assert report.reason("flash_bytes") == ""


def test_a_limit_on_them(tmp_path):
    limits = {"arena_non_persistent_bytes": "16000 B", "flash_bytes": "1 MiB"}
    cnnprof.check("ds_cnn", max=limits).require()
    found = cnnprof.check("ds_cnn", max={"arena_non_persistent_bytes": 15_999})
    (checked,) = found.checks
    (verdict,) = checked.over
    assert (verdict.figure, verdict.estimate) == (16_000, False)
    assert {cause.path for cause in verdict.why.causes} == {"relu", "separable.0.relu"}
    found = cnnprof.check("ds_cnn", max={"arena_non_persistent_bytes": 15_999}, batch=2)
    assert "cannot be limited, since there is none: memory is planned for a batch of 1" in found.problems[0].text


@pytest.mark.parametrize("with_", [(), ("int8",)])
def test_a_sweep_has_them_where_they_are_asked_for(with_):
    """Each as `analyze` has it; one network at a time, which is said."""
    options = {"args": {"channels": [32, 64]}, "with_": with_}
    asked = ({"max": {"flash_bytes": "1MB"}}, {"sort": "flash_bytes"}, {"pareto": ["flash_bytes", "channels"]})
    for found in (cnnprof.sweep("ds_cnn", **options, **each) for each in asked):
        for row in found.rows:
            report = cnnprof.analyze("ds_cnn", args={"channels": int(row.point[0])}, with_=with_)
            assert row.metrics == {name: report.metric(name) for name in METRICS}
            assert row.estimates == report.estimates
        assert found.counted.startswith("2 combinations counted one by one: `flash_bytes`: memory is planned for one")
    (row, *_) = cnnprof.sweep("ds_cnn", **options).rows
    assert not PLANNED.keys() & row.metrics.keys()


def test_a_sweep_says_why_there_is_no_arena():
    found = cnnprof.sweep("ds_cnn", batch=[1, 2], max={"arena_total_bytes": "1 MiB"})
    assert ([row.point[0] for row in found.rows], found.over) == (["1"], 1)
    sorted_ = cnnprof.sweep("ds_cnn", batch=[2], sort="arena_total_bytes")
    assert sorted_.rows[0].refused["arena_total_bytes"] == "memory is planned for a batch of 1, found 2"
    with pytest.raises(UsageError, match=r"100,000 combinations one by one, found 200,000: `flash_bytes`: memory is"):
        cnnprof.sweep("ds_cnn", args={"channels": range(1, 200_001)}, sort="flash_bytes")


def test_a_comparison_has_them_where_a_network_is_deployed():
    found = cnnprof.compare(str(GOLDEN / "ds_cnn_kws.tflite"), "ds_cnn")
    lines = {line.metric: line.values for line in found.lines}
    assert lines["arena_non_persistent_bytes"] == (16_000, None)
    assert "flash_bytes" not in {line.metric for line in cnnprof.compare("ds_cnn", "lenet5").lines}
    found = cnnprof.compare(str(GOLDEN / "ds_cnn_kws.tflite"), "ds_cnn", with_="int8")
    assert {line.metric: line.values for line in found.lines}["arena_non_persistent_bytes"] == (16_000, 16_000)


def test_what_is_said_of_them():
    text = str(cnnprof.analyze(str(GOLDEN / "mobilenet_v1_025_96_vww.tflite")).to_markdown())
    assert "73,728" in text
    assert "33.3 % more than a plan of 55,296, and no plan takes less" in text
    assert "of the reference kernels" in text
    assert "arena" not in cnnprof.analyze("ds_cnn").to_markdown()
