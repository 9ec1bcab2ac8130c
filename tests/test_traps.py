"""Where counters of this kind go wrong: known traps, each passed or refused with a clear message.

Here are the rows about whole networks, and those about layers that the language does not have. The others are rows of
the kinds' own tests, each also put before PyTorch:

| trap (by its number) | kinds/test_….py |
|---|---|
| pooling: shapes with `ceil_mode`, padding, dilation; boundary windows (1, 2, 3) | pool |
| convolution: `same` of an even kernel, strides, dilation, groups, kernel too large (4, 5, 7, 8, 12, 34, 37) | conv |
| transposed convolution: sizes, MACs by input positions, groups, `output_padding` (9, 10, 11) | conv_transpose |
| adaptive pooling: null, larger than the input, places read (15) | adaptive_pool |
| interpolation: sizes by factor, work (28) | interpolate |
| batch norm 16 and 17, instance norm 0, group and layer norm; by mode (16, 17, 18) | norm |
| PReLU with 8 parameters or 1 (36) | activation |
| `flatten` from dimension 0 (33) | flatten |
| pixel shuffle, unshuffle and channel shuffle that do not divide (27) | shuffle |
| linear over positions (31) | linear |
| broadcasting by rank, odd sizes in a sum (40, 47) | arithmetic, concat |
| dropout by mode, its mask (24, 41) | dropout |
| what is kept for the backward pass (24, the whole table) | all, by `same` of against_torch.py |
| units, FLOPs per MAC, integers beyond 2^53 (13, 44) | tests/analysis/test_costs.py |
| in place, views (21, 22) | tests/model/test_aliasing.py |

Not ours: fvcore and torchprofile as oracles (6), padding left out of MACs (14), cuDNN's workspace (26).
"""

from __future__ import annotations

from typing import Any

import pytest

from cnnprof.errors import SpecError
from tests.support.networks import network, report

IMAGE = "[16, 32, 32]"
CONV_8 = "conv2d: {out_channels: 8, kernel_size: 3, padding: 1, bias: false}"

