"""A quantised ONNX model → the model in floating point that it stands for, and how its tensors are stored.

Both forms that tools write: QuantizeLinear and DequantizeLinear around operators in floating point, and operators that
read and write integers (QLinearConv and, of ONNX Runtime's own domain, QLinearAdd and others). Scales and zero points
are left out: they change no shape and no count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cnnprof.importers.onnx.file import FLOAT32

RUNTIME = "com.microsoft"
"""The domain of the operators that ONNX Runtime adds."""
INTEGERS = {2: "uint8", 3: "int8", 5: "int16", 6: "int32"}
"""Types of values, by ONNX's numbers."""


class Form(NamedTuple):
    """An operator on integers: the one in floating point, positions of what it reads and of its zero point."""

    operator: str
    reads: tuple[int, ...]
    zero_point: int


FORMS = {
    "QLinearConv": Form("Conv", (0, 3, 8), 7),
    "QLinearMatMul": Form("MatMul", (0, 3), 7),
    "QLinearAdd": Form("Add", (0, 3), 7),
    "QLinearMul": Form("Mul", (0, 3), 7),
    "QGemm": Form("Gemm", (0, 3, 6), 8),
    "QLinearSigmoid": Form("Sigmoid", (0,), 4),
    "QLinearLeakyRelu": Form("LeakyRelu", (0,), 4),
    "QLinearSoftmax": Form("Softmax", (0,), 4),
    "QLinearAveragePool": Form("AveragePool", (0,), 4),
    "QLinearGlobalAveragePool": Form("GlobalAveragePool", (0,), 4),
}
"""By name; QLinearConcat, whose inputs are triples, apart."""
EXTRA = {"channels_last", "opset"}
"""Attributes of ONNX Runtime's operators that the plain ones do not have."""


def in_floating_point(model: Any) -> dict[str, str]:
    """Rewrites a model in place; gives the type of each tensor that is stored as integers, by its name after that."""
    plain = not any(node.op_type in FORMS or "Linear" in node.op_type for node in model.graph.node)
    return {} if plain else _Rewriter(model).run()


class _Rewriter:
    """The state: names that stand for others, and the types of constants and of what was quantised."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.alias: dict[str, str] = {}
        self.stored: dict[str, str] = {}
        self.constants = {each.name: each for each in model.graph.initializer}

    def run(self) -> dict[str, str]:
        """See `in_floating_point`."""
        kept = []
        for node in self.model.graph.node:
            for place, name in enumerate(node.input):
                if name in self.alias:
                    node.input[place] = self.alias[name]
            if not self.passes(node):
                self.rewrite(node)
                kept.append(node)
        if not self.stored:
            return {}
        self.model.graph.node = kept
        for output in self.model.graph.output:
            output.name = self.alias.get(output.name, output.name)
        for name in self.stored:
            if (constant := self.constants.get(name)) is not None and constant.data_type in INTEGERS:
                constant.data_type, constant.raw_data, constant.int32_data = FLOAT32, b"", ()
        return self.stored

    def passes(self, node: Any) -> bool:
        """Whether a node only changes how a tensor is stored, and its output stands for its input."""
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or not (2 <= len(node.input) <= 3):
            return False
        if len(node.output) != 1 or not node.input[0]:
            return False
        read = node.input[0]
        if node.op_type == "QuantizeLinear":
            self.stored[read] = self.type_of(node.input[2:3], "uint8")
        elif read in self.constants:
            self.stored[read] = self.type_of([read], "int8")
        else:  # an input in integers, or what was quantised before
            self.stored.setdefault(read, self.type_of(node.input[2:3], "uint8"))
        self.alias[node.output[0]] = read
        return True

    def rewrite(self, node: Any) -> None:
        """Makes an operator on integers the one in floating point."""
        if node.domain not in ("", "ai.onnx", RUNTIME) or len(node.output) != 1:
            return
        inputs = list(node.input)
        if node.op_type == "QLinearConcat" and len(inputs) >= 5:
            form, read, zero = Form("Concat", (), 1), inputs[2::3], inputs[1:2]
        elif node.op_type in FORMS and len(inputs) > max(FORMS[node.op_type].reads[:2]):
            form = FORMS[node.op_type]
            read = [inputs[place] for place in form.reads if place < len(inputs)]
            zero = inputs[form.zero_point : form.zero_point + 1]
        else:
            return
        node.op_type, node.domain = form.operator, ""
        node.input = read
        node.attribute = [each for each in node.attribute if each.name not in EXTRA]
        self.stored[node.output[0]] = self.type_of(zero, "uint8")
        for name in read:
            self.stored.setdefault(name, self.type_of([name], self.stored[node.output[0]]))

    def type_of(self, names: Sequence[str], otherwise: str) -> str:
        """The type of a constant, such as a zero point; the name is empty or left out where it is the default."""
        found = self.constants.get(names[0]) if names else None
        return otherwise if found is None else INTEGERS.get(found.data_type, otherwise)
