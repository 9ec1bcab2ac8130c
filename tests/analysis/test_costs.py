"""Counts, bytes, depth and totals, worked out by hand on small networks."""

import pytest

from cnnprof.analysis.costs import LayerCosts, Totals, count, price
from cnnprof.analysis.memory import Training
from cnnprof.errors import SpecError, UsageError
from cnnprof.model.kind import Work
from tests.support.networks import graph, network, report

SMALL = """
    - conv2d: {out_channels: 4, kernel_size: 3, padding: 1, bias: false}
    - batch_norm
    - relu
    - flatten
    - linear: {out_features: 10}
"""


def test_a_small_network_in_full() -> None:
    """conv 3→4 on 8x8, batch norm, relu in place, flatten a view, linear 256→10."""
    totals = report(network(SMALL)).totals
    assert totals.params == 4 * 3 * 9 + 2 * 4 + 256 * 10 + 10
    assert totals.buffers == 2 * 4 + 1
    assert totals.macs == 4 * 8 * 8 * 3 * 9 + 256 * 10
    assert totals.work == Work(
        macs=4 * 8 * 8 * 3 * 9 + 256 * 10, adds=4 * 8 * 8 + 10, multiplies=4 * 8 * 8, compares=4 * 8 * 8
    )
    assert totals.flops == 2 * totals.macs + 4 * 64 + 10 + 4 * 64 + 4 * 64
    assert totals.param_bytes == 4 * totals.params
    assert totals.buffer_bytes == 4 * 2 * 4 + 8, "running mean and variance, and an int64 counter"
    assert totals.activation_bytes == 4 * (256 + 256 + 10), "convolution, batch norm, linear"
    assert totals.input_bytes == 4 * 3 * 8 * 8
    assert totals.depth == 2


def test_everything_that_is_counted_together() -> None:
    """Of a linear layer 3→2 on three values: nothing is left out, nothing is of another kind."""
    costs = count(graph(network("- linear: {out_features: 2}", "[3]")))
    (layer,) = costs.layers
    work = Work(macs=6, adds=2)
    assert layer == LayerCosts(8, 0, 32, 0, work, 8, (8 + 3 + 2) * 4, layer.field)
    assert costs.totals == Totals(
        params=8,
        inference_params=8,
        buffers=0,
        macs=6,
        flops=2 * 6 + 2,
        param_bytes=32,
        activation_bytes=8,
        depth=1,
        receptive_field=None,
        receptive_field_min=None,
        receptive_field_exact=True,
        buffer_bytes=0,
        input_bytes=12,
        moved_bytes=(8 + 3 + 2) * 4,
        peak_activation_bytes=12 + 8,
        torch_peak_activation_bytes=12 + 8,
        inference_bytes=32 + 0 + 12 + 8,
        training_bytes=12 + 32 + 32,
        memory_exact=True,
        work=work,
    )
    assert costs.training == Training(kept=12, params=32, gradients=32, optimizer=0, master_weights=0)
    assert (costs.batch, costs.dtype, costs.optimizer) == (1, "float32", "sgd")


def test_master_weights_on_request() -> None:
    unfolded = graph(network("- linear: {out_features: 2}", "[3]"))
    assert count(unfolded, dtype="float16").training.master_weights == 0
    assert count(unfolded, dtype="float16", master_weights=True).training.master_weights == 8 * 4


def test_shared_buffers_count_once() -> None:
    told = report(network("- batch_norm:\n  name: first\n- batch_norm:\n  share: first"))
    assert [row.buffers for row in told.layers] == [7, 0]
    assert (told.totals.buffers, told.totals.buffer_bytes) == (7, 2 * 3 * 4 + 8)


def test_a_parameter_that_comes_first_has_no_batch_either() -> None:
    first, last = (
        report(network(f"- add: {{{branches}}}"), batch=8).totals
        for branches in (
            "a: [{parameter: {shape: [3, 8, 8]}}], b: [relu]",
            "b: [relu], a: [{parameter: {shape: [3, 8, 8]}}]",
        )
    )
    assert first.moved_bytes == last.moved_bytes


