"""Scaled dot-product attention: what it gives and what it refuses."""

import pytest

from cnnprof.analysis.costs import count
from cnnprof.analysis.memory import Scale, kept_for_backward
from cnnprof.errors import ShapeError, SpecError
from cnnprof.kinds.attention import MultiHeadAttention, ScaledDotProductAttention
from cnnprof.model.kind import Work
from tests.support.networks import graph, network
from tests.support.pytorch_memory import saved_bytes
from tests.support.verifying import failures, verified

Attention = ScaledDotProductAttention
NEEDS = "`scaled_dot_product_attention` needs a query [heads, n, d], and a key and a value [heads, m, d], found "
OTHERS = "\n`matmul` and `softmax` say what PyTorch computes of other shapes"


def work(products: int, rows: int, width: int) -> Work:
    return Work(
        macs=2 * products * width, multiplies=products, compares=products - rows, adds=2 * products - rows,
        exponentials=products, divides=products,
    )  # fmt: skip


GIVES = [
    pytest.param(Attention(), [(3, 6, 8)] * 3, (3, 6, 8), work(3 * 36, 18, 8), id="of itself"),
    pytest.param(
        Attention(), [(3, 6, 8), (3, 9, 8), (3, 9, 8)], (3, 6, 8), work(3 * 54, 18, 8), id="of another sequence"
    ),
    pytest.param(Attention(is_causal=True), [(3, 6, 8)] * 3, (3, 6, 8), work(3 * 36, 18, 8), id="of what came before"),
    pytest.param(Attention(scale=1), [(1, 40, 2)] * 3, (1, 40, 2), work(1600, 40, 2), id="one head, not scaled"),
]


def masked(work: Work, products: int) -> Work:
    return work._replace(adds=work.adds + products)


GIVES += [
    pytest.param(
        Attention(), [(3, 6, 8)] * 3 + [(3, 6, 6)], (3, 6, 8), masked(work(3 * 36, 18, 8), 108), id="with a mask"
    ),
    pytest.param(
        Attention(scale=2), [(3, 6, 8), (3, 7, 8), (3, 7, 8), (1, 6, 7)], (3, 6, 8),
        masked(work(3 * 42, 18, 8), 126), id="a mask for all heads",
    ),
    pytest.param(Attention(), [(4, 3, 6, 8)] * 3, (4, 3, 6, 8), work(12 * 36, 72, 8), id="of windows"),
    pytest.param(Attention(), [(2, 2, 3, 6, 8)] * 3, (2, 2, 3, 6, 8), work(12 * 36, 72, 8), id="of windows in two"),
    pytest.param(
        Attention(), [(4, 3, 6, 8)] * 3 + [(4, 3, 6, 6)], (4, 3, 6, 8), masked(work(12 * 36, 72, 8), 432),
        id="a mask of each window and head",
    ),
    pytest.param(
        Attention(), [(2, 2, 3, 6, 8)] * 3 + [(2, 2, 3, 1, 6)], (2, 2, 3, 6, 8), masked(work(12 * 36, 72, 8), 432),
        id="a mask of each window in two, for all rows",
    ),
]  # fmt: skip

Heads = MultiHeadAttention


