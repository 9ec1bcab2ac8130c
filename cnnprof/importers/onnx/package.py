"""What only the package onnx says: shapes of operators that have no formula here, and constants computed of others.

Neither it nor NumPy is imported before a file needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cnnprof.errors import MissingDependencyError, UsageError, brief, printable
from cnnprof.importers.onnx.file import FLOAT32
from cnnprof.importers.onnx.shapes import Known, Read
from cnnprof.model.kind import Shape


class Computed(NamedTuple):
    """A constant that was computed. values: flat."""

    shape: Shape
    element: int
    values: tuple[Any, ...]


class Package:
    """The package, once a node of a file needs it. Raises MissingDependencyError where it is not installed.

    where: the beginning of messages, which names the node. opset: of the file.
    """

    def __init__(self, where: str, opset: int) -> None:
        try:
            import numpy
            import onnx
            from google.protobuf.message import DecodeError
            from onnx import shape_inference
        except ImportError:
            raise MissingDependencyError(
                f"{where} needs the packages onnx and numpy: pip install 'cnnprof[onnx]'"
            ) from None
        self.opset = opset
        self.numpy, self.onnx, self.shape_inference = numpy, onnx, shape_inference
        self.unfit = (
            shape_inference.InferenceError, onnx.checker.ValidationError, DecodeError, ValueError, RuntimeError
        )  # fmt: skip

    def inferred(self, where: str, node: Any, read: Mapping[str, Read]) -> list[Known]:
        """The tensors that a node makes. Raises UsageError where the node does not fit what it reads.

        read: by name.
        """
        onnx, helper = self.onnx, self.onnx.helper
        try:
            schema = onnx.defs.get_schema(node.op_type, self.opset, "")
        except onnx.defs.SchemaError:
            raise UsageError(f"{where} is no operator of opset {self.opset}") from None
        types = {name: helper.make_tensor_type_proto(of.element, of.shape) for name, of in read.items()}
        data = {
            name: onnx.numpy_helper.from_array(self.array(of), name)
            for name, of in read.items()
            if of.values is not None
        }
        try:
            found = self.shape_inference.infer_node_outputs(
                schema, self.proto(node), types, data, opset_imports=[helper.make_opsetid("", self.opset)]
            )
        except self.unfit as error:
            raise UsageError(f"{where} does not fit its inputs: {printable(brief(str(error), 300))}") from None
        return [_known(found.get(name)) for name in node.output]

    def computed(self, where: str, node: Any, read: Mapping[str, Read]) -> list[Computed]:
        """The outputs of a node of constants that have a name, by ONNX's reference implementation.

        Raises UsageError where it fails.
        """
        from onnx.reference import ReferenceEvaluator  # which takes as long to import as ONNX itself

        helper = self.onnx.helper
        try:
            graph = helper.make_graph(
                [self.proto(node)],
                "constant",
                [helper.make_tensor_value_info(name, of.element, of.shape) for name, of in read.items()],
                [helper.make_empty_tensor_value_info(name) for name in node.output if name],
            )
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
            made = ReferenceEvaluator(model).run(None, {name: self.array(of) for name, of in read.items()})
            return [self.constant(values) for values in made]
        except Exception as error:  # whatever NumPy makes of a stranger's constants
            if isinstance(error, MemoryError):
                raise
            raise UsageError(f"{where} cannot be computed: {printable(brief(str(error), 200))}") from None

    def proto(self, node: Any) -> Any:
        """A node as the package has it."""
        proto = self.onnx.NodeProto(name=node.name, op_type=node.op_type, input=node.input, output=node.output)
        for attribute in node.attribute:
            proto.attribute.add().ParseFromString(attribute.raw)
        return proto

    def array(self, of: Read) -> Any:
        """A constant as NumPy has it."""
        dtype = self.onnx.helper.tensor_dtype_to_np_dtype(of.element)
        return self.numpy.array(of.values, dtype).reshape(of.shape)

    def constant(self, values: Any) -> Computed:
        """A constant that NumPy has."""
        array = self.numpy.asarray(values)
        element = self.onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        return Computed(array.shape, element, tuple(array.reshape(-1).tolist()))


def _known(of: Any) -> Known:
    """A type of onnx; its shape is None where it is no tensor's, or not known in all dimensions."""
    if of is None or not of.HasField("tensor_type"):
        return Known(None, FLOAT32)
    dims = of.tensor_type.shape.dim
    whole = of.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims)
    return Known(tuple(dim.dim_value for dim in dims) if whole else None, of.tensor_type.elem_type or FLOAT32)
