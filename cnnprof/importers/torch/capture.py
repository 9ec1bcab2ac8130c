"""A module as a program: exported by torch.export in evaluation or in training, and left as it was."""

from __future__ import annotations

import inspect
import io
import logging
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from cnnprof.errors import UsageError, brief, nearest, printable
from cnnprof.importers.common import Paths, main_first, plain
from cnnprof.importers.torch.patterns import joined
from cnnprof.importers.torch.program import Batch, Call, Program, Ran, Ref, Stored
from cnnprof.model.kind import Shape

# Primes for the batch: a size of the network is seldom a multiple of one.
_PRIMES = (53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163)


class Wanted(NamedTuple):
    """What a module is to be called with.

    inputs: the shape of one example of each input, by name. dtypes: of those that are not floating point.
    example: what to call it with instead, a batch of tensors: a tuple of arguments, a dict of them by name, or one.
    """

    inputs: Mapping[str, Shape]
    dtypes: Mapping[str, str] = {}
    example: Any = None


class Example(NamedTuple):
    """What a module is called with: by position and by name; and the names that the tensors in it are shown under."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    names: tuple[str, ...]

    def moved(self, move: Callable[[torch.Tensor], torch.Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments of which every tensor is another one."""
        changed: tuple[tuple[Any, ...], dict[str, Any]] = pytree.tree_map_only(
            torch.Tensor, move, (self.args, self.kwargs)
        )
        return changed


def primes(module: nn.Module, wanted: Wanted) -> list[int]:
    """Sizes for the batch that no dimension of the module's tensors or inputs is a multiple of."""
    given = [each for each in pytree.tree_leaves(wanted.example) if isinstance(each, torch.Tensor)]
    shapes = [tensor.shape for tensor in [*module.parameters(), *module.buffers()]]
    sizes = {
        size for shape in [*shapes, *(each.shape[1:] for each in given), *wanted.inputs.values()] for size in shape
    }
    return [prime for prime in _PRIMES if not any(size and size % prime == 0 for size in sizes)]