def projected(rows: int, columns: int, width: int, heads: int, macs: int, biases: int) -> Work:
    own = work(heads * rows * columns, heads * rows, width // heads)
    return own._replace(macs=own.macs + macs, adds=own.adds + biases)


GIVES += [
    pytest.param(
        Heads(num_heads=2), (5, 6), (5, 6), projected(5, 5, 6, 2, 5 * 6 * 24, 120), id="multi_head_attention: to itself"
    ),
    pytest.param(
        Heads(num_heads=3, bias=False), (20, 6), (20, 6), projected(20, 20, 6, 3, 20 * 6 * 24, 0),
        id="multi_head_attention: no bias",
    ),
    pytest.param(
        Heads(num_heads=1), [(5, 6), (7, 6)], (5, 6), projected(5, 7, 6, 1, 2 * 5 * 36 + 2 * 7 * 36, 144),
        id="multi_head_attention: to a memory",
    ),
    pytest.param(
        Heads(num_heads=2), [(3, 10), (5, 3)], (3, 10), projected(3, 5, 10, 2, 2 * 3 * 100 + 2 * 5 * 3 * 10, 160),
        id="multi_head_attention: to a memory of another width",
    ),
    pytest.param(
        Heads(num_heads=6), [(20, 6), (3, 6)], (20, 6), projected(20, 3, 6, 6, 2 * 20 * 36 + 2 * 3 * 36, 276),
        id="multi_head_attention: to a short memory",
    ),
    pytest.param(
        Heads(num_heads=2), [(5, 6), (7, 6), (7, 6)], (5, 6), projected(5, 7, 6, 2, 2 * 5 * 36 + 2 * 7 * 36, 144),
        id="multi_head_attention: three inputs",
    ),
    pytest.param(
        Heads(num_heads=2), [(5, 6), (7, 3), (7, 11)], (5, 6),
        projected(5, 7, 6, 2, 2 * 5 * 36 + 7 * 6 * 14, 144), id="multi_head_attention: of other widths",
    ),
    pytest.param(
        Heads(num_heads=2, bias=False), [(20, 6), (7, 4), (7, 3)], (20, 6),
        projected(20, 7, 6, 2, 2 * 20 * 36 + 7 * 6 * 7, 0), id="multi_head_attention: of other widths, no bias",
    ),
    pytest.param(
        Heads(num_heads=2), (4, 5, 6), (4, 5, 6),
        Work(*(4 * each for each in projected(5, 5, 6, 2, 5 * 6 * 24, 120))), id="multi_head_attention: in windows",
    ),
    pytest.param(
        Heads(num_heads=2), [(2, 3, 5, 6), (2, 3, 7, 4)], (2, 3, 5, 6),
        Work(*(6 * each for each in projected(5, 7, 6, 2, 2 * 5 * 36 + 2 * 7 * 6 * 4, 144))),
        id="multi_head_attention: in windows, to a memory of another width",
    ),
    pytest.param(
        Heads(num_heads=3), [(4, 5, 6), (4, 7, 6)], (4, 5, 6),
        Work(*(4 * each for each in projected(5, 7, 6, 3, 2 * 5 * 36 + 2 * 7 * 36, 144))),
        id="multi_head_attention: in windows, to a memory",
    ),
]  # fmt: skip

HEADS_NEED = (
    "`multi_head_attention` needs a query [n, embed_dim], and if others a key [m, kdim] and a value [m, vdim], "
    "all with the same dimensions in front, "
)
MASK = "the mask of `scaled_dot_product_attention` needs the dimensions "
REFUSES = [
    pytest.param(
        Heads(num_heads=4),
        (5, 6),
        "`num_heads` of `multi_head_attention` must divide the last dimension, found num_heads 4 and 6",
        id="multi_head_attention: a width that is not divided",
    ),
    pytest.param(
        Heads(num_heads=2),
        [(5, 6), (7, 6), (8, 6)],
        "`multi_head_attention` needs a key and a value of equally many positions, found [7, 6] and [8, 6]",
        id="multi_head_attention: a value for no key",
    ),
    pytest.param(
        Heads(num_heads=2),
        (6,),
        HEADS_NEED + "found `[6]`\n`flatten` and `permute` make positions of an image",
        id="multi_head_attention: no positions",
    ),
    pytest.param(
        Heads(num_heads=2),
        [(4, 5, 6), (2, 5, 6)],
        HEADS_NEED + "found `[4, 5, 6]`, `[2, 5, 6]`\n`flatten` and `permute` make positions of an image",
        id="multi_head_attention: other windows",
    ),
    pytest.param(
        Attention(),
        [(3, 6, 8)] * 3 + [(2, 6, 6)],
        MASK + "[3, 6, 6] of the products, or 1, found [2, 6, 6]",
        id="a mask of other heads",
    ),
    pytest.param(
        Attention(),
        [(3, 6, 8), (3, 9, 4), (3, 9, 4)],
        NEEDS + "`[3, 6, 8]`, `[3, 9, 4]`, `[3, 9, 4]`" + OTHERS,
        id="a key of another width",
    ),
]

REFUSES_ALONE = [
    pytest.param(
        Attention(is_causal=True),
        [(3, 6, 8)] * 3 + [(3, 6, 6)],
        "`scaled_dot_product_attention` takes `is_causal: true` or a mask, found both",
        id="two masks",
    ),
    pytest.param(
        Attention(),
        [(4, 3, 6, 8)] * 3 + [(2, 3, 6, 6)],
        MASK + "[4, 3, 6, 6] of the products, or 1, found [2, 3, 6, 6]",
        id="a mask for every second window",
    ),
    pytest.param(
        Attention(),
        [(3, 6, 8), (3, 9, 8), (3, 9, 4)],
        NEEDS + "`[3, 6, 8]`, `[3, 9, 8]`, `[3, 9, 4]`" + OTHERS,
        id="a value of another width, which PyTorch computes by products that it stores",
    ),
    pytest.param(
        Attention(), [(6, 8)] * 3, NEEDS + "`[6, 8]`, `[6, 8]`, `[6, 8]`" + OTHERS, id="no heads, which PyTorch stores"
    ),
]

BLOCK = """
- linear: {out_features: 24}
  name: qkv
- slice: {dim: 2, end: 8}
- reshape: {shape: [5, 2, 4]}
- permute: {dims: [0, 2, 1, 3]}
  name: q
- slice: {dim: 2, start: 8, end: 16}
  from: qkv
- reshape: {shape: [5, 2, 4]}
- permute: {dims: [0, 2, 1, 3]}
  name: k
- scaled_dot_product_attention: {value: [], key: k, query: q}
"""


def test_branches_have_roles_and_any_order() -> None:
    found = graph(network(BLOCK, "[5, 8]"))
    attention = found.layers[-1]
    assert [found.tensor_name(tensor) for tensor in attention.inputs] == ["q", "k", "k"]
    assert count(found, 1).totals.macs == 5 * 8 * 24 + 2 * 2 * 5 * 5 * 4


@pytest.mark.parametrize(
    ("branches", "found"),
    [("query: [], key: []", "`query`, `key`"), ("q: [], key: [], value: []", "`q`, `key`, `value`")],
)
def test_a_role_must_not_be_missing(branches: str, found: str) -> None:
    with pytest.raises(SpecError) as caught:
        graph(network(f"- scaled_dot_product_attention: {{{branches}}}"))
    assert "needs the branches `query`, `key`, `value` (and `mask`, if any), found " + found in str(caught.value)


@pytest.mark.torch
def test_says_what_it_does() -> None:
    made = repr(Attention(scale=0.5).module(*[(3, 6, 8)] * 3))
    assert made == "Call(scaled_dot_product_attention is_causal=false, scale=0.5)"


HEADS = """
- linear: {{out_features: 8}}
- reshape: {{shape: [5, 2, 4]}}
- permute: {{dims: [0, 2, 1, 3]}}
  name: q
- scaled_dot_product_attention: {{query: [], key: q, value: q, mask: [{mask}]}}
"""


@pytest.mark.parametrize(
    ("mask", "kept"),
    [
        ("constant: {shape: [2, 5, 5]}", 2 * 25 + 40 + 40 + 2 * 5),
        ("parameter: {shape: [2, 5, 5], requires_grad: false}", 40 + 40 + 2 * 5),
        ("parameter: {shape: [2, 5, 5]}", 40 + 2 * 25 + 40 + 40),
        ("parameter: {shape: [2, 5, 5], stored: [81, 2]}", 40 + 2 * 25 + 40 + 40),
    ],
)
def test_a_mask_that_is_learned_has_the_products_stored(mask: str, kept: int) -> None:
    """Beyond the input of the linear layer: query, key and value are one storage; a batch of one."""
    found = graph(network(HEADS.format(mask=mask), "[5, 8]"))
    assert kept_for_backward(found.trained or found, Scale(1, 1)) - 40 == kept


@pytest.mark.torch
def test_a_relative_position_bias_in_pytorch() -> None:
    import torch

    from cnnprof.runtime.build import module

    found = graph(network(HEADS.format(mask="parameter: {shape: [2, 5, 5], stored: [81, 2]}"), "[5, 8]"))
    built = module(found, seed=1)
    assert dict(built.named_parameters())["scaled_dot_product_attention.mask.parameter.weight"].shape == (81, 2)
    built(torch.rand(3, 5, 8)).sum().backward()
    assert saved_bytes(found.trained or found, 3, fake=False) == kept_for_backward(found.trained or found, Scale(3, 4))


def test_a_memory_is_listed_in_from() -> None:
    steps = """
    - linear: {out_features: 6}
      name: query
    - multi_head_attention: {num_heads: 2}
      from: [query, input]
    """
    found = graph(network(steps, "[5, 8]"))
    assert count(found, 1).totals.params == 54 + 36 + 2 * 48 + 18 + 42


SHARED = """
- multi_head_attention: {num_heads: 2}
  name: first
- multi_head_attention: {num_heads: 2}
  share: first
- gru: {hidden_size: 6}
  name: second
- gru: {hidden_size: 6}
  share: second
"""


@pytest.mark.torch
def test_shares_the_weights_of_the_modules_inside_too() -> None:
    import torch

    from cnnprof.runtime.build import module

    found = graph(network(SHARED, "[5, 6]"))
    built = module(found, seed=0)
    params = 4 * 36 + 24 + 6 * 36 + 36
    assert count(found, 1).totals.params == sum(each.numel() for each in built.parameters()) == params
    assert sum(each.numel() for inner in built.own("first") for each in inner.parameters(recurse=False)) == 4 * 36 + 24
    assert built(torch.rand(2, 5, 6)).shape == (2, 5, 6)


FOLDED = """
- linear: {{out_features: 8}}
- reshape: {{shape: [3, 5, 2, 4]}}
- permute: {{dims: [0, 1, 3, 2, 4]}}
  name: heads
- scaled_dot_product_attention:
    query: []
    key: heads
    value: heads
    mask: [{mask}]
"""
OF_EACH_EXAMPLE = "slice: {dim: 1, end: 1}}, {slice: {dim: 4, end: 1}"


@pytest.mark.parametrize(
    ("mask", "unsure"),
    [
        ("parameter: {shape: [1, 2, 5, 5]}", ""),
        ("constant: {shape: [1, 1, 5, 5]}", ""),
        ("constant: {shape: [3, 1, 5, 5]}", ""),
        ("constant: {shape: [3, 2, 5, 5]}", ""),
        (OF_EACH_EXAMPLE, "{} repeats the mask of each example"),
        (OF_EACH_EXAMPLE.replace("{dim: 1, end: 1}}, ", "{dim: 2, end: 1}}, "), "{} repeats the mask of each example"),
    ],
)
def test_a_mask_of_each_example_is_repeated_for_what_is_folded(mask: str, unsure: str) -> None:
    """How often depends on the batch, which rules do not know."""
    found = graph(network(FOLDED.format(mask="{" + mask + "}"), "[15, 8]"))
    assert found.layers[-1].unsure == unsure


@pytest.mark.torch
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "mask",
    [
        "parameter: {shape: [3, 2, 5, 5]}",
        "parameter: {shape: [3, 1, 5, 5], stored: [7, 2]}",
        "parameter: {shape: [3, 2, 1, 5]}",
        "constant: {shape: [3, 2, 5, 5]}",
        "constant: {shape: [3, 1, 5, 1]}",
    ],
)
def test_a_mask_of_each_window_is_copied_for_every_example(mask: str, batch: int) -> None:
    """Heads and windows of a permuted query do not lie side by side: joining those would copy it instead."""
    found = graph(network(FOLDED.format(mask="{" + mask + "}"), "[15, 8]"))
    checked = verified(found, count(found, batch), fvcore=False)
    assert failures(checked) == {}
    assert {check.name for check in checked.checks if check.left_out} <= {"fvcore"}


