"""An archive of torch.export (`.pt2`) as a program: a ZIP file with JSON in it, read without PyTorch.

The weights are never read, and no pickle is opened. PyTorch's torch/_export/serde/schema.py describes the JSON.
"""

from __future__ import annotations

import ast
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil, floor, prod
from pathlib import Path
from typing import IO, Any

from cnnprof.errors import UsageError, brief, nearest, printable
from cnnprof.importers.common import Imported, main_first, plain, stem
from cnnprof.importers.torch.check import finished
from cnnprof.importers.torch.network import Network
from cnnprof.importers.torch.patterns import joined
from cnnprof.importers.torch.program import AmbiguousBatch, Batch, Call, Program, Ref, Stored
from cnnprof.importers.torch.reader import Reader
from cnnprof.model.kind import Shape, show

MOST_BYTES = 128 * 2**20
"""Of a file of JSON in an archive."""
MOST_CALLS = 100_000
MOST_SIZE = 10_000
"""Of a symbol, of which a size that was given is a multiple."""
PRIMES = (10007, 10009, 10037, 10039)
"""What a batch that was left open is taken for: numbers that sizes of networks are seldom multiples of."""

DAMAGED = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RecursionError, struct.error)
"""What reading JSON raises that is not what an archive has."""


def load(path: Path, inputs: Mapping[str, Shape] | None = None, name: str | None = None) -> Imported:
    """The network of an archive.

    inputs: shapes of one example, by name, of those whose sizes were left open; an empty name is the first input's.
    name: stands for the path in errors.

    Raises UsageError where the file is no such archive, or has what no graph can say.
    """
    shown = printable(name or str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            content = _Content(archive, shown)
    except OSError as error:
        raise UsageError(f"cannot read `{shown}`: {error.strerror or error}") from None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise UsageError(f"`{shown}` is no archive of torch.export: {printable(brief(str(error), 200))}") from None
    except DAMAGED as error:
        raise _damaged(shown, error) from None
    for prime in PRIMES:
        try:
            program = _Reading(content, inputs or {}, prime, shown).program()
            reader = Reader(Network(plain(stem(name or str(path))) or "network"), program)
            reader.read()
            return finished(reader, None, shown)
        except AmbiguousBatch as found:
            reason = found.told(prime)
        except DAMAGED as error:
            raise _damaged(shown, error) from None
    raise UsageError(f"`{shown}` cannot be read: {reason}")


def _damaged(shown: str, error: Exception) -> UsageError:
    """The error for JSON that is not what an archive has."""
    what = f"{type(error).__name__}: {printable(brief(str(error), 200))}"
    return UsageError(f"`{shown}` is no archive of torch.export that is read here: {what}")


class _Content:
    """The files of JSON in an archive, and its constants of a single number."""

    def __init__(self, archive: zipfile.ZipFile, shown: str) -> None:
        self.archive = archive
        self.shown = shown
        names = archive.namelist()
        models = [name for name in names if re.fullmatch(r"([^/]+/)?models/[^/]+\.json", name)]
        if len(models) != 1:
            older = any(name.endswith("serialized_exported_program.json") for name in names)
            reason = "it was written by a PyTorch older than 2.8" if older else f"it has {len(models)} programs"
            raise UsageError(
                f"`{shown}` is no archive of torch.export that is read here: {reason}; save one program with "
                "torch.export.save of a newer PyTorch"
            )
        root = models[0].partition("models/")[0]
        self.model = self.json(models[0])
        name = models[0].rpartition("/")[2].removesuffix(".json")
        self.weights = self.json(f"{root}data/weights/{name}_weights_config.json")["config"]
        constants = self.json(f"{root}data/constants/{name}_constants_config.json")["config"]
        self.numbers = {key: self.number(f"{root}data/constants/", entry) for key, entry in constants.items()}

    def json(self, name: str) -> Any:
        """A file of JSON in the archive. Raises UsageError."""
        try:
            info = self.archive.getinfo(name)
        except KeyError:
            raise UsageError(f"`{self.shown}` is no archive of torch.export: it has no `{printable(name)}`") from None
        if info.file_size > MOST_BYTES:
            raise UsageError(
                f"`{self.shown}`: `{printable(name)}` has {info.file_size:,} bytes, "
                f"of which at most {MOST_BYTES:,} are read"
            )
        try:
            with self.opened(info) as file:
                return json.loads(file.read(MOST_BYTES))
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"`{self.shown}`: `{printable(name)}` is no JSON: {printable(brief(str(error)))}"
            ) from None

    def opened(self, info: zipfile.ZipInfo) -> IO[bytes]:
        """A file in the archive. Raises BadZipFile for a way of compressing that PyTorch never takes."""
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile(f"compression type {info.compress_type}")
        return self.archive.open(info)

    def number(self, folder: str, entry: Mapping[str, Any]) -> float | None:
        """The value of a constant of one number; None of any other, or where it is pickled."""
        meta = entry["tensor_meta"]
        code = _NUMBERS.get(meta["dtype"])
        if entry["use_pickle"] or code is None or prod(size["as_int"] for size in meta["sizes"]) != 1:
            return None
        with self.opened(self.archive.getinfo(folder + entry["path_name"])) as file:
            (value,) = struct.unpack(f"<{code}", file.read(struct.calcsize(code)))
        return float(value)


