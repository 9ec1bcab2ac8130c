"""Small changes of functions' bodies, each of which a test should notice.

What changes: an operator, a comparison, `and` and `or`, a condition (negated), a sign, a number (by one, both ways; the
index 0 only up, as the last entry is often the first), a text, a truth value, an assigned or returned value (None), an
argument (None, or left out), a call for its effect (left out), `break` and `continue`. Docstrings, annotations,
patterns, decorators, defaults (tests/test_defaults.py has them), the words of messages (tests/test_error_page.py) and
`strict=True`, on which nothing depends where the lengths are equal, stay as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Function = ast.FunctionDef | ast.AsyncFunctionDef

OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd, ast.MatMult: ast.Mult,
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
UNCHANGED = {"annotation", "returns", "decorator_list", "args", "pattern", "format_spec", "type_comment"}
"""Fields of a node that are not looked at; `args` is a function's, a call's is dealt with by name."""
NONE = ast.Constant(None)


@dataclass
class Change:
    """A slot of a syntax tree, `parent.field` or `parent.field[index]`, and what takes its place: nothing, if None."""

    statement: ast.stmt
    parent: ast.AST
    field: str
    index: int | None
    put: ast.AST | None

    def swap(self) -> None:
        """Makes the change; the second time, takes it back."""
        if self.index is None:
            was = getattr(self.parent, self.field)
            setattr(self.parent, self.field, self.put)
            self.put = was
            return
        slots: list[Any] = list(getattr(self.parent, self.field))
        if self.put is None:
            self.put = slots.pop(self.index)
        elif self.taken_out:
            slots.insert(self.index, self.put)
            self.put = None
        else:
            slots[self.index], self.put = self.put, slots[self.index]
        setattr(self.parent, self.field, slots)

    def __post_init__(self) -> None:
        self.taken_out = self.put is None


@dataclass(frozen=True)
class Mutant:
    """One change of one function; `name` is module, function and number, `lines` those of the statement."""

    name: str
    path: Path
    function: str
    number: int
    lines: range
    before: str
    after: str


@cache
def functions(path: Path) -> tuple[ast.Module, dict[str, tuple[Function, list[Change]]]]:
    """A module's syntax tree, and of each outermost function, by its qualified name, every change.

    Of several functions of one name (`@overload`), the last.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: dict[str, tuple[Function, list[Change]]] = {}

    def walk(nodes: list[ast.stmt], prefix: str) -> None:
        for node in nodes:
            if isinstance(node, Function):
                found[prefix + node.name] = node, list(_changes(node, node))
            elif isinstance(node, ast.ClassDef):
                walk(node.body, f"{prefix}{node.name}.")

    walk(tree.body, "")
    return tree, found


def mutants(path: Path, module: str) -> Iterator[Mutant]:
    """All mutants of the functions of a file."""
    for function, (_, changes) in functions(path)[1].items():
        for number, change in enumerate(changes):
            before, lines = _text(change.statement), _lines(change.statement)
            whole = change.put if isinstance(change.put, ast.stmt) else None
            change.swap()
            after = _text(whole or change.statement)
            change.swap()
            if before != after:
                yield Mutant(f"{module}.{function}.{number}", path, function, number, lines, before, after)


def mutated(mutant: Mutant) -> ast.Module:
    """The syntax tree of the mutant's module, changed. It is the one of `functions`: for a process of its own."""
    tree, found = functions(mutant.path)
    node, changes = found[mutant.function]
    names = sorted({each.id for each in ast.walk(node) if isinstance(each, ast.Name)})
    changes[mutant.number].swap()
    # A name that only the change left out would no longer be in the closure, which the new code could then not take.
    kept = ast.parse("if 0: (" + "".join(f"{name}, " for name in names) + ")").body[0]
    node.body.append(kept)
    return ast.fix_missing_locations(tree)


