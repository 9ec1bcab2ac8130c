"""What is found once in a walk, of blocks and of fields, is what would be found each time."""

from __future__ import annotations

import pytest

from cnnprof.errors import Problem, SpecError
from cnnprof.language import registry
from cnnprof.language import unfold as walk
from cnnprof.language.problems import UnfoldLimits, UnfoldWork
from cnnprof.language.scope import Body, Names, Scope, StepRef, Written
from cnnprof.language.source import Mapping, parse
from cnnprof.language.spec import Spec, read
from cnnprof.language.values import Values
from cnnprof.language.walked import Walked, told_apart
from cnnprof.lookup import architectures
from cnnprof.model.graph import Graph
from tests.support.networks import network
from tests.support.random_blocks import Author

LIMITS = UnfoldLimits(layers=300, work=5000)
SHIPPED = ("densenet", "efficientnet", "mobilenet_v3", "resnet", "yolov8", "swin")


class Told:
    """All that a graph says, or what is wrong with a spec; and the work."""

    def __init__(self, spec: Spec, limits: UnfoldLimits) -> None:
        work = UnfoldWork()
        self.said: list[object] = []
        try:
            graph = walk.unfold(spec, limits=limits, work=work)
            self.said += self.of(graph)
            if graph.trained is not None:
                self.said += self.of(graph.trained)
        except SpecError as error:
            self.said += [(*each, each.mark) for each in error.problems if isinstance(each, Problem)]
        self.said.append(work.units)

    @staticmethod
    def of(graph: Graph) -> list[object]:
        answers = [(each.kind, each.inputs, each.output) for each in graph.answers]
        return [*graph.layers, *graph.outputs, *answers, graph.args, graph.training]


def told(text: str | bytes, limits: UnfoldLimits = LIMITS) -> tuple[list[object], list[object]]:
    """What is told of a spec, with and without anything being found once."""
    spec = read(parse(text, "net.yaml"))
    once = Told(spec, limits).said
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(walk, "told_apart", lambda arguments: None)
        patched.setattr(Values, "is_settled", lambda *_: False)
        return once, Told(spec, limits).said


@pytest.mark.parametrize("name", SHIPPED)
def test_architectures(name: str) -> None:
    once, always = told(architectures()[name].read_bytes(), UnfoldLimits())
    assert once == always


@pytest.mark.parametrize("mistakes", [0, 0.02])
def test_random_blocks(mistakes: float, monkeypatch: pytest.MonkeyPatch) -> None:
    again: list[object] = []
    own = Walked.again
    monkeypatch.setattr(Walked, "again", lambda *given: again.append(None) or own(*given))
    for seed in range(80):
        text = Author(seed, mistakes).text()
        once, always = told(text)
        assert once == always, text
    assert len(again) > 200


TWO = """\
blocks:
  two:
    args: {first: leaky_relu, then: leaky_relu, of: input, also: [1]}
    layers:
      - first:
      - then:
"""
STEEP, FLAT = "{leaky_relu: {negative_slope: 0.5}}", "{leaky_relu: {negative_slope: 0.25}}"
CASES = {
    "the fields of another argument": (
        TWO,
        f"- two: {{first: {STEEP}, then: leaky_relu}}\n- two: {{first: leaky_relu, then: {STEEP}}}",
    ),
    "the fields of another entry": (
        TWO,
        f"- two: {{first: {STEEP}, then: {FLAT}}}\n- two: {{first: {FLAT}, then: {STEEP}}}\n- two: {{then: {STEEP}}}",
    ),
    "a list that is no single value": (TWO, "- two: {also: 1}\n- two: {also: [1]}\n- two: {also: [true]}"),
    "a parameter is no tensor of the same shape": (
        "blocks: {wide: {layers: [{conv2d: {out_channels: 3, kernel_size: 1}}]}}",
        "- wide:\n- wide:\n- parameter: {shape: [3, 8, 8]}\n- wide:",
    ),
    "frozen, and not": (
        "blocks: {wide: {layers: [{conv2d: {out_channels: 3, kernel_size: 1}}]}}",
        "- wide:\n- wide:\n  frozen: true\n- wide:\n  inplace: false\n- wide:\n  repeat: 3\n  frozen: index < 2",
    ),
    "a side that only training executes": (
        "blocks: {wide: {layers: [{conv2d: {out_channels: 3, kernel_size: 1}}]}}",
        "- side: {s: [{wide: }]}\n  when: training\n- wide:",
    ),
    "weights that are shared afterwards": (
        "blocks: {wide: {layers: [{conv2d: {out_channels: 3, kernel_size: 1}}]}}",
        "- wide:\n  name: a\n- wide:\n  share: a\n- wide:\n- wide:\n  share: a",
    ),
    "weights that are shared inside": (
        "blocks: {pair: {layers: [{conv2d: {out_channels: 3, kernel_size: 1}, name: a}, "
        "{conv2d: {out_channels: 3, kernel_size: 1}, share: a}]}}",
        "- relu:\n- pair:\n- relu:\n- pair:\n- pair:\n  repeat: 2",
    ),
    "a word that is an argument": (
        "args: {same: 1}\nblocks: {wide: {args: {zeros: reflect}, layers: "
        "[{conv2d: {out_channels: 3, kernel_size: 3, padding: same, padding_mode: zeros}}]}}",
        "- wide:\n- wide: {zeros: circular}\n- wide:",
    ),
}


@pytest.mark.parametrize(("header", "layers"), CASES.values(), ids=CASES.keys())
def test_what_blocks_are_told_apart_by(header: str, layers: str) -> None:
    once, always = told(network(layers, header=header))
    assert once == always


def test_null_and_the_word_null_are_told_apart() -> None:
    """A field of words may take both."""
    text = network("- stochastic_depth: {mode: null}\n- stochastic_depth: {mode: 'null'}")
    spec = read(parse(text, "net.yaml"))
    scope = Scope(Names(spec, {}, False), Body({}, None, shipped=False), None, None)
    kind = registry.kinds()["stochastic_depth"]
    plain, quoted = (
        told_apart({"step": StepRef("drop", kind, {"mode": Written(node, scope)})})
        for node in (step.body.items["mode"] for step in spec.steps if isinstance(step.body, Mapping))
    )
    assert plain != quoted
