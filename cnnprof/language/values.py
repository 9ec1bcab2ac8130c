"""Values of expressions, lists and fields, and the layers that `from`, `share` and branches name.

Whatever has no value is reported, and raises Unknown.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from cnnprof.errors import ExpressionError, FieldError, Mark, RuleError, UsageError, listing
from cnnprof.language import expression, registry, source
from cnnprof.language.problems import ENTRIES, Problems, Unknown
from cnnprof.language.scope import ABSENT, LayerRef, Names, Scope, StepRef, Written, entry
from cnnprof.language.source import Mapping, Node, Scalar, Sequence, described
from cnnprof.language.spec import Block, by_name, no_argument, no_field
from cnnprof.model.kind import Field, show, whole


class Values:
    """Evaluates the nodes of one spec."""

    def __init__(self, names: Names, problems: Problems) -> None:
        self.names = names
        self.problems = problems
        self.limits = problems.limits

    def value(self, node: Node, scope: Scope) -> Any:
        """The value of a node: a text as an expression, a list item by item, a mapping as a step with its fields.
        Reports where there is none."""
        if isinstance(node, Scalar):
            text = node.text
            self.problems.spend(expression.weight(text), node.mark)
            try:
                return expression.read(text)(scope)
            except ExpressionError as error:
                if text in scope.body.layers:
                    return scope.body.layers[text]  # such as `3a`, which no expression can name
                if text in _words():
                    return text  # such as `bilinear`, on its way to a field
                self.problems.report(error.message, *_place(node, error))
                raise Unknown from None
        try:
            if isinstance(node, Sequence):
                return self._bounded_list([self.value(item, scope) for item in node.items])
            return self.step(node, scope)
        except RuleError as error:
            self.problems.report(error.message, node.mark, error.hint)
            raise Unknown from None

    def step(self, node: Mapping, scope: Scope) -> StepRef:
        """A step as a value: a kind or block with fields, which have their values where a step uses it.

        Raises RuleError where it is none, and Unknown where its fields are none of that step's, which is reported.
        """
        word = next(iter(node.items), "")
        if len(node.items) != 1:
            hint = f"indent the fields of `{word}` deeper than `{word}` itself" if node.items else ""
            raise RuleError(
                f"a step as a value is one word with its fields, found {listing(list(node.items)) or described(node)}",
                hint,
            )
        ref = self.target(word, scope)
        if ref is None:
            own = self.names.spec.blocks
            raise RuleError(
                f"a mapping as a value is a step with its fields, and no layer kind or block is called `{word}`",
                registry.suggestion(word, self.names.words(), scope.axes, own)
                or ("quote an expression that begins with `{`" if node.flow else ""),
            )
        return ref.with_fields(self._fields(ref, word, node.items[word], scope))

    def target(self, word: str, scope: Scope) -> StepRef | None:
        """What a step's word means: an argument that is a kind or block, or one of that name; None where neither."""
        found = scope.argument(word)
        return found if isinstance(found, StepRef) else self.names.target(word, scope.body)

    def _fields(self, ref: StepRef, word: str, body: Node, scope: Scope) -> dict[str, Written]:
        """The fields or arguments that are written with a step's word."""
        target = ref.target
        if isinstance(body, Scalar) and body.is_null:
            return {}
        if isinstance(target, Block):
            return self._arguments(target, word, body, scope)
        if not isinstance(body, Mapping):
            raise RuleError(
                f"`{target.word}` takes its fields by name, found {described(body)}", by_name(target, word, body)
            )
        strange = [name for name in body.items if name not in target.fields]
        for name in strange:
            self.problems.report(
                f"`{target.word}` has no field `{name}`", body.keys[name].mark, no_field(target, word, name)
            )
        if strange:
            raise Unknown
        return {name: Written(node, scope) for name, node in body.items.items()}

    def _arguments(self, block: Block, word: str, body: Node, scope: Scope) -> dict[str, Written]:
        names = [argument.name for argument in block.args]
        if isinstance(body, Scalar):
            raise RuleError(
                f"the block `{block.name}` takes its arguments by name or as a list, found {described(body)}",
                f"write `{word}: [{source.written(body)}]`" if names else "it has no arguments",
            )
        if isinstance(body, Mapping):
            strange = [name for name in body.items if name not in names]
            for name in strange:
                self.problems.report(
                    f"the block `{block.name}` has no argument `{name}`",
                    body.keys[name].mark,
                    no_argument(word, name, names),
                )
            if strange:
                raise Unknown
            return {name: Written(node, scope) for name, node in body.items.items()}
        if len(body.items) > len(names):
            raise RuleError(f"the block `{block.name}` takes at most {len(names)} arguments, found {len(body.items)}")
        return {name: Written(node, scope) for name, node in zip(names, body.items, strict=False)}

    def _bounded_list(self, items: list[Any]) -> tuple[Any, ...]:
        """A list as a value. Raises RuleError where it holds too much: lists of lists of lists grow fast."""
        value = tuple(items)
        entries, depth = _extent(value)
        self.problems.work.units += entries // ENTRIES
        if entries > self.limits.list_entries or depth > self.limits.list_depth:
            raise RuleError(
                f"a list has at most {self.limits.list_entries:,} entries, those of the lists in it included, "
                f"and is nested at most {self.limits.list_depth} deep, found more"
            )
        return value

    def plain(self, name: str, value: Any) -> Any:
        """A setting given as a Python value. Raises UsageError where no spec could say it."""
        try:
            if isinstance(value, list | tuple):
                return self._bounded_list([self.plain(name, item) for item in value])
            if value is None or isinstance(value, bool):
                return value
            if isinstance(value, int | float):
                return expression.bounded(value)
        except RuleError as error:
            raise UsageError(f"the argument `{name}` cannot be set to this: {error}") from None
        raise UsageError(
            f"the argument `{name}` is set to a number, true, false, null, a list of these, or a string as "
            f"in the spec, found a {type(value).__name__}"
        )

    def condition(self, node: Node, scope: Scope) -> bool:
        """The value of a `when`."""
        value = self.value(node, scope)
        if not isinstance(value, bool | int | float):
            self.problems.report(f"a condition is true or false, found {show(value)}", node.mark)
            raise Unknown
        return bool(value)

    def count(self, node: Node, scope: Scope, what: str = "repeat") -> int:
        """The value of a modifier that is an integer of at least 0."""
        value = self.value(node, scope)
        count = whole(value)
        if count is None or count < 0:
            self.problems.report(f"`{what}` takes an integer of at least 0, found {show(value)}", node.mark)
            raise Unknown
        return count

    def field(self, field: Field, node: Node, scope: Scope) -> Any:
        """The value of a field: one of its own words, or an expression's."""
        if isinstance(node, Scalar):
            text = node.text
            if text in field.words:
                return text
            if field.type in (None, str) and scope.argument(text) is ABSENT:
                return None if node.is_null else text
            if field.words and text not in scope.body.args and text.isidentifier() and not scope.knows(text):
                return text  # a word misspelt: the field says what it takes
        elif isinstance(node, Mapping):
            quote = "quote an expression that begins with `{`" if node.flow else ""
            raise FieldError(field.name, f"`{field.name}` takes {field.expected}, found a mapping", quote)
        value = self.value(node, scope)
        if isinstance(value, LayerRef):
            return value.shape[1:]  # a layer where a size is asked for means its spatial size
        if isinstance(value, StepRef) and value.name in field.words:
            return value.name  # such as GELU's `tanh`, passed on by an argument
        if isinstance(value, tuple):
            most = self.limits.field_entries
            if len(value) > most or any(isinstance(item, tuple) for item in value):
                raise FieldError(
                    field.name,
                    f"`{field.name}` takes {field.expected}, found {show(value)}",
                    f"a field takes a plain list of at most {most} entries",
                )
        return value

    def is_settled(self, field: Field, node: Node, scope: Scope) -> bool:
        """Whether a field's value is the same whenever its step is met: a word, a number, or a list of numbers."""
        if isinstance(node, Scalar):
            text = node.text
            word = text in field.words or (field.type in (None, str) and scope.argument(text) is ABSENT)
            return word or expression.is_literal(text)
        items = node.items if isinstance(node, Sequence) else ()
        literal = all(isinstance(item, Scalar) and expression.is_literal(item.text) for item in items)
        return literal and 0 < len(items) <= self.limits.field_entries

    def layer_named(self, node: Scalar, scope: Scope) -> LayerRef:
        """What `from`, `share` or a branch names: an argument that holds a layer, `input`, or a layer.

        Reports a name that is none of them, and a layer that an executed one cannot use.
        """
        try:
            ref = self._reference(node, scope)
        except RuleError as error:
            self.problems.report(error.message, node.mark, error.hint)
            raise Unknown from None
        self.check_executed(ref, node)
        return ref

    def check_executed(self, ref: LayerRef, node: Scalar) -> None:
        """Reports, and raises Unknown for, a layer that only training executes where an executed one reads it."""
        if self.names.executed and not ref.executed:
            self.problems.report(f"the layer `{ref.name}` is in a side output that only training executes", node.mark)
            raise Unknown

    def _reference(self, node: Scalar, scope: Scope) -> LayerRef:
        name = node.text
        value = scope.argument(name)
        if isinstance(value, LayerRef):
            return value
        if name == "input":
            return entry(scope)
        if name in scope.body.layers:
            return scope.body.layers[name]
        self._refuse_inner(name, scope)
        if not name.replace("-", "_").isidentifier() and isinstance(value := self.value(node, scope), LayerRef):
            return value  # an entry of a list of layers, `skips[index]`
        if self.names.target(name, scope.body) is not None:
            raise RuleError(
                f"no earlier layer of this body is called `{name}`",
                f"a branch that is a bare word is a layer; a list makes it a step: `[{name}]`",
            )
        raise scope.missing(name, what="layer")

    def _refuse_inner(self, name: str, scope: Scope) -> None:
        """Raises RuleError for the path of what is in an earlier step: names do not go that deep."""
        outer, dot, inner = name.rpartition(".")
        if dot and inner.isdigit() and outer in scope.body.layers:
            raise RuleError(
                f"the repetitions of `{outer}` have no names of their own, and `{outer}` is the last one",
                f"write the one that is read as a step, `name: {name}`, with a `repeat` before it and one after it "
                f"that begins with `start: {int(inner) + 1}`",
            )
        while outer and outer not in scope.body.layers:
            outer = outer.rpartition(".")[0]
        if outer:
            raise RuleError(
                f"`{name}` is in the step `{outer}`, whose layers have no names outside of it",
                "names do not cross a block's border: write the layer in this list of steps",
            )