@pytest.mark.parametrize(
    ("layers", "depth"),
    [
        ("- blur_pool2d", 0),
        ("- add: {a: [{parameter: {shape: [3, 1, 1]}}], b: [relu]}", 0),
        ("- blur_pool2d\n- conv2d: {out_channels: 2, kernel_size: 3}", 1),
    ],
    ids=["a fixed filter", "a parameter", "a convolution behind one"],
)
def test_what_has_no_weights_or_multiplies_nothing_adds_no_depth(layers: str, depth: int) -> None:
    assert report(network(layers)).totals.depth == depth


def test_totals_are_the_sums_of_rows() -> None:
    told = report(network(SMALL), batch=3, dtype="float16")
    for name in ("params", "buffers", "macs", "flops", "param_bytes", "activation_bytes"):
        assert getattr(told.totals, name) == sum(getattr(row, name) for row in told.layers)


def test_the_batch_scales_work_and_activations_alone() -> None:
    one, eight = (report(network(SMALL), batch=batch).totals for batch in (1, 8))
    for name in ("macs", "flops", "activation_bytes", "input_bytes"):
        assert getattr(eight, name) == 8 * getattr(one, name)
    for name in ("params", "buffers", "param_bytes", "buffer_bytes", "depth", "receptive_field"):
        assert getattr(eight, name) == getattr(one, name)


def test_the_type_scales_bytes_alone() -> None:
    single, half = (report(network(SMALL), dtype=dtype).totals for dtype in ("float32", "bfloat16"))
    for name in ("param_bytes", "activation_bytes", "input_bytes"):
        assert getattr(single, name) == 2 * getattr(half, name)
    assert half.buffer_bytes == 2 * 2 * 4 + 8, "the counter stays int64"
    assert half.flops == single.flops


def test_bytes_moved_are_weights_inputs_and_outputs_of_what_runs() -> None:
    rows = {row.path: row for row in report(network(SMALL)).layers}
    assert rows["linear"].arithmetic_intensity == (2 * 2560 + 10) / (4 * (2570 + 256 + 10))
    assert rows["flatten"].arithmetic_intensity is None, "a view moves nothing"


@pytest.mark.parametrize(
    ("layers", "depth"),
    [
        pytest.param("- relu", 0, id="no weights"),
        pytest.param("- batch_norm", 0, id="a norm is no weighted layer"),
        pytest.param(
            """
            - add:
                body:
                  - conv2d: {out_channels: 3, kernel_size: 1}
                  - conv2d: {out_channels: 3, kernel_size: 1}
                shortcut: [{conv2d: {out_channels: 3, kernel_size: 1}}]
            """,
            2,
            id="the longest path",
        ),
        pytest.param(
            """
            - side: {aux: [{conv2d: {out_channels: 3, kernel_size: 1}}, {conv2d: {out_channels: 3, kernel_size: 1}}]}
              when: training
            - conv2d: {out_channels: 3, kernel_size: 1}
            """,
            1,
            id="what only training executes does not count",
        ),
        pytest.param(
            """
            - side: {aux: [{conv2d: {out_channels: 3, kernel_size: 1}}, {conv2d: {out_channels: 3, kernel_size: 1}}]}
            - conv2d: {out_channels: 3, kernel_size: 1}
            """,
            2,
            id="a side output that runs is an end too",
        ),
    ],
)
def test_depth(layers: str, depth: int) -> None:
    assert report(network(layers)).totals.depth == depth


