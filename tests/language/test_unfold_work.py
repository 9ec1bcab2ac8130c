"""Unfolding is bounded, by counts: what a stranger's spec cannot make it do."""

from itertools import pairwise

import pytest

from cnnprof.errors import SpecError
from cnnprof.language.problems import UnfoldLimits, UnfoldWork
from tests.support.unfolded import graph, problems

WORK = (
    "unfolding a spec takes at most {:,} units of work, found more | look for a `repeat` of millions, nested "
    "repeats, blocks that use blocks, or long lists in any of them"
)


@pytest.mark.parametrize(
    ("text", "limits", "problem"),
    [
        (
            "layers: [{relu: , repeat: 10 ** 9, when: false}]",
            UnfoldLimits(),
            f"1:11 {WORK.format(500_000)}",
        ),
        (
            "layers: [{add: {a: [], b: [], c: {when: false, layers: []}}, repeat: 200}]",
            UnfoldLimits(work=1008),
            f"1:11 {WORK.format(1008)}",
        ),
        (
            "blocks: {b: {layers: [{relu: , repeat: 0}, {relu: , repeat: 0}]}}\nlayers: [{b: , repeat: 200}]",
            UnfoldLimits(work=1000),
            f"2:11 {WORK.format(1000)} < b.90:2",
        ),
        (
            "layers: [{relu: , when: index < 0, repeat: 600}]",
            UnfoldLimits(work=1000),
            f"1:11 {WORK.format(1000)}",
        ),
        (
            "layers: [{relu: , repeat: 10 ** 9}]",
            UnfoldLimits(),
            f"1:11 {WORK.format(500_000)}",
        ),
        (
            "layers: [{relu: , repeat: 1001}]",
            UnfoldLimits(layers=1000),
            "1:11 a spec unfolds to at most 1,000 layers, found more < relu.1000:1",
        ),
        (
            "blocks: {b: {layers: [b]}}\nlayers: [b]",
            UnfoldLimits(nesting=2),
            "1:23 blocks and branches nest at most 2 deep, found more | "
            "does a block use itself without a `when` that ends it? < b.b.b:1 < b.b:1 < b:2",
        ),
    ],
    ids=["steps left out", "branches", "steps repeated 0 times", "values", "steps", "layers", "recursion"],
)
def test_limits_are_exact(text: str, limits: UnfoldLimits, problem: str) -> None:
    assert problems(text, limits=limits) == [problem]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        pytest.param("layers: [relu]", 13, id="an input of a list of three, a step, a kind, a layer"),
        pytest.param("layers: [relu, relu]", 15, id="a kind is made once"),
        pytest.param("layers: [relu, {relu: , when: 1 < 0}]", 15, id="a value"),
        pytest.param("layers: [relu, {relu: , when: 1 + 1 + 1 + 1 < 0}]", 16, id="a long expression"),
        pytest.param("layers: [relu, {relu: , when: min(2) < 0}]", 19, id="one that may look through a list"),
        pytest.param("layers: [relu, {relu: , when: false, repeat: 5}]", 24, id="repetitions that are left out"),
        pytest.param("layers: [relu, {add: {a: [], b: []}}]", 25, id="branches"),
        pytest.param("blocks: {b: {layers: []}}\nlayers: [relu, b]", 20, id="a block"),
    ],
)
def test_what_counts_for_how_much_work(text: str, units: int) -> None:
    """So much and no less has to be allowed."""
    work = UnfoldWork()
    graph(text, work=work)
    assert (work.networks, work.units) == (1, units)
    graph(text, limits=UnfoldLimits(work=units))
    assert WORK.format(units - 1) in problems(text, limits=UnfoldLimits(work=units - 1))[0]


def test_the_walk_for_training_counts_when_it_is_made() -> None:
    work = UnfoldWork()
    found = graph("layers: [relu, {relu: , when: training}]", work=work)
    assert (work.networks, work.units) == (1, 15)
    assert found.trained is not None
    assert (work.networks, work.units) == (1, 31)
    limited = graph("layers: [relu, {relu: , when: training}]", limits=UnfoldLimits(work=30))
    with pytest.raises(SpecError) as raised:
        assert limited.trained
    problem = raised.value.problems[0]
    assert f"{problem.message} | {problem.hint}" == WORK.format(30)