# The trap, layers, input, batch, true MACs; the sizes are those that give the true count and the errors
# that the other tools make of it.
NETS = [
    pytest.param(
        "- conv2d: {out_channels: 16, kernel_size: 3, padding: 1, bias: false}",
        "[8, 32, 32]",
        1,
        1_179_648,
        id="conv3x3 p1 nobias",
    ),
    pytest.param(
        "- conv2d: {out_channels: 16, kernel_size: 3, padding: 1}",
        "[8, 32, 32]",
        1,
        1_179_648,
        id="conv3x3 with bias",
    ),
    pytest.param(
        "- conv2d: {out_channels: 32, kernel_size: 3, padding: 1, groups: 4}",
        IMAGE,
        1,
        1_179_648,
        id="grouped conv g4",
    ),
    pytest.param(
        "- conv2d: {out_channels: in_channels, kernel_size: 3, padding: 1, groups: in_channels}",
        IMAGE,
        1,
        147_456,
        id="depthwise",
    ),
    pytest.param(
        "- conv2d: {out_channels: 2 * in_channels, kernel_size: 3, padding: 1, groups: in_channels}",
        IMAGE,
        1,
        294_912,
        id="depthwise mult 2",
    ),
    pytest.param(
        "- conv2d: {out_channels: 4, kernel_size: 4, padding: same}",
        "[4, 32, 32]",
        1,
        262_144,
        id="same pad even k4",
    ),
    pytest.param(
        "- conv2d: {out_channels: 4, kernel_size: 4, padding: same, dilation: 2}",
        "[4, 32, 32]",
        1,
        262_144,
        id="same pad dil2 k4",
    ),
    pytest.param(
        "- conv2d: {out_channels: 16, kernel_size: 3, stride: 2, padding: 1}",
        "[8, 33, 33]",
        1,
        332_928,
        id="stride2 conv",
    ),
    pytest.param(
        "- conv_transpose2d: {out_channels: 4, kernel_size: 4, stride: 2, padding: 1}",
        "[8, 16, 16]",
        1,
        131_072,
        id="convT s2 8->4 k4",
    ),
    pytest.param(
        "- conv_transpose2d: {out_channels: 8, kernel_size: 4, stride: 2, padding: 1}",
        "[8, 16, 16]",
        1,
        262_144,
        id="convT s2 8->8 k4",
    ),
    pytest.param(
        "- conv_transpose2d: {out_channels: 16, kernel_size: 4, stride: 2, padding: 1, groups: 4}",
        "[8, 8, 8]",
        1,
        32_768,
        id="convT grouped g4 8->16",
    ),
    pytest.param(
        "- conv_transpose2d: {out_channels: 4, kernel_size: 3, stride: 2, padding: 1, output_padding: 1}",
        "[8, 16, 16]",
        1,
        73_728,
        id="convT output_padding",
    ),
    pytest.param("- conv1d: {out_channels: 16, kernel_size: 5, padding: 2}", "[8, 64]", 1, 40_960, id="conv1d"),
    pytest.param("- conv3d: {out_channels: 8, kernel_size: 3, padding: 1}", "[4, 8, 8, 8]", 1, 442_368, id="conv3d"),
    pytest.param(
        f"- {CONV_8}\n  name: first\n- {CONV_8}\n  share: first", "[8, 16, 16]", 1, 294_912, id="module called twice"
    ),
    pytest.param(
        "- linear: {out_features: 32, bias: false}\n  name: first\n- linear: {out_features: 32, bias: false}\n"
        "  share: first",
        "[32]",
        1,
        2048,
        id="tied weights (2 Linears)",
    ),
    pytest.param(
        "- conv2d: {out_channels: 16, kernel_size: 3, padding: 1}",
        "[8, 16, 16]",
        1,
        294_912,
        id="F.conv2d + raw Parameter, subclass of Conv2d: in a spec there is one convolution",
    ),
    pytest.param(
        f"- conv2d: {{out_channels: 8, kernel_size: 1, bias: false}}\n- side: {{unused: [{CONV_8}]}}\n  when: training",
        "[8, 16, 16]",
        1,
        16_384,
        id="unused submodule",
    ),
    pytest.param(
        "- conv2d: {out_channels: 16, kernel_size: 3, padding: 1}", "[8, 16, 16]", 4, 1_179_648, id="batch 4 conv"
    ),
    pytest.param("- linear: {out_features: 64}", "[32]", 1, 2048, id="linear 2d"),
    pytest.param("- linear: {out_features: 64}", "[10, 32]", 2, 40_960, id="linear 3d (B,T,C)"),
    pytest.param("- batch_norm", "[16, 8, 8]", 1, 0, id="BN only"),
    pytest.param("- relu", "[16, 8, 8]", 1, 0, id="ReLU only"),
    pytest.param("- max_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true}", IMAGE, 1, 0, id="MaxPool 3x3 s2 ceil"),
    pytest.param("- avg_pool2d: {kernel_size: 2}", IMAGE, 1, 0, id="AvgPool 2x2"),
    pytest.param("- adaptive_avg_pool2d: {output_size: 1}", "[16, 8, 8]", 1, 0, id="AdaptiveAvgPool(1)"),
    pytest.param(
        "- interpolate: {scale_factor: 2, mode: bilinear}", "[4, 8, 8]", 2, 0, id="Upsample bilinear x2, batch2"
    ),
    pytest.param(
        "- conv2d: {out_channels: 4, kernel_size: 1}\n- interpolate: {scale_factor: 2}",
        "[4, 8, 8]",
        4,
        4096,
        id="F.interpolate scalar x2 batch4",
    ),
    pytest.param("- softmax: {dim: 1}", "[16]", 1, 0, id="Softmax"),
    pytest.param(
        "- add: {body: [{conv2d: {out_channels: 8, kernel_size: 1}}], shortcut: []}",
        "[8, 16, 16]",
        1,
        16_384,
        id="residual add",
    ),
    pytest.param("- group_norm: {num_groups: 2}", "[4, 16, 16]", 1, 0, id="GroupNorm"),
]