def example(module: nn.Module, wanted: Wanted, batch: int, shown: str) -> Example:
    """Empty tensors for a call of a module. Raises UsageError where it takes no such inputs."""
    if wanted.example is not None:
        return _like(module, wanted.example, batch, shown)
    first = next(module.parameters(), None)
    device = torch.device("cpu") if first is None else first.device
    floating = first.dtype if first is not None and first.is_floating_point() else torch.float32
    types = {name: _dtype(dtype) for name, dtype in wanted.dtypes.items()}
    tensors = {
        name: torch.empty((batch, *shape), dtype=types.get(name, floating), device=device)
        for name, shape in wanted.inputs.items()
    }
    parameters = inspect.signature(module.forward).parameters.values()
    by_name = [each.name for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    if len(by_name) < len(parameters) or list(tensors) == ["input"]:
        return Example(tuple(tensors.values()), {}, tuple(tensors))
    for name in tensors:
        if name not in by_name:
            raise UsageError(f"`{shown}` takes no input `{printable(brief(name))}`; {nearest(name, by_name)}")
    return Example((), tensors, tuple(tensors))


def _like(module: nn.Module, given: Any, batch: int, shown: str) -> Example:
    """Empty tensors like those of an example, of another batch. Raises UsageError where they have none."""
    args, kwargs = ((), given) if isinstance(given, dict) else (given if isinstance(given, tuple) else (given,), {})
    leaves = pytree.tree_flatten_with_path((args, kwargs))[0]
    tensors = {path: leaf for path, leaf in leaves if isinstance(leaf, torch.Tensor)}
    sizes = {tuple(tensor.shape[:1]) for tensor in tensors.values()}
    if len(sizes) != 1 or () in sizes:
        first = ", ".join(str(size[0]) if size else "missing" for size in sorted(sizes))
        raise UsageError(
            f"the example of `{shown}` is a batch of tensors, found {len(tensors)} whose first dimensions are {first}"
        )
    own = list(inspect.signature(module.forward).parameters)
    names, taken = [], Paths()
    for path in tensors:
        key = key_of(path[1])
        parts = [own[key] if isinstance(key, int) and key < len(own) else key, *map(key_of, path[2:])]
        # A spec's inputs are names without dots.
        names.append(taken.unique(plain("_".join(map(str, parts))).replace(".", "_") or "input"))
    found = Example(args, kwargs, tuple(names))
    changed = found.moved(lambda tensor: tensor.new_empty((batch, *tensor.shape[1:])))
    return Example(*changed, found.names)


def key_of(entry: Any) -> object:
    """The key, the position or the name that an entry of a path in a tree stands for."""
    return getattr(entry, "key", getattr(entry, "idx", getattr(entry, "name", "")))


def _dtype(name: str) -> torch.dtype:
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise UsageError(
            f"`{printable(brief(name))}` is no type of PyTorch; those of inputs are float32, int64, bool, …"
        )
    return found


@contextmanager
def mode(module: nn.Module, training: bool) -> Iterator[None]:
    """The module in one mode, and every part of it back in its own afterwards; nobody is warned meanwhile.

    What it prints goes to standard error.
    """
    before = [(each, each.training) for each in module.modules()]
    level = logging.root.manager.disable
    module.train(training)
    try:
        with warnings.catch_warnings(), redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            logging.disable(logging.CRITICAL)
            yield
    finally:
        logging.disable(level)
        for each, own in before:
            each.training = own


def export(module: nn.Module, given: Example, *, training: bool) -> Any:
    """The torch.export.ExportedProgram of a module. Raises whatever PyTorch and the module raise."""
    with redirect_stderr(io.StringIO()), mode(module, training):  # of a failure PyTorch prints the trace
        return torch.export.export(module, given.args, given.kwargs, strict=False)


def program(module: nn.Module, exported: Any, given: Example, batch: int, name: str) -> Program:
    """An exported program as plain data. Raises UsageError for what no graph can say."""
    return _Reading(module, exported, given, batch, name).program()


def measure(exported: Any) -> Callable[[Call], int]:
    """Counts the multiply-accumulates of a call by running its operator alone on meta, as FlopCounterMode sees it."""
    nodes = {name: node for node in exported.graph.nodes for name in (node.name, *(user.name for user in node.users))}

    def macs(call: Call) -> int:
        node = nodes[next(name for name in call.outputs if name).partition("[")[0]]
        node = node.args[0] if getattr(node.target, "__name__", "") == "getitem" else node

        def on_meta(value: Any) -> Any:
            value = value.meta["val"] if isinstance(value, torch.fx.Node) else value
            if isinstance(value, torch.Tensor):
                return torch.empty(value.shape, dtype=value.dtype, device="meta")
            return torch.device("meta") if isinstance(value, torch.device) else value

        args, kwargs = torch.fx.node.map_aggregate((node.args, node.kwargs), on_meta)
        with FlopCounterMode(display=False) as counter:
            node.target(*args, **kwargs)
        return int(counter.get_total_flops()) // 2

    return macs


class _Reading:
    """An exported program on its way to plain data."""

    def __init__(self, module: nn.Module, exported: Any, given: Example, batch: int, name: str) -> None:
        self.exported = exported
        self.given = given
        self.batch = Batch(batch, prime=True)
        self.name = name
        self.shapes: dict[str, Shape] = {}
        self.held, self.names = held(module)
        trained = dict(module.named_parameters(remove_duplicate=False))
        self.frozen = frozenset(
            stored for name, stored in self.names.items() if stored.learned and not trained[name].requires_grad
        )
        self.classes = authors({name: type(each) for name, each in module.named_modules()})
        self.order: dict[str, dict[str, int]] = {}

    def program(self) -> Program:
        """As plain data. Raises UsageError for what no graph can say."""
        graph = self.exported.graph
        calls = [call for node in graph.nodes if (call := self.call(node)) is not None]
        stored, constants, inputs = {}, {}, []
        for spec in self.exported.graph_signature.input_specs:
            own = getattr(spec.arg, "name", None)
            if spec.kind.name in ("PARAMETER", "BUFFER"):
                stored[own] = self.names.get(spec.target) or self.stranger(spec.target, own)
            elif spec.kind.name == "USER_INPUT":
                inputs.append(own)
            else:
                constants[own] = _number(self.exported.constants.get(spec.target))
        inputs = [own for own in inputs if own in self.shapes]
        named = dict(zip(self.given.names, inputs, strict=False))
        found = Program(
            name=self.name, batch=self.batch, shapes=self.shapes, inputs=named,
            stored=stored, constants=constants, held=self.held, calls=tuple(calls), outputs=tuple(self.outputs()),
            classes=self.classes, frozen=self.frozen,
        )  # fmt: skip
        return joined(found)

    def stranger(self, target: str, own: str) -> Stored:
        """A buffer that the module does not hold under this name, as tensors that it keeps as plain attributes."""
        found = Stored(target, learned=False)
        self.held[found] = self.shapes[own]
        return found

    def call(self, node: Any) -> Call | None:
        """A node of the graph as a call; its tensors' types are noted. Raises UsageError."""
        value = node.meta.get("val")
        if isinstance(value, torch.Tensor):
            self.shapes[node.name] = _shape(value)
        if node.op in ("placeholder", "output") or (node.op == "call_function" and node.target.__name__ == "getitem"):
            return None
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            raise UsageError(
                f"`{self.name}`: its program has `{printable(brief(str(node.target)))}`, which is no operator: it "
                "decides while it runs what is computed, or switches modes inside"
            )
        namespace, _, operator = node.target._schema.name.partition("::")
        if namespace != "aten":
            raise UsageError(
                f"`{self.name}`: the operator `{namespace}::{operator}` is not PyTorch's own, and its work is not known"
            )
        names = [argument.name for argument in node.target._schema.arguments]
        args = {name: _argument(each) for name, each in zip(names, node.args, strict=False)}
        args |= {name: _argument(each) for name, each in node.kwargs.items()}
        scope, number = self.scope(node)
        return Call(operator, args, self.made(node, value), scope, number)

    def made(self, node: Any, value: Any) -> tuple[str | None, ...]:
        """The names of what a node makes."""
        if isinstance(value, torch.Tensor):
            return (node.name,)
        if not isinstance(value, list | tuple):
            return ()
        names: list[str | None] = [None] * len(value)
        for user in node.users:
            names[user.args[1]] = user.name
        for number, each in enumerate(value):
            if names[number] is None and isinstance(each, torch.Tensor):
                names[number] = f"{node.name}[{number}]"  # which nobody reads
                self.shapes[f"{node.name}[{number}]"] = _shape(each)
        return tuple(names)

    def scope(self, node: Any) -> tuple[str, int]:
        """The module that a node is in, and which call of it."""
        stack = node.meta.get("nn_module_stack") or {}
        if not stack:
            return "", 0
        scope, _ = list(stack.values())[-1]
        calls = self.order.setdefault(scope, {})
        outer = "|".join(stack)  # a module within one that is called twice is called twice
        return scope, calls.setdefault(outer, len(calls))

    def outputs(self) -> Iterator[tuple[str, str]]:
        """(label, tensor) of every output, the main one first."""
        specs = [spec for spec in self.exported.graph_signature.output_specs if spec.kind.name == "USER_OUTPUT"]
        names = [getattr(spec.arg, "name", None) for spec in specs]
        tree = pytree.tree_unflatten(names, self.exported.call_spec.out_spec)
        found: dict[tuple[object, ...], str] = {}
        for path, name in pytree.tree_flatten_with_path(tree)[0]:
            if name in self.shapes:
                found[tuple(key_of(each) for each in path)] = name
        return main_first(found)


def authors(classes: Mapping[str, type]) -> dict[str, str]:
    """The names of classes that are not PyTorch's own, by the path of their modules."""
    return {name: each.__name__ for name, each in classes.items() if name and not each.__module__.startswith("torch.")}


def held(module: nn.Module) -> tuple[dict[Stored, Shape], dict[str, Stored]]:
    """The shapes of a module's parameters and buffers, each once; and every name that one of them has."""
    shapes: dict[Stored, Shape] = {}
    names: dict[str, Stored] = {}
    known: dict[int, Stored] = {}
    for learned, tensors in (
        (True, module.named_parameters(remove_duplicate=False)), (False, module.named_buffers(remove_duplicate=False)),
    ):  # fmt: skip
        for name, tensor in tensors:
            names[name] = known.setdefault(id(tensor), Stored(name, learned))
            shapes[names[name]] = tuple(tensor.shape)
    return shapes, names


def _argument(value: Any) -> Any:
    if isinstance(value, torch.fx.Node):
        return Ref(value.name)
    if isinstance(value, list | tuple):
        return [_argument(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _shape(value: torch.Tensor) -> Shape:
    return tuple(int(size) for size in value.shape)


def _number(value: Any) -> float | None:
    if isinstance(value, torch.Tensor) and value.numel() == 1 and value.device.type == "cpu":
        return float(value.item())
    return None


def run(module: nn.Module, given: Example) -> Ran:
    """Runs a module on meta, with its parameters replaced by tensors without memory."""
    args, kwargs = given.moved(lambda tensor: tensor.to("meta"))
    shapes: dict[str, list[tuple[int, ...]]] = defaultdict(list)

    def hook(name: str) -> Any:
        def after(_module: nn.Module, _inputs: Any, output: Any) -> None:
            shapes[name].append(tuple(output.shape) if isinstance(output, torch.Tensor) else ())

        return after

    hooks = [each.register_forward_hook(hook(name)) for name, each in module.named_modules()]
    try:
        with mode(module, training=False), torch.device("meta"), FlopCounterMode(display=False) as counter:
            torch.func.functional_call(module, _on_meta(module), args, kwargs)
    finally:
        for each in hooks:
            each.remove()
    counts = {name: sum(counts.values()) // 2 for name, counts in counter.get_flop_counts().items()}
    root = type(module).__name__
    macs = {name.removeprefix(f"{root}."): count for name, count in counts.items() if name not in ("Global", root)}
    return Ran({**macs, "": counts.get("Global", 0)}, dict(shapes))


class _Draws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operators that draw random numbers."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


def draws(module: nn.Module, given: Example) -> int:
    """How many operators draw random numbers in training. Raises whatever the module raises on meta."""
    args, kwargs = given.moved(lambda tensor: tensor.to("meta"))
    with mode(module, training=True), torch.device("meta"), torch.no_grad(), _Draws() as counter:
        torch.func.functional_call(module, _on_meta(module), args, kwargs)
    return int(counter.count)


def _on_meta(module: nn.Module) -> dict[str, torch.Tensor]:
    """Tensors without memory in place of a module's own."""
    return {
        name: torch.empty_like(tensor, device="meta")
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
    }
