"""A graph written as a spec unfolds to the same figures, whatever it is."""

from __future__ import annotations

import pytest

from cnnprof.analysis.align import align
from cnnprof.analysis.costs import count
from cnnprof.errors import UsageError
from cnnprof.language import source
from cnnprof.language import unfold as expand
from cnnprof.language.spec import read
from cnnprof.language.write import write
from cnnprof.load import architectures, unfolded
from tests.support.networks import graph, network
from tests.support.random_networks import seeded


def shipped() -> list[tuple[str, str | None]]:
    """Every architecture, as it is and in its variants."""
    return [
        (name, variant)
        for name, path in architectures().items()
        for variant in (None, *read(source.parse(path.read_bytes(), name)).variants)
    ]


@pytest.mark.parametrize(("name", "variant"), shipped())
def test_shipped_specs(name: str, variant: str | None) -> None:
    """The same figures, memory and training included, from the same layers on the same edges."""
    found = expand.unfold(read(source.parse(architectures()[name].read_bytes(), name)), variant)
    again = graph(write(found))
    assert count(again).totals == count(found).totals
    assert [(layer.kind, layer.inputs, layer.executed, layer.shares) for layer in again.layers] == [
        (layer.kind, layer.inputs, layer.executed, layer.shares) for layer in found.layers
    ]
    assert again.outputs == found.outputs

    assert all(None not in pair for pair in align(found, again))


@pytest.mark.parametrize("number", range(300))
def test_random_networks(number: int) -> None:
    """The whole vocabulary of the language: several inputs, sides, shares, branches, repeats."""
    found = graph(seeded(("write", number)).text())
    trained = found.trained
    assert trained is not None
    if [layer.path for layer in trained.layers] != [layer.path for layer in found.layers]:
        pytest.skip("training changes it, which no flat list of steps can say")
    again = graph(write(found))
    assert count(again, 2).totals == count(found, 2).totals
    assert [output.label for output in again.outputs] == [output.label for output in found.outputs]


GIVES = [
    (
        network("- conv2d: {out_channels: 4, kernel_size: 3}\n- relu", header="inplace: false"),
        """cnnprof: 1
name: net
input: [3, 8, 8]
inplace: false

layers:
  - conv2d: {out_channels: 4, kernel_size: 3}
    name: conv2d
  - relu:
    name: relu
""",
    ),
    (
        network(
            """
            - conv2d: {out_channels: 3, kernel_size: [3, 1], padding: same}
              name: index-1
            - add: {x: input, y: [{pad: {pad: [1, -1], value: 0.001}}]}
            - side: {aux: [flatten, {linear: {out_features: 2, bias: false}}]}
              when: training
            - linear: {out_features: 2}
              share: none_such
            """
        ).replace("  - linear: {out_features: 2}\n    share: none_such\n", ""),
        """cnnprof: 1
name: net
input: [3, 8, 8]

layers:
  - conv2d: {out_channels: 3, kernel_size: [3, 1], padding: same}
    name: index-1
  - pad: {pad: [1, -1], value: 0.001}
    name: add-y-pad
  - add: {x: input, y: add-y-pad}
    name: add
  - side:
      aux:
        - flatten:
          name: side-aux-flatten
        - linear: {out_features: 2, bias: false}
          name: side-aux-linear
    when: training
""",
    ),
    (
        network(
            "- relu:\n  name: a\n  from: left\n- relu6:\n  from: left\n- concat: {a: a, b: right}\n- side: {s: a}",
            "{left: [3, 8], right: [2, 8]}",
        ),
        """cnnprof: 1
name: net
input: {left: [3, 8], right: [2, 8]}

layers:
  - relu:
    name: a
    from: left
  - relu6:
    name: relu6
    from: left
  - concat: {x: a, x_2: right}
    name: concat
  - side: {s: a}
""",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), GIVES)
def test_gives(text: str, expected: str) -> None:
    assert write(graph(text)) == expected


def test_remarks_name_and_budget() -> None:
    """Limits on the whole network stay; paths change, so limits on them do not."""
    spec = read(source.parse(network("- relu", header="budget: {params: 1K, at: {relu: {macs: 5}}}"), "net.yaml"))
    found = unfolded(spec)
    assert write(found.graph, "other net", ["first", "second\nthird"], found.budget).split("\nlayers:")[0] == (
        '# first\n# second\n# third\ncnnprof: 1\nname: "other net"\ninput: [3, 8, 8]\nbudget:\n  params: "1K"\n'
    )


def test_a_network_that_ends_in_an_earlier_layer() -> None:
    """A merge left with one branch is that branch."""
    found = graph(network("- relu:\n  name: a\n- relu6\n- concat: {x: a, y: {when: 1 > 2, layers: []}}"))
    assert write(found).endswith("  - concat: {out: a}\n")
    assert graph(write(found)).outputs == found.outputs


def test_refuses_what_training_changes() -> None:
    found = graph(network("- relu\n- conv2d: {out_channels: 2, kernel_size: 1}\n  when: training\n- relu6"))
    with pytest.raises(UsageError) as refused:
        write(found)
    assert str(refused.value) == "net cannot be written as a flat list: training changes it at `relu6`"
