"""The blocks that come with the tool: whole networks written with them have the published figures."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from cnnprof.errors import SpecError
from tests.support.networks import graph, network, report

GOLDEN = json.loads(gzip.decompress((Path(__file__).parents[1] / "golden" / "torchvision.json.gz").read_bytes()))[
    "models"
]

RESNET = """
    - conv_norm_act: {channels: 64, kernel: 7, stride: 2}
    - max_pool2d: {kernel_size: 3, stride: 2, padding: 1}
    - BLOCK: {SIZE: 64}
      repeat: depths[0]
    - BLOCK: {SIZE: 128, stride: 2 if index == 0 else 1}
      repeat: depths[1]
    - BLOCK: {SIZE: 256, stride: 2 if index == 0 else 1}
      repeat: depths[2]
    - BLOCK: {SIZE: 512, stride: 2 if index == 0 else 1}
      repeat: depths[3]
    - adaptive_avg_pool2d: {output_size: 1}
    - flatten
    - linear: {out_features: 1000}
"""
NETWORKS = {
    "resnet18": (
        RESNET.replace("BLOCK", "basic_residual").replace("SIZE", "channels"),
        "args: {depths: [2, 2, 2, 2]}",
    ),
    "resnet50": (
        RESNET.replace("BLOCK", "bottleneck_residual").replace("SIZE", "width"),
        "args: {depths: [3, 4, 6, 3]}",
    ),
    "squeezenet1_1": (
        """
        - conv2d: {out_channels: 64, kernel_size: 3, stride: 2}
        - relu
        - max_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true}
        - fire: [16, 64]
        - fire: [16, 64]
        - max_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true}
        - fire: [32, 128]
        - fire: [32, 128]
        - max_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true}
        - fire: [48, 192]
        - fire: [48, 192]
        - fire: [64, 256]
        - fire: [64, 256]
        - dropout
        - conv2d: {out_channels: 1000, kernel_size: 1}
        - relu
        - adaptive_avg_pool2d: {output_size: 1}
        - flatten
        """,
        "",
    ),
    "mobilenet_v2": (
        """
        - conv_norm_act: {channels: 32, stride: 2, act: relu6}
        - stage: table[index]
          repeat: len(table)
        - conv_norm_act: {channels: 1280, kernel: 1, act: relu6}
        - adaptive_avg_pool2d: {output_size: 1}
        - flatten
        - linear: {out_features: 1000}
        """,
        """
args:
  table:        # expand, channels, repeats, stride
    - [1, 16, 1, 1]
    - [6, 24, 2, 2]
    - [6, 32, 3, 2]
    - [6, 64, 4, 2]
    - [6, 96, 3, 1]
    - [6, 160, 3, 2]
    - [6, 320, 1, 1]
blocks:
  stage:
    args: {expand: required, channels: required, repeats: required, stride: required}
    layers:
      - inverted_residual: {channels: channels, expand: expand, stride: stride if index == 0 else 1}
        repeat: repeats
        """,
    ),
    "efficientnet_b0": (
        """
        - conv_norm_act: {channels: 32, stride: 2, act: silu}
        - stage: table[index]
          repeat: len(table)
        - conv_norm_act: {channels: 1280, kernel: 1, act: silu}
        - adaptive_avg_pool2d: {output_size: 1}
        - flatten
        - linear: {out_features: 1000}
        """,
        """
args:
  table:        # expand, kernel, stride, channels, repeats
    - [1, 3, 1, 16, 1]
    - [6, 3, 2, 24, 2]
    - [6, 5, 2, 40, 2]
    - [6, 3, 2, 80, 3]
    - [6, 5, 1, 112, 3]
    - [6, 5, 2, 192, 4]
    - [6, 3, 1, 320, 1]
blocks:
  stage:
    args: {e: required, k: required, s: required, c: required, n: required}
    layers:
      - mbconv: {channels: c, expand: e, kernel: k, stride: s if index == 0 else 1}
        repeat: n
        """,
    ),
    "densenet121": (
        """
        - conv_norm_act: {channels: 64, kernel: 7, stride: 2}
        - max_pool2d: {kernel_size: 3, stride: 2, padding: 1}
        - dense_layer: {growth: 32}
          repeat: 6
        - transition
        - dense_layer: {growth: 32}
          repeat: 12
        - transition
        - dense_layer: {growth: 32}
          repeat: 24
        - transition
        - dense_layer: {growth: 32}
          repeat: 16
        - batch_norm
        - relu
        - adaptive_avg_pool2d: {output_size: 1}
        - flatten
        - linear: {out_features: 1000}
        """,
        """
