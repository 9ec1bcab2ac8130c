"""Paths of layers from the names of tensors."""

from __future__ import annotations

import re

from cnnprof.errors import brief
from cnnprof.importers.common import stem
from cnnprof.importers.tflite.file import FUSED_AT, Contents, FileOperator


class Names:
    """Paths of layers that were not given yet.

    A converter calls a tensor by the operations that were fused into it, each after its module:
    `model/re_lu_1/Relu;model/conv2d_1/convolution`. The layer is called by the module: `conv2d_1`.
    """

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.constant = {number for number, tensor in enumerate(contents.tensors) if tensor.constant}
        self.taken: set[str] = set()
        first = {name.split("/")[0] for name in self._modules()}
        self.common = f"{first.pop()}/" if len(first) == 1 else ""

    def network(self, file: str) -> str:
        """The network's name: the file's, without folder and suffix."""
        return _clean(stem(file)) or "network"

    def plain(self, number: int) -> str:
        """The name of a tensor, one that no layer, input or output has."""
        return self.free(_clean(self.contents.tensors[number].name.split(";")[0]) or "tensor")

    def of(self, operator: FileOperator) -> str:
        """The path of an operator's layer."""
        parts = [part for number in operator.outputs[:1] for part in self.contents.tensors[number].name.split(";")]
        if operator.word in CALLED:
            if operator.word in FUSED_AT and len(operator.inputs) > 1 and operator.inputs[1] in self.constant:
                parts += self.contents.tensors[operator.inputs[1]].name.split(";")
            parts = [part for part in parts if re.search(CALLED[operator.word], part, re.IGNORECASE)] or parts
        own = next((part for part in parts if "/" in part), "")
        module = own.removeprefix(self.common).rpartition("/")[0]
        return self.free(_clean(module.replace("/", ".")) or operator.word.lower(), operator.word.lower())

    def free(self, path: str, word: str = "") -> str:
        """The path, or one like it where it is taken; never one that lies inside a layer, or holds one."""
        candidates = [path, f"{path}_{word}"] if word else [path]
        found = next((each for each in candidates if each not in self.taken), "")
        number = 2
        while not found:
            found = f"{path}_{number}" if f"{path}_{number}" not in self.taken else ""
            number += 1
        segments = found.split(".")
        self.taken.update(".".join(segments[:count]) for count in range(1, len(segments) + 1))
        return found

    def _modules(self) -> list[str]:
        outputs = (number for operator in self.contents.operators for number in operator.outputs[:1])
        parts = (part for number in outputs for part in self.contents.tensors[number].name.split(";"))
        return [part for part in parts if part.count("/") > 1]


CALLED = {
    "ADD": r"/add",
    "MUL": r"/mul",
    "CONCATENATION": r"/concat",
    "CONV_2D": r"/conv",
    "DEPTHWISE_CONV_2D": r"depthwise|/conv",
    "FULLY_CONNECTED": r"/(matmul|mat_mul|linear|dense)",
    "TRANSPOSE_CONV": r"transpose",
}
"""What the operation is called among those that were fused, by the operator that it became."""


def _clean(name: str) -> str:
    """A name as a path may have it."""
    words = [re.sub(r"[^A-Za-z0-9_-]+", "_", segment).strip("_") for segment in re.sub(r":\d+$", "", name).split(".")]
    return brief(".".join(word for word in words if word), 200).rstrip("….")
