"""Quantization and sparsity: bytes of weights, activations and the peak, by hand."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

import cnnprof
from cnnprof.analysis.costs import Costs, count
from cnnprof.analysis.quantize import as_stored, store
from cnnprof.cli import main
from cnnprof.errors import UsageError
from cnnprof.model.types import AS_COMPUTED, Typed, Types, read_type
from tests.support.networks import graph, network
from tests.support.rewritten import ZOO

# One example of [3, 8, 8]. c: weight 5·3·3·3 = 135, bias 5, output 5·6·6 = 180. batch norm: 5 + 5, output 180.
# relu runs in place. l: flatten is a view, weight 2·180 = 360, bias 2, output 2.
NET = network(
    """
    - conv2d: {out_channels: 5, kernel_size: 3}
      name: c
    - batch_norm
    - relu
    - flatten
    - linear: {out_features: 2}
      name: l
    """
)


def stored(weights: str = "", activations: str = "", sparsity: str = "0", batch: int = 1) -> Costs:
    weighted, active = (tuple(read_type("--with", each) for each in given.split()) for given in (weights, activations))
    found = graph(NET)
    types = Types(weights=weighted, activations=active, sparsity=Fraction(sparsity))
    return as_stored(found, count(found, batch), types)


VECTORS = 4 * (5 + 5 + 5 + 2)  # biases and the norm's, in float32

WEIGHTS = [
    ("", 4 * (135 + 360) + VECTORS),
    ("float32", 4 * (135 + 360) + VECTORS),
    ("int16", 2 * (135 + 360) + VECTORS),
    ("int8", 135 + 360 + VECTORS),
    ("int4", 68 + 180 + VECTORS),  # 67.5 bytes rounded up
    ("int8 l=float32", 135 + 4 * 360 + VECTORS),
    ("int4 c=int8", 135 + 180 + VECTORS),
    ("c=int8 int4", 68 + 180 + VECTORS),  # the last that matches holds
]


@pytest.mark.parametrize(("weights", "expected"), WEIGHTS)
def test_weights(weights: str, expected: int) -> None:
    found = stored(weights)
    assert (found.totals.param_bytes, found.totals.params) == (expected, 135 + 5 + 10 + 360 + 2)
    assert (found.totals.activation_bytes, found.peak.bytes) == (4 * (180 + 180 + 2), 4 * (192 + 180 + 180))


ACTIVATIONS = [
    # types, all outputs, the peak: input, convolution and norm
    ("int8", 180 + 180 + 2, 192 + 180 + 180),
    ("int4", 90 + 90 + 1, 96 + 90 + 90),
    ("int8 c=float32", 4 * 180 + 180 + 2, 192 + 4 * 180 + 180),
    ("int8 input=float32", 180 + 180 + 2, 4 * 192 + 180 + 180),
    ("int8 relu=float32", 180 + 180 + 2, 192 + 180 + 180),  # in place: what it overwrites decides
]


@pytest.mark.parametrize(("activations", "made", "peak"), ACTIVATIONS)
def test_activations(activations: str, made: int, peak: int) -> None:
    found = stored(activations=activations)
    assert (found.totals.activation_bytes, found.peak.bytes, found.peak.layer) == (made, peak, "batch_norm")


def test_the_batch_is_packed_together() -> None:
    """Three examples of 5·6·6 values in 4 bits are 270 bytes."""
    assert stored(activations="int4", batch=3).totals.activation_bytes == 270 + 270 + 3


SPARSITY = [
    # share, values that are left: n − ⌊share·n⌋ of each kernel and matrix
    ("0", 135 + 360),
    ("1/2", 68 + 180),
    ("9/10", 14 + 36),
    ("1/1000", 135 + 360),
]


@pytest.mark.parametrize(("sparsity", "left"), SPARSITY)
def test_sparsity(sparsity: str, left: int) -> None:
    found = stored(sparsity=sparsity)
    assert (found.totals.params, found.totals.param_bytes) == (left + 17, 4 * left + VECTORS)
    assert found.totals.activation_bytes == stored().totals.activation_bytes


def test_sparsity_and_bits() -> None:
    assert stored(weights="int4", sparsity="1/2").totals.param_bytes == 34 + 90 + VECTORS


@pytest.mark.parametrize("spec", ZOO)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_without_a_wish_nothing_changes(spec: str, dtype: str) -> None:
    """The figures of the analysis, from the same tensors."""
    found = cnnprof.unfold(spec)
    costs = count(found, 2, dtype)
    again = as_stored(found, costs, AS_COMPUTED)
    assert again.layers == costs.layers
    assert again.peak == costs.peak
    assert again.totals == costs.totals._replace(training_bytes=None)
    assert set(again.types) == {dtype}


@pytest.mark.parametrize("spec", ZOO)
def test_half_of_float32_is_float16(spec: str) -> None:
    """Of activations; of weights all but vectors."""
    half = cnnprof.analyze(spec, dtype="float16").totals
    found = cnnprof.analyze(spec, with_="activations=float16").totals
    assert (found.activation_bytes, found.peak_activation_bytes) == (half.activation_bytes, half.peak_activation_bytes)


def test_int8_and_int16_are_those_of_tensorflow_lite() -> None:
    """Biases of int8 networks in int32, of int16 ones, whose weights are int8 too, in int64."""
    vectors = 5 + 10 + 2
    for name, bias, size in (("int8", 4, 1), ("int16", 8, 2)):
        found = cnnprof.analyze(graph(NET), with_=name)
        assert found.totals.param_bytes == 135 + 360 + bias * vectors
        assert found.totals.activation_bytes == size * (180 + 180 + 2)
        assert found.totals.peak_activation_bytes == size * (192 + 180 + 180)
        assert {row.dtype for row in found.layers} == {name}
        assert (found.totals.torch_peak_activation_bytes, found.totals.inference_bytes) == (None, None)
        assert set(found.refused) == {"torch_peak_activation_bytes", "inference_bytes", "training_bytes"}


def test_the_type_of_each_tensor() -> None:
    """In place: what it overwrites decides; a view has its tensor's."""
    found = cnnprof.analyze(graph(NET), with_=["activations=int8", "activations=c=float32", "activations=relu=int4"])
    assert [row.dtype for row in found.layers] == ["float32", "int8", "int8", "int8", "int8"]
    assert store(found.graph, 1, "float32", Types(activations=(Typed("int4"),))).types[0] == "int4"