_NUMBERS = {2: "b", 3: "h", 4: "i", 5: "q", 7: "f", 8: "d"}
"""Types of values, as the archive numbers them, by their code in `struct`."""


class _Reading:
    """An archive on its way to plain data, with numbers for all sizes that it leaves open."""

    def __init__(self, content: _Content, given: Mapping[str, Shape], prime: int, shown: str) -> None:
        self.content = content
        self.shown = shown
        module = content.model["graph_module"]
        self.graph, self.signature = module["graph"], module["signature"]
        self.root = module["module_call_graph"][0]["signature"]
        if len(self.graph["nodes"]) > MOST_CALLS:
            calls = f"{len(self.graph['nodes']):,}"
            raise UsageError(f"`{shown}` has {calls} calls of operators, of which at most {MOST_CALLS:,} are read")
        self.symbols: dict[str, int] = {}
        self.order: dict[str, dict[str, int]] = {}
        self.classes: dict[str, str] = {}
        self.inputs = self.read_inputs(given, prime)

    def program(self) -> Program:
        """As plain data. Raises UsageError for what no graph can say, LookupError and the like where it is damaged."""
        shapes = {name: self.shape(meta) for name, meta in self.graph["tensor_values"].items()}
        stored, constants, held = self.read_stored(shapes)
        calls = [call for node in self.graph["nodes"] if (call := self.call(node)) is not None]
        found = Program(
            name=self.shown, batch=self.batch, shapes=shapes, inputs=self.inputs, stored=stored, constants=constants,
            held=held, calls=tuple(calls), outputs=tuple(self.outputs(shapes)), classes=self.classes,
            frozen=frozenset(each for own, each in stored.items() if each.learned and not self.is_trained(own)),
        )  # fmt: skip
        return joined(found)

    # Sizes.

    def read_inputs(self, given: Mapping[str, Shape], prime: int) -> dict[str, str]:
        """The inputs, shown name → tensor; gives numbers to the sizes that are open. Raises UsageError."""
        specs = self.signature["input_specs"]
        arguments = [spec["user_input"]["arg"] for spec in specs if "user_input" in spec]
        names = [argument["as_tensor"]["name"] for argument in arguments if "as_tensor" in argument]
        alone = len(names) == 1
        given = {name or next(iter(names), ""): shape for name, shape in given.items()}
        for name in given:
            if name not in names and not (alone and name == "input"):
                raise UsageError(f"`{self.shown}` has no input `{printable(brief(name))}`; {nearest(name, names)}")
        if not names:
            raise UsageError(f"`{self.shown}` has no input")
        batches = []
        for name in names:
            sizes = self.graph["tensor_values"][name]["sizes"]
            own = given.get(name, given.get("input") if alone else None)
            if not sizes:
                raise UsageError(
                    f"the input `{printable(brief(name))}` of `{self.shown}` is a single number, without a batch"
                )
            batches.append(self.open_size(sizes[0], prime))
            self.read_sizes(name, sizes[1:], own)
        if len({*batches}) > 1:
            raise UsageError(f"the inputs of `{self.shown}` have different batches: {', '.join(map(str, batches))}")
        self.batch = Batch(batches[0], prime=batches[0] == prime)
        return {"input" if alone else plain(name): name for name in names}

    def read_sizes(self, name: str, sizes: Sequence[Mapping[str, Any]], own: Shape | None) -> None:
        """Takes the sizes of one example that were given. Raises UsageError where one lacks, or is another."""
        shown = f"the input `{printable(brief(name))}` of `{self.shown}`"
        fixed = [size.get("as_int") for size in sizes]
        said = f"[{', '.join('?' if size is None else str(size) for size in fixed)}]"
        if own is None and None in fixed:
            raise UsageError(f"{shown} is {said} for one example: give its shape, as in --input 3x224x224")
        if own is None:
            return
        if len(own) != len(fixed) or any(size not in (None, new) for size, new in zip(fixed, own, strict=True)):
            raise UsageError(f"{shown} is {said} for one example, found {show(own)}")
        for size, new in zip(sizes, own, strict=True):
            if self.open_size(size, new) != new:
                raise UsageError(f"{shown} is {said} for one example, of which sizes are equal, found {show(own)}")

    def open_size(self, size: Mapping[str, Any], value: int) -> int:
        """A size; one that is a symbol without a number gets the value."""
        if "as_int" in size:
            return int(size["as_int"])
        text = size["as_expr"]["expr_str"]
        unknown = {*re.findall(r"\b[su]\d+\b", text)} - self.symbols.keys()
        if len(unknown) == 1:
            (symbol,) = unknown
            tried = (value, *range(1, min(value, MOST_SIZE)))
            fits = (each for each in tried if expression(text, {**self.symbols, symbol: each}) == value)
            self.symbols[symbol] = next(fits, value)
        return self.size(size)

    def size(self, size: Mapping[str, Any]) -> int:
        """A size as a number. Raises UsageError for one that depends on values."""
        if "as_int" in size:
            return int(size["as_int"])
        return int(expression(size["as_expr"]["expr_str"], self.symbols))

    def shape(self, meta: Mapping[str, Any]) -> Shape:
        """The shape of a tensor."""
        return tuple(self.size(size) for size in meta["sizes"])

    # What is there before the first call.

    def read_stored(
        self, shapes: Mapping[str, Shape]
    ) -> tuple[dict[str, Stored], dict[str, float | None], dict[Stored, Shape]]:
        """(parameters and buffers by their names in the program, other constants, shapes of the former)."""
        stored: dict[str, Stored] = {}
        constants: dict[str, float | None] = {}
        held: dict[Stored, Shape] = {}
        known: dict[str, Stored] = {}
        for spec in self.signature["input_specs"]:
            ((sort, entry),) = spec.items()
            if sort in ("parameter", "buffer"):
                name, own = entry[f"{sort}_name"], entry["arg"]["name"]
                where = self.content.weights.get(name, {}).get("path_name", name)
                stored[own] = known.setdefault(where, Stored(name, sort == "parameter"))
                held[stored[own]] = shapes[own]
            elif sort == "tensor_constant":
                constants[entry["arg"]["name"]] = self.content.numbers.get(entry["tensor_constant_name"])
            elif sort != "user_input":
                raise UsageError(
                    f"`{self.shown}` has a `{printable(brief(sort))}` among its inputs, which no graph can say"
                )
        return stored, constants, held

    def is_trained(self, name: str) -> bool:
        """Whether a gradient is asked of a parameter, by its name in the program."""
        return bool(self.graph["tensor_values"][name].get("requires_grad", True))

    # Calls.

    def call(self, node: Mapping[str, Any]) -> Call | None:
        """A node as a call; None where it makes no tensor. Raises UsageError."""
        outputs: list[str | None] = []
        for output in node["outputs"]:
            ((sort, value),) = output.items()
            if sort == "as_tensor":
                outputs.append(value["name"])
            elif sort in ("as_tensors", "as_optional_tensors"):
                outputs += [each.get("name", each.get("as_tensor", {}).get("name")) for each in value]
            elif sort == "as_none":
                outputs.append(None)
        if not outputs:
            return None
        parts = node["target"].split(".")
        if parts[:2] != ["torch", "ops"] or len(parts) != 5 or parts[2] != "aten":
            raise UsageError(
                f"`{self.shown}`: the operator `{printable(brief(node['target']))}` is not one of PyTorch's own, and "
                "its work is not known"
            )
        args = {each["name"]: self.argument(each["arg"]) for each in node["inputs"]}
        scope, number = self.scope(node["metadata"].get("nn_module_stack", ""))
        return Call(parts[3], args, tuple(outputs), scope, number)

    def argument(self, given: Mapping[str, Any]) -> Any:
        """An argument as a value of Python; a tensor as a Ref."""
        ((sort, value),) = given.items()
        if sort == "as_none":
            return None
        if sort == "as_tensor":
            return Ref(value["name"])
        if sort in ("as_tensors", "as_optional_tensors"):
            return [self.argument(each) if "name" not in each else Ref(each["name"]) for each in value]
        if sort == "as_sym_int":
            return self.sym_int(value)
        if sort == "as_sym_ints":
            return [self.sym_int(each) for each in value]
        if sort in ("as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_bools", "as_string", "as_strings"):
            return value
        return None  # types, devices, layouts

    def sym_int(self, value: Mapping[str, Any]) -> int:
        """A size that is an argument."""
        if "as_int" in value:
            return int(value["as_int"])
        return self.size(self.graph["sym_int_values"][value["as_name"]])

    def scope(self, stack: str) -> tuple[str, int]:
        """The module that a call is in, and which call of it: `L__self__,,Net;L__self__conv,conv,torch.nn.Conv2d`."""
        if not stack:
            return "", 0
        entries = [entry.split(",", 2) for entry in stack.split(";")]
        self.classes |= {
            path: name.rpartition(".")[2] for _, path, name in entries if path and not name.startswith("torch.")
        }
        scope = plain(entries[-1][1])
        calls = self.order.setdefault(scope, {})
        return scope, calls.setdefault("|".join(entry[0] for entry in entries), len(calls))

    def outputs(self, shapes: Mapping[str, Shape]) -> Iterator[tuple[str, str]]:
        """(label, tensor) of every output, the main one first."""
        names = [
            spec["user_output"]["arg"].get("as_tensor", {}).get("name")
            for spec in self.signature["output_specs"]
            if "user_output" in spec
        ]
        labels = list(_labels(json.loads(self.root["out_spec"])[1], []))
        return main_first({tuple(label): name for label, name in zip(labels, names, strict=True) if name in shapes})