@pytest.mark.parametrize(("layers", "input", "batch", "macs"), NETS)
def test_true_macs(layers: str, input: str, batch: int, macs: int) -> None:
    assert report(network(layers, input), batch=batch).totals.macs == macs


@pytest.mark.torch
@pytest.mark.parametrize(("layers", "input", "batch", "macs"), NETS)
def test_pytorch_runs_them(layers: str, input: str, batch: int, macs: int) -> None:
    """FlopCounterMode counts two for each, and the profiled net gives the same figures a second time (43)."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from cnnprof.runtime.build import module

    told = report(network(layers, input), batch=batch)
    built = module(told.graph)
    for _ in range(2):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            built(*(torch.rand(batch, *shape) for shape in told.graph.inputs.values()))
        assert counter.get_total_flops() == 2 * macs
    assert sum(tensor.numel() for tensor in built.parameters()) == told.totals.params


def test_shared_across_parents() -> None:
    """One convolution in two blocks: 576 parameters (others: 1,728 or 1,152), and the work of both calls."""
    told = report(
        network(
            f"""
            - {CONV_8}
              name: shared
            - parent: {{conv: shared}}
            - parent: {{conv: shared}}
            """,
            "[8, 16, 16]",
            f"""
blocks:
  parent:
    args: {{conv: required}}
    layers:
      - add:
          a: []
          b:
            - {CONV_8}
              share: conv