def test_bytes_that_move_are_those_stored() -> None:
    """Of c: 192 + 180 values in int8, 135 weights in int8 and 5 biases in int32."""
    found = cnnprof.analyze(graph(NET), with_="int8")
    assert found.costs.layers[0].moved_bytes == 192 + 180 + 135 + 4 * 5


TYPES = [
    (["int8", "fc*=float16"], (Typed("int8"), Typed("float16", "fc*"))),
    (["a=b=int4"], (Typed("int4", "a=b"),)),
    ([], ()),
]


ROWS = {
    "table": r"^input  +3\.00 KiB$",
    "markdown": r"^\| input \| 3\.00 KiB \|$",
    "latex": r"input & 3\.00 KiB ",
    "html": r"<tr[^>]*><td[^>]*>input</td><td[^>]* data-v=\"3072\">3\.00 KiB</td>",
}


@pytest.mark.parametrize("form", ROWS)
def test_an_input_has_its_row_as_it_is_stored(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An image of [3, 32, 32] takes 3,072 bytes in int8, and 12 KiB in float32."""
    assert main(["analyze", "resnet8", "--with", "int8", "--columns", "path,activation_bytes", "--format", form]) == 0
    assert re.search(ROWS[form], capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(("given", "expected"), TYPES)
def test_reads_types(given: list[str], expected: tuple[Typed, ...]) -> None:
    assert tuple(read_type("--with weights", each) for each in given) == expected


REFUSES = [
    ("in8", "--with weights takes a type such as int8, or PATTERN=TYPE, found `in8`; did you mean `int8`?"),
    ("fc=8", "--with weights takes a type such as int8, or PATTERN=TYPE, found `fc=8`; "
             "known: `int4`, `int8`, `int16`, `float16`, `bfloat16`, `float32`"),
    ("=int8", "--with weights takes a type such as int8, or PATTERN=TYPE, found `=int8`; did you mean `int8`?"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), REFUSES)
def test_refuses_types(given: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_type("--with weights", given)
    assert str(refused.value) == message