blocks:
  transition:
    layers:
      - batch_norm
      - relu
      - conv2d: {out_channels: in_channels // 2, kernel_size: 1, bias: false}
      - avg_pool2d: {kernel_size: 2}
        """,
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_shipped_blocks_have_torchvision_s_figures(name: str) -> None:
    layers, header = NETWORKS[name]
    totals = report(network(layers, input="[3, 224, 224]", header=header)).totals
    golden = GOLDEN[name]
    assert (totals.params, totals.buffers, totals.macs) == (golden["params"], golden["buffers"], golden["macs"])


def test_mobilenet_of_shipped_blocks() -> None:
    """Howard et al. 2017, table 1."""
    widths = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    body = "\n".join(f"- depthwise_separable: {{channels: {c}, stride: {s}}}" for c, s in widths)
    head = "- adaptive_avg_pool2d: {output_size: 1}\n- flatten\n- linear: {out_features: 1000}"
    text = network(f"- conv_norm_act: {{channels: 32, stride: 2}}\n{body}\n{head}", input="[3, 224, 224]")
    totals = report(text).totals
    assert (totals.macs, totals.params, totals.depth) == (568_740_352, 4_231_976, 28)


def test_squeeze_excite_by_hand() -> None:
    totals = report(network("- squeeze_excite: {reduced: 4}", input="[16, 8, 8]")).totals
    assert totals.params == 16 * 4 + 4 + 4 * 16 + 16
    assert totals.macs == 16 * 4 + 4 * 16
    assert totals.work.multiplies == 16 * 8 * 8


def test_a_convolution_has_a_bias_only_without_a_norm() -> None:
    with_norm, without = (
        report(network(f"- conv_norm_act: {{channels: 8, norm: {norm}}}")).totals.params
        for norm in ("batch_norm", "identity")
    )
    assert with_norm == 3 * 8 * 9 + 2 * 8
    assert without == 3 * 8 * 9 + 8


def test_a_file_s_block_hides_a_shipped_one() -> None:
    mine = "blocks:\n  squeeze_excite:\n    layers: [relu]"
    assert [row.path for row in report(network("- squeeze_excite", header=mine)).layers] == ["squeeze_excite.relu"]


def test_shipped_blocks_do_not_see_the_file_s_arguments() -> None:
    """`reduced` of the file is not `reduced` of the block."""
    totals = report(network("- squeeze_excite", input="[32, 8, 8]", header="args: {reduced: 9, channels: 5}")).totals
    assert totals.params == 32 * 2 + 2 + 2 * 32 + 32


@pytest.mark.parametrize(("input", "axes"), [("[16, 9]", 1), ("[16, 9, 9]", 2), ("[16, 9, 9, 9]", 3)])
def test_blocks_follow_their_input(input: str, axes: int) -> None:
    """One block for sequences, images and volumes."""
    layers = """
    - conv_norm_act: {channels: 32, stride: 2}
    - squeeze_excite
    - basic_residual: {channels: 32}
    - bottleneck_residual: {width: 8}
    - inverted_residual: {channels: 32, reduced: 4}
    - depthwise_separable: {channels: 4}
    """
    rows = report(network(layers, input=input)).layers
    kinds = {row.kind for row in rows if "conv" in row.kind or "pool" in row.kind}
    assert kinds == {f"conv{axes}d", f"adaptive_avg_pool{axes}d"}
    assert rows[-1].output_shape == (1, 4, *[5] * axes)
    assert rows[0].params == 32 * 16 * 3**axes


def test_an_input_that_no_convolution_takes() -> None:
    with pytest.raises(SpecError, match="`conv2d` needs an input of 3 dimensions"):
        report(network("- conv_norm_act: {channels: 4}", input="[16]"))


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_pad_same(axes: int, stride: int, kernel: int) -> None:
    """TensorFlow's rule: ceil(size / stride) windows, and where the padding is odd, the position more goes behind."""
    sizes = [7, 8, 9][:axes]
    layers = f"""
    - pad_same: {{kernel: {kernel}, stride: {stride}}}
    - conv{axes}d: {{out_channels: 4, kernel_size: {kernel}, stride: {stride}}}
    """
    text = network(layers, input=str([3, *sizes]))
    assert report(text).layers[-1].output_shape == (1, 4, *[-(-size // stride) for size in sizes])
    padded = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in sizes]
    expected = [side for total in reversed(padded) for side in (total // 2, total - total // 2)]
    pads = [list(layer.kind.pad) for layer in graph(text).layers if layer.kind.word == "pad"]  # type: ignore[attr-defined]
    assert pads == ([expected] if any(expected) else [])


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_pad_same_of_another_kernel_along_each_axis(stride: int) -> None:
    kernel = [4, 1, 3]
    layers = f"""
    - pad_same: {{kernel: 3, kernel_height: 1, kernel_depth: 4, stride: {stride}}}
    - conv3d: {{out_channels: 4, kernel_size: {kernel}, stride: {stride}}}
    """
    found = report(network(layers, input="[3, 7, 8, 9]"))
    assert found.layers[-1].output_shape == (1, 4, *[-(-size // stride) for size in (7, 8, 9)])


def test_pad_same_of_a_dilated_kernel() -> None:
    text = network("- pad_same: {kernel: 3, stride: 2, dilation: 2}", input="[3, 8, 8]")
    assert report(text).layers[-1].output_shape == (1, 3, 8 + 3, 8 + 3)


def test_a_dense_block_has_the_layers_of_dense_layer() -> None:
    block, layers = (
        report(network(text, input="[64, 56, 56]"))
        for text in ("- dense_block: {depth: 6, growth: 32}", "- dense_layer: {growth: 32}\n  repeat: 6")
    )
    assert (block.totals.params, block.totals.macs) == (layers.totals.params, layers.totals.macs)
    assert block.layers[-1].output_shape == layers.layers[-1].output_shape == (1, 64 + 6 * 32, 56, 56)


@pytest.mark.torch
def test_global_response_norm() -> None:
    """Algorithm 1 of the paper, in PyTorch."""
    torch = pytest.importorskip("torch")
    from cnnprof.runtime.build import module

    built = module(graph(network("- global_response_norm", input="[5, 6, 8]")))
    gamma, beta = built.parameters()
    torch.nn.init.normal_(gamma)
    torch.nn.init.normal_(beta)
    image = torch.randn(2, 5, 6, 8)
    length = torch.norm(image, p=2, dim=(1, 2), keepdim=True)
    ratio = length / (length.mean(dim=-1, keepdim=True) + 1e-6)
    torch.testing.assert_close(built(image), gamma * (image * ratio) + beta + image)


@pytest.mark.torch
def test_self_attention_is_pytorch_s() -> None:
    """With the same weights as `torch.nn.MultiheadAttention`, of tokens and of groups of them."""
    torch = pytest.importorskip("torch")
    from cnnprof.runtime.build import module

    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    torch.nn.init.normal_(theirs.in_proj_bias)
    for shape in ([6, 8], [3, 6, 8]):
        built = module(graph(network("- self_attention: {heads: 2}", input=str(shape))))
        for own, given in zip(built.parameters(), theirs.parameters(), strict=True):
            own.data = given.data
        tokens = torch.randn(2, *shape)
        expected, _ = theirs(*[tokens.reshape(-1, 6, 8)] * 3)
        torch.testing.assert_close(built(tokens), expected.reshape(tokens.shape))


def test_a_cross_stage_block_joins_all_its_parts() -> None:
    rows = report(network("- c2f: {channels: 32, n: 3, shortcut: true}", input="[16, 8, 8]")).layers
    assert [row.output_shape[1] for row in rows if row.kind == "concat"] == [32 + 3 * 16]
    assert sum(row.kind == "add" for row in rows) == 3
    without = report(network("- c2f: {channels: 32, n: 3}", input="[16, 8, 8]")).layers
    assert sum(row.kind == "add" for row in without) == 0


def test_the_sides_of_a_box_are_means() -> None:
    rows = report(network("- dfl", input="[64, 100]")).layers
    assert rows[-1].output_shape == (1, 4, 100)
    assert sum(row.params for row in rows) == 16


def test_heads_that_do_not_divide_the_width_are_one_problem() -> None:
    """What depends on the shape that is unknown then is no problem of its own."""
    with pytest.raises(SpecError) as caught:
        graph(network("- self_attention: {heads: 5}", "[49, 96]"))
    (problem,) = caught.value.problems
    assert "must have the product 288" in problem.message
