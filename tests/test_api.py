"""The Python API: what a notebook meets."""

from __future__ import annotations

import pytest

import cnnprof


def test_the_figures() -> None:
    report = cnnprof.analyze("resnet@50", input=(3, 192, 192), batch=2)
    assert (report.totals.params, report.layers[0].output_shape) == (25_557_032, (2, 64, 96, 96))
    assert report.records()[0]["path"] == "conv1.conv2d"


def test_arguments_by_name_or_in_the_spec() -> None:
    by_name = cnnprof.analyze("mobilenet_v1", args={"width": 0.5, "classes": 10})
    in_spec = cnnprof.analyze("mobilenet_v1,width=0.5,classes=10")
    assert by_name.totals == in_spec.totals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": "3"}, "a batch is a whole number of examples, at least 1, found '3'"),
        ({"input": 32}, "an input is a shape such as (3, 224, 224), found 32"),
        ({"order": "bst"}, "order is `written` or `best`, found `bst`"),
        ({"optimizer": "adan"}, "unknown optimizer `adan`; did you mean `adam`?"),
        ({"args": {"clases": 3}}, "lenet5 has no argument `clases` to set; did you mean `classes`?"),
    ],
)
def test_refuses(options: dict[str, object], message: str) -> None:
    """With the errors that the package exports."""
    with pytest.raises(cnnprof.UsageError) as caught:
        cnnprof.analyze("lenet5", **options)
    assert str(caught.value) == message


def test_a_wrong_spec_has_located_problems(tmp_path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("cnnprof: 1\ninput: [3, 8, 8]\nlayers: [rely]\n")
    with pytest.raises(cnnprof.SpecError) as caught:
        cnnprof.analyze(str(path))
    (problem,) = caught.value.problems
    assert (problem.mark.line, problem.mark.column, problem.hint) == (2, 9, "did you mean `relu`?")


def test_what_the_package_exports() -> None:
    assert all(hasattr(cnnprof, name) for name in cnnprof.__all__)
    with pytest.raises(AttributeError):
        _ = cnnprof.analyse


def test_a_graph_is_shown_in_a_line() -> None:
    assert repr(cnnprof.unfold("resnet@50")) == "<Graph resnet@50: 175 layers>"