def _labels(spec: Mapping[str, Any], path: list[object]) -> Iterator[list[object]]:
    """The place of every output in what the module returns."""
    if spec["type"] is None:
        yield path
        return
    keys: Sequence[object] = range(len(spec["children_spec"]))
    if spec["type"] in ("builtins.dict", "collections.OrderedDict"):
        keys = json.loads(spec["context"])
    for key, child in zip(keys, spec["children_spec"], strict=True):
        yield from _labels(child, [*path, key])


# Sizes that are expressions.

_FUNCTIONS: dict[str, Callable[..., Fraction]] = {
    "Integer": lambda value: value,
    "Rational": lambda over, under: over / under,
    "Add": lambda *values: sum(values, Fraction()),
    "Mul": lambda *values: prod(values, start=Fraction(1)),
    "Max": max,
    "Min": min,
    "Mod": lambda value, by: value % by,
    "PythonMod": lambda value, by: value % by,
    "FloorDiv": lambda value, by: Fraction(value // by),
    "CleanDiv": lambda value, by: Fraction(value // by),
    "IntTrueDiv": lambda value, by: value / by,
    "floor": lambda value: Fraction(floor(value)),
    "FloorToInt": lambda value: Fraction(floor(value)),
    "ceiling": lambda value: Fraction(ceil(value)),
    "CeilToInt": lambda value: Fraction(ceil(value)),
    "Pow": lambda value, by: _power(value, by),
    "PowByNatural": lambda value, by: _power(value, by),
}
_OPERATORS: dict[type, str] = {ast.Add: "Add", ast.Mult: "Mul", ast.FloorDiv: "FloorDiv", ast.Mod: "Mod",
                               ast.Div: "IntTrueDiv", ast.Pow: "Pow"}  # fmt: skip
MOST_CHARACTERS = 2000
"""Of an expression."""


def _power(value: Fraction, by: Fraction) -> Fraction:
    if by.denominator != 1 or abs(by) > 16:
        raise ValueError(f"an exponent of {by}")
    return value ** int(by)


def expression(text: str, symbols: Mapping[str, int]) -> int:
    """The value of a size as SymPy writes it, `Mul(Integer(2), Symbol('s77', positive=True))` or `2*s77`.

    Raises ValueError for anything else, LookupError for a symbol without a value.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"an expression of {len(text):,} characters")
    try:
        found = _value(ast.parse(text, mode="eval").body, symbols)
    except SyntaxError:
        raise ValueError(f"the expression {brief(text)}") from None
    if found.denominator != 1:
        raise ValueError(f"the size {found}")
    return int(found)


def _value(node: ast.expr, symbols: Mapping[str, int]) -> Fraction:
    match node:
        case ast.Constant(value=int() as value):
            return Fraction(value)
        case ast.Name(id=name):
            return Fraction(symbols[name])
        case ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str() as name)]):
            return Fraction(symbols[name])
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_value(each, symbols) for each in args))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, symbols)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _value(left, symbols) - _value(right, symbols)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return _FUNCTIONS[_OPERATORS[type(operator)]](_value(left, symbols), _value(right, symbols))
    raise ValueError(f"the expression {brief(ast.unparse(node))}")