def test_what_fails_counts_too() -> None:
    """In a side output, which no other step waits for."""
    work = UnfoldWork()
    problems("layers: [{side: {a: [{softmax: {dim: 9}}]}}]", work=work)
    fine = UnfoldWork()
    graph("layers: [relu, {side: {a: [{softmax: {dim: 1}}]}}]", work=fine)
    assert work.units == fine.units - (1 + 8 + 1) - 1 + 8  # without the relu and the layer that came of it


def test_lists_of_lists_do_not_grow_without_bound() -> None:
    names = "abcdefghijklmnop"
    doubled = ", ".join(f"{own}: [{last}, {last}]" for last, own in pairwise(names))
    assert problems(f"args: {{a: [1, 1], {doubled}}}\nlayers: [relu]")[0] == (
        "1:99 a list has at most 10,000 entries, those of the lists in it included, and is nested at most 8 "
        "deep, found more"
    )


def test_dimensions_are_bounded() -> None:
    assert problems("layers: [{conv2d: {out_channels: 2 ** 31, kernel_size: 1}}]") == [
        "1:11 a dimension is at most 2,147,483,647, found [2147483648, 8, 8]"
    ]


def test_nobody_reads_more_than_so_many_problems() -> None:
    steps = "".join(f"- relu:\n  when: unknown{number}\n" for number in range(100))
    assert len(problems("layers:\n" + steps)) == 20


def test_one_mistake_in_a_block_is_one_problem() -> None:
    text = (
        "blocks: {b: {layers: [{relu: , when: nothing}]}}\nlayers:\n- b:\n  repeat: 3\n- b\n"
        "- conv2d: {out_channels: in_channels, kernel_size: 99}"
    )
    assert problems(text) == ["1:38 `nothing` has no value here < b.0:3"]


def test_one_mistake_that_says_other_shapes_is_one_problem() -> None:
    """A block in four places, with two bad lines: a problem each, where it is first met."""
    text = """
blocks:
  down:
    args: {scale: in_channels}
    layers:
      - mul: {x: [], scale: [{parameter: {shape: scale}}]}
      - layer_norm: {normalized_shape: 3 * in_channels}
        from: input
      - max_pool2d: {kernel_size: 2}
        from: input
layers:
"""
    calls = "".join(f"- conv2d: {{out_channels: {n}, kernel_size: 1}}\n  from: input\n- down\n" for n in (4, 5, 6, 70))
    assert problems(text + calls) == [
        "6:9 `mul` needs inputs with equally many dimensions, found `[4, 8, 8]`, `[4]`, in the branches `x`, `scale` | "
        "each has all dimensions, 1 where a value holds all along one: `[4, 1, 1]` for the channels < down:14",
        "7:9 `normalized_shape` of `layer_norm` must be the last sizes of the input, "
        "found normalized_shape [12] and input [4, 8, 8] < down:14",
    ]


def test_other_mistakes_at_one_place_are_other_problems() -> None:
    """The same step of a block: once without the field that it needs, once with a kernel that is too large."""
    text = "blocks: {b: {args: {step: required, kernel: 99}, layers: [{step: {kernel_size: kernel}}]}}\nlayers:\n"
    assert problems(text + "- b: [max_pool2d]\n- b: [conv2d]\n  from: input\n- b: [max_pool2d, 98]\n  from: input") == [
        "1:60 the window of `max_pool2d` must not be larger than the padded input, found a window spanning 99 "
        "and an axis of 8 < b:3",
        "1:60 `conv2d` needs the field `out_channels`: an integer | "
        "write `conv2d: {out_channels: …, kernel_size: …}` < b_2:4",
    ]


def test_a_step_that_fails_with_other_numbers_in_every_repetition_is_one_problem() -> None:
    """In a side output, which no other step waits for."""
    text = "layers:\n- side: {aux: [{softmax: {dim: 9 + index}}]}\n  repeat: 9000\n"
    assert problems(text, limits=UnfoldLimits(work=30_000)) == [
        "2:3 the side output `aux` already exists: labels are unique in a network, and `out` is the last layer "
        "< side.1:2",
        f"2:3 {WORK.format(30_000)}",
        "2:17 `softmax` names dimension 9, but the input [3, 8, 8] with its batch has 4 | "
        "dimensions are -4 to 3, the batch being 0 < side.0:2",
    ]