def _header(statement: ast.stmt) -> list[ast.AST]:
    """What a statement has beside its body."""
    bodies = {"body", "orelse", "finalbody", "handlers", "cases"}
    values = (value for name, value in ast.iter_fields(statement) if name not in bodies)
    listed = (each for value in values for each in (value if isinstance(value, list) else [value]))
    return [each for each in listed if isinstance(each, ast.AST)]


def _text(statement: ast.stmt) -> str:
    """A statement in one line, without its body."""
    if not hasattr(statement, "body") and not hasattr(statement, "cases"):
        return ast.unparse(statement)
    return f"{type(statement).__name__.lower()} {' in '.join(ast.unparse(each) for each in _header(statement))}:"


def _lines(statement: ast.stmt) -> range:
    if not hasattr(statement, "body") and not hasattr(statement, "cases"):
        return range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
    ends = [getattr(each, "end_lineno", None) or statement.lineno for each in _header(statement)]
    return range(statement.lineno, max(ends, default=statement.lineno) + 1)


def _changes(node: ast.AST, statement: ast.stmt) -> Iterator[Change]:
    """Every change within a node, which is, or is part of, a statement."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring, or `...`
    for name, value in ast.iter_fields(node):
        if name in UNCHANGED and not (name == "args" and isinstance(node, ast.Call)):
            continue
        if isinstance(node, ast.AnnAssign | ast.Assign) and name in ("targets", "target"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
            if not isinstance(child, ast.AST) or _type_of_cast(node, name, index) or _is_strict(child):
                continue
            within = child if isinstance(child, ast.stmt) else statement
            if not _is_message(child, within):
                for put in _in_place_of(child, node, name):
                    yield Change(within, node, name, index, put)
            if isinstance(node, ast.Call) and name in ("args", "keywords"):
                if len(node.args) + len(node.keywords) > 1:
                    yield Change(statement, node, name, index, None)
                at, slot = (child, "value") if isinstance(child, ast.keyword) else (node, name)
                if not _is_none(child.value if isinstance(child, ast.keyword) else child):
                    yield Change(statement, at, slot, None if at is child else index, NONE)
            yield from _changes(child, within)


def _type_of_cast(node: ast.AST, name: str, index: int | None) -> bool:
    cast = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "cast"
    return cast and name == "args" and index == 0


def _is_message(node: ast.AST, statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Raise) and isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_strict(node: ast.AST) -> bool:
    return isinstance(node, ast.keyword) and node.arg == "strict"


def _is_none(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _in_place_of(node: ast.AST, parent: ast.AST, field: str) -> Iterator[ast.AST]:
    """What may take the place of a node, which is `parent.field`."""
    if isinstance(node, ast.operator) and type(node) in OPERATORS:
        yield OPERATORS[type(node)]()
    elif isinstance(node, ast.cmpop):
        yield COMPARISONS[type(node)]()
    elif isinstance(node, ast.And | ast.Or):
        yield ast.Or() if isinstance(node, ast.And) else ast.And()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif isinstance(node, ast.Constant) and not isinstance(parent, ast.JoinedStr):
        yield from _constants(node.value, index=isinstance(parent, ast.Subscript))
    elif isinstance(node, ast.Break):
        yield ast.Continue()
    elif isinstance(node, ast.Continue):
        yield ast.Break()
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield ast.Pass()
    elif isinstance(node, ast.AugAssign):
        yield ast.Assign([node.target], node.value, lineno=node.lineno)
    tests = field in ("test", "ifs") or isinstance(parent, ast.BoolOp)
    if tests and not isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant | ast.boolop):
        yield ast.UnaryOp(ast.Not(), node)
    values = isinstance(parent, ast.Return | ast.Assign | ast.AnnAssign) and field == "value"
    if (values or (isinstance(parent, ast.Lambda) and field == "body")) and not _is_none(node):
        yield NONE


def _constants(value: object, index: bool) -> Iterator[ast.Constant]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value + 1)
        if value or not index:
            yield ast.Constant(value - 1)
    elif isinstance(value, str):
        yield ast.Constant(f"XX{value}XX")