def test_one_that_is_not_folded_is_exact() -> None:
    steps = FOLDED.replace("[3, 5, 2, 4]", "[5, 2, 4]").replace("[0, 1, 3, 2, 4]", "[0, 2, 1, 3]")
    mask = OF_EACH_EXAMPLE.replace("dim: 4", "dim: 3").replace("{dim: 1, end: 1}", "{dim: 1, start: 1}")
    found = graph(network(steps.format(mask="{" + mask + "}"), "[5, 8]"))
    assert found.layers[-1].unsure == ""


@pytest.mark.torch
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("read", ["query", "query, memory", "query, memory, query"])
def test_heads_keep_copies_of_their_inputs_only_in_a_batch(read: str, batch: int) -> None:
    """In a batch of one, positions first is the order that is there already: what several layers keep is kept once."""
    unfolded = graph(
        network(
            f"""
            - linear: {{out_features: 8}}
            - relu
            - identity:
              name: memory
            - linear: {{out_features: 8}}
            - relu
            - identity:
              name: query
            - multi_head_attention: {{num_heads: 2}}
              from: [{read}]
              name: first
            - multi_head_attention: {{num_heads: 2}}
              from: [{read}]
            """,
            "[5, 8]",
        )
    )
    assert failures(verified(unfolded, count(unfolded, batch), fvcore=False)) == {}


def test_attention_of_heads_has_three_inputs_at_most() -> None:
    with pytest.raises(ShapeError, match=r"needs a query .* found `\[5, 6\]`, `\[5, 6\]`, `\[5, 6\]`, `\[5, 6\]`"):
        MultiHeadAttention(num_heads=2).output(*[(5, 6)] * 4)