@cache
def _words() -> frozenset[str]:
    """Every word that is some field's own."""
    return frozenset(
        word for kind in registry.kinds().values() for field in kind.fields.values() for word in field.words
    )


def _extent(value: Any) -> tuple[int, int]:
    """(entries, depth) of a list, those of the lists in it included."""
    if not isinstance(value, tuple):
        return 1, 0
    inner = [_extent(item) for item in value]
    return sum(entries for entries, _ in inner) + 1, 1 + max([depth for _, depth in inner], default=0)


def _place(node: Scalar, error: ExpressionError) -> tuple[Mark, str]:
    """Where in a text an expression is wrong, and what to do about it."""
    mark, text = node.mark, node.text
    line = mark.source.line(mark.line)
    if node.plain and line.startswith(text, mark.column):
        if line.startswith(" #", mark.column + len(text)) and "not an expression" in error.message and _is_cut(text):
            return mark, "` #` begins a comment; quote a value that holds it"
        mark = mark._replace(column=mark.column + error.column)
    return mark, error.hint


def _is_cut(text: str) -> bool:
    """Whether an expression ends where it could not: after an operator or inside brackets."""
    return (
        text.count("(") > text.count(")")
        or text.count("[") > text.count("]")
        or not (text[-1:].isalnum() or text[-1:] in "_)].")
    )