def test_a_side_that_does_not_run_has_parameters_and_nothing_else() -> None:
    side = """
        - side: {aux: [{conv2d: {out_channels: 5, kernel_size: 1}}, batch_norm]}
          when: training
        - conv2d: {out_channels: 2, kernel_size: 1}
    """
    evaluation, training = (report(network(side), training=mode).totals for mode in (False, True))
    aux, main = 5 * 3 + 5 + 10, 2 * 3 + 2
    assert (evaluation.params, evaluation.inference_params) == (aux + main, main)
    assert (training.params, training.inference_params) == (aux + main, aux + main)
    assert (evaluation.buffers, evaluation.param_bytes) == (11, 4 * (aux + main))
    assert (evaluation.macs, training.macs) == (64 * 2 * 3, 64 * (2 * 3 + 5 * 3))
    assert evaluation.activation_bytes == 4 * 2 * 64


def test_flops_price_every_sort_at_one_and_a_mac_at_two() -> None:
    assert price(Work(1, 10, 100, 1000, 10**4, 10**5, 10**6, 10**7, 10**8)) == 2 + 111111110


def test_counts_do_not_overflow() -> None:
    """Beyond 2^53, where a float would round."""
    totals = report(network("- linear: {out_features: 2000000011}", input="[2000000033]"), batch=1001).totals
    assert totals.macs == 1001 * 2000000011 * 2000000033


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float23"}, "unknown dtype `float23`; did you mean `float32`?"),
        ({"batch": 2.5}, "a batch is a whole number of examples, at least 1, found 2.5"),
        ({"batch": True}, "a batch is a whole number of examples, at least 1, found True"),
        ({"batch": 0}, "a batch is a whole number of examples, at least 1, found 0"),
    ],
)
def test_refuses(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        count(graph(network(SMALL)), **options)
    assert str(caught.value) == message


# What PyTorch refuses at a batch, or in a mode.

SPOT = "- adaptive_avg_pool2d: {output_size: 1}\n"


def test_a_batch_that_pytorch_refuses_is_an_error_at_its_step() -> None:
    """Its statistics would be those of a single value; of two examples they are not."""
    unfolded = graph(network(f"{SPOT}- group_norm: {{num_groups: 3}}"))
    with pytest.raises(SpecError) as caught:
        count(unfolded, 1)
    assert str(caught.value) == (
        "net.yaml:7:5: error: group_norm: `group_norm` needs a batch of at least 2, found 1\n"
        "  7 |   - group_norm: {num_groups: 3}\n"
        "    |     ^\n"
        "  hint: PyTorch cannot compute statistics of a single value"
    )
    assert count(unfolded, 2).totals.training_bytes is not None


def test_in_training_the_error_is_at_the_users_own_step() -> None:
    """The batch norm stands in a block that comes with the tool."""
    unfolded = graph(network(f"{SPOT}- conv_norm_act: {{channels: 8}}"), training=True)
    with pytest.raises(SpecError) as caught:
        count(unfolded, 1)
    assert str(caught.value) == (
        "net.yaml:7:5: error: conv_norm_act.norm: `batch_norm` needs a batch of at least 2 in training, found 1\n"
        "  7 |   - conv_norm_act: {channels: 8}\n"
        "    |     ^\n"
        "  hint: PyTorch cannot compute statistics of a single value"
    )


@pytest.mark.parametrize(
    ("layers", "batch", "why"),
    [
        ("- batch_norm", 1, ""),
        (f"{SPOT}- batch_norm", 2, ""),
        (f"{SPOT}- batch_norm", 1, "batch_norm: `batch_norm` needs a batch of at least 2 in training, found 1"),
        (
            "- side: {aux: [{adaptive_avg_pool2d: {output_size: 1}}, batch_norm]}\n- relu",
            1,
            "side.aux.batch_norm: `batch_norm` needs a batch of at least 2 in training, found 1",
        ),
    ],
)
def test_there_is_no_training_step_where_pytorch_refuses_it(layers: str, batch: int, why: str) -> None:
    """All other figures are those of evaluation, which it takes."""
    costs = count(graph(network(layers)), batch)
    assert costs.untrained == why
    assert (costs.training is None) == (costs.totals.training_bytes is None) == bool(why)
    assert costs.refused == ({"training_bytes": why} if why else {})
    assert costs.totals.peak_activation_bytes > 0