""",
        )
    )
    assert told.totals.params == 8 * 8 * 9
    assert told.totals.macs == 3 * 147_456
    assert [row.params for row in told.layers if row.kind == "conv2d"] == [576, 0, 0], "counted where it is first used"


def test_tied_weights_count_once() -> None:
    tied = "- linear: {out_features: 32, bias: false}\n  name: first\n- linear: {out_features: 32, bias: false}\n"
    assert report(network(tied + "  share: first", "[32]")).totals.params == 32 * 32
    assert report(network(tied, "[32]")).totals.params == 2 * 32 * 32


def test_an_unused_submodule_has_parameters_and_no_work() -> None:
    """640 parameters, 64 of them executed (38)."""
    pointwise = "conv2d: {out_channels: 8, kernel_size: 1, bias: false}"
    layers = f"- {pointwise}\n- side: {{unused: [{CONV_8}]}}\n  when: training"
    totals = report(network(layers, "[8, 16, 16]")).totals
    assert (totals.params, totals.inference_params, totals.macs) == (640, 64, 16_384)


def test_a_dead_branch_is_no_part_of_the_network() -> None:
    """Unlike a side output, a step that `when` leaves out is simply absent (38)."""
    layers = f"- relu\n- {CONV_8}\n  when: false"
    assert report(network(layers, "[8, 16, 16]")).totals.params == 0


# Layers that the language does not have, by the word an author would try.
UNKNOWN = [
    *(
        "rnn",
        "embedding",
        "einsum",
        "bmm",
        "multihead_attention",
        "transformer_encoder_layer",
        "weight_norm",
        "spectral_norm",
        "MyPool2d",
        "MyConv2d",
    ),
]


@pytest.mark.parametrize("word", UNKNOWN)
@pytest.mark.parametrize("fields", ["", ": {hidden_size: 32}"], ids=["bare", "with fields"])
def test_an_unknown_layer_is_refused_by_name(word: str, fields: str) -> None:
    """Never silently zero (29, 30, 32, 35, 39, 48): embeddings, hooks on weights, custom classes."""
    text = network(f"- relu\n- {word}{fields}")
    with pytest.raises(SpecError) as caught:
        report(text)
    (problem,) = caught.value.problems
    assert problem.message == f"`{word}` is neither a layer kind nor a block"
    assert text.split("\n")[problem.mark.line][problem.mark.column :] == f"{word}{fields}"


@pytest.mark.parametrize("word", ["weight_norm", "spectral_norm"])
def test_a_hook_on_weights_is_no_field_either(word: str) -> None:
    with pytest.raises(SpecError, match=f"`conv2d` has no field `{word}`"):
        report(network(f"- conv2d: {{out_channels: 8, kernel_size: 3, {word}: true}}"))


REFUSED = [
    pytest.param(
        """
        - conv_transpose2d: {out_channels: 3, kernel_size: 3, stride: 2, padding: 1}
        - add: {up: [], skip: input}
        """,
        "`add` needs equal sizes (or 1) in every dimension, found `[3, 15, 15]`, `[3, 8, 8]`, "
        "in the branches `up`, `skip`",
        id="47: odd sizes in a skip connection",
    ),
    pytest.param(
        "- conv2d: {out_channels: 3, kernel_size: 7}\n- conv2d: {out_channels: 3, kernel_size: 7}",
        "the kernel of `conv2d` must not be larger than the padded input, found a kernel spanning 7 and an axis of 2",
        id="34: kernel larger than the input",
    ),
    pytest.param(
        "- max_pool2d: {kernel_size: 3, padding: 2}",
        "`padding` of `max_pool2d` must be at most half of `kernel_size`, found padding 2 and kernel_size 3",
        id="34: padding more than half of the window",
    ),
    pytest.param(
        "- conv2d: {out_channels: 4, kernel_size: 3, padding: same, stride: 2}",
        "`padding: same` of `conv2d` needs stride 1, as in PyTorch, found stride [2, 2]",
        id="5: same with a stride",
    ),
    pytest.param(
        "- flatten\n- conv2d: {out_channels: 4, kernel_size: 1}",
        "`conv2d` needs an input of 3 dimensions (channels, height, width), found [192]",
        id="33: a convolution of what is flat",
    ),
    pytest.param(
        "- add: {a: [], b: [{adaptive_avg_pool2d: {output_size: 1}}, flatten]}",
        "`add` needs inputs with equally many dimensions, found `[3, 8, 8]`, `[3]`, in the branches `a`, `b`",
        id="40: shapes are aligned from both ends, with the batch",
    ),
]


@pytest.mark.parametrize(("layers", "message"), REFUSED)
def test_refuses(layers: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        report(network(layers))
    assert [problem.message for problem in caught.value.problems] == [message]


# The checklist's rows about whole networks


def totals(layers: str, input: str = "[3, 8, 8]", **options: Any) -> Any:
    return report(network(layers, input), **options).totals


def test_12_a_bias_is_no_mac_and_one_flop_per_output() -> None:
    without, with_bias = (
        totals(f"- conv2d: {{out_channels: 4, kernel_size: 3, bias: {bias}}}") for bias in ("false", "true")
    )
    assert with_bias.macs == without.macs == 4 * 6 * 6 * 3 * 9
    assert with_bias.flops - without.flops == 4 * 6 * 6


def test_16_folding_a_batch_norm_into_a_convolution_changes_no_mac() -> None:
    """Its 2C parameters become a bias of C."""
    apart = totals("- conv2d: {out_channels: 4, kernel_size: 3, bias: false}\n- batch_norm")
    folded = totals("- conv2d: {out_channels: 4, kernel_size: 3}")
    assert apart.macs == folded.macs
    assert apart.params - folded.params == 2 * 4 - 4


def test_17_a_batch_norm_works_more_in_training() -> None:
    evaluation, training = (totals("- batch_norm", training=mode) for mode in (False, True))
    assert evaluation.flops == 2 * 3 * 64
    assert training.flops > evaluation.flops


def test_20_auxiliary_classifiers_count_in_params_and_work_in_training_alone() -> None:
    """GoogLeNet as torchvision builds it: 13,004,888 parameters, 6,379,984 of them auxiliary."""
    import cnnprof

    evaluation, training = (cnnprof.analyze("googlenet@torchvision", training=mode).totals for mode in (False, True))
    assert evaluation.params == training.params == 13_004_888
    assert evaluation.inference_params == 6_624_904
    assert training.inference_params == training.params
    assert (evaluation.macs, round(training.macs / 1e9, 4)) == (1_498_376_192, 1.5067)


def test_21_an_in_place_relu_makes_no_tensor() -> None:
    conv = "- conv2d: {out_channels: 4, kernel_size: 3}"
    assert totals(f"{conv}\n- relu").activation_bytes == totals(conv).activation_bytes == 4 * 4 * 36


def test_22_concat_copies_and_a_slice_does_not() -> None:
    assert totals("- concat: {a: [], b: []}").activation_bytes == 4 * 2 * 3 * 64
    assert totals("- slice: {dim: 1, end: 1}").activation_bytes == 0


def test_23_a_residual_keeps_both_operands_alive() -> None:
    """The peak is the sum of what lives at once, not the largest layer: input, shortcut, body and sum."""
    block = """
        - gelu
        - add:
            body: [{conv2d: {out_channels: 3, kernel_size: 3, padding: 1}}, gelu]
            shortcut: []
    """
    one = 4 * 3 * 64
    straight = totals("- gelu\n- conv2d: {out_channels: 3, kernel_size: 3, padding: 1}\n- gelu")
    assert straight.peak_activation_bytes == 3 * one, "the input, the layer's own input and output"
    assert totals(block).peak_activation_bytes == 4 * one, "and the shortcut beside them"


def test_25_a_batch_scales_activations_and_not_weights() -> None:
    layers = "- conv2d: {out_channels: 4, kernel_size: 3}"
    one, four = totals(layers), totals(layers, batch=4)
    assert (four.activation_bytes, four.input_bytes) == (4 * one.activation_bytes, 4 * one.input_bytes)
    assert (four.params, four.param_bytes) == (one.params, one.param_bytes)


def test_39_a_field_that_is_not_known_is_refused() -> None:
    with pytest.raises(SpecError, match="`conv2d` has no field `kernel`"):
        totals("- conv2d: {out_channels: 8, kernel: 3}")


def test_42_work_does_not_grow_with_the_square_of_the_size_where_layers_have_no_places() -> None:
    layers = """
        - conv2d: {out_channels: 4, kernel_size: 3, padding: 1}
        - adaptive_avg_pool2d: {output_size: 1}
        - flatten
        - linear: {out_features: 10}
    """
    small, large = totals(layers), totals(layers, "[3, 16, 16]")
    assert (small.macs, large.macs) == (64 * 4 * 27 + 40, 4 * 64 * 4 * 27 + 40)


def test_44_figures_are_integers_beyond_floats() -> None:
    layers = "- conv2d: {out_channels: 65537, kernel_size: 3, padding: 1, bias: false}"
    macs = totals(layers, "[65537, 4095, 4097]", batch=1025).macs
    assert macs == 1025 * 4095 * 4097 * 65537 * 65537 * 9
    assert int(float(macs)) != macs


def test_45_the_separable_ratio_is_exact_where_nothing_but_macs_count() -> None:
    """1/out_channels + 1/kernel volume, at equal stride and padding."""
    standard = totals("- conv2d: {out_channels: 16, kernel_size: 3, padding: 1}", "[8, 8, 8]").macs
    separable = totals(
        """
        - conv2d: {out_channels: in_channels, kernel_size: 3, padding: 1, groups: in_channels}
        - conv2d: {out_channels: 16, kernel_size: 1}
        """,
        "[8, 8, 8]",
    ).macs
    assert separable * 16 * 9 == standard * (16 + 9)


def test_46_squeeze_and_excite_repeats_its_gate_over_all_places() -> None:
    told = report(
        network("- mul: {x: [], gate: [{adaptive_avg_pool2d: {output_size: 1}}, sigmoid]}\n- flatten", "[4, 8, 8]")
    )
    assert [row.output_shape for row in told.layers] == [(1, 4, 1, 1), (1, 4, 1, 1), (1, 4, 8, 8), (1, 256)]
    assert told.layers[2].flops == 4 * 8 * 8


def test_46_a_1x1_convolution_with_a_stride_skips_places() -> None:
    told = report(network("- conv2d: {out_channels: 4, kernel_size: 1, stride: 2, bias: false}", "[3, 7, 7]"))
    assert told.layers[0].output_shape == (1, 4, 4, 4)
    assert told.totals.macs == 4 * 4 * 4 * 3
