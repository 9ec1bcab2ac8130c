"""Nodes → Spec: the structure of a network as written, its words and keys checked, nothing evaluated.

What is wrong with the structure does not stop the reading, and not the unfolding either: a step that
cannot be understood is `broken`, and `unfold` raises these problems together with its own.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as MappingType
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cnnprof.errors import MAX_PROBLEMS, Mark, Problem, SpecError, UsageError, brief, listing, nearest
from cnnprof.language import registry, source
from cnnprof.language.expression import CONSTANTS
from cnnprof.language.source import Mapping, Node, Scalar, Sequence, described
from cnnprof.model.kind import REQUIRED, IntList, Kind, how_to_write, required
from cnnprof.model.metrics import metric_hint, metric_named, read_quantity

VERSION = "1"
SIDE = "side"
HEADER = ("cnnprof", "name", "input", "args", "variants", "budget", "inplace", "blocks", "layers")
MODIFIERS = ("name", "from", "repeat", "start", "when", "share", "collect", "inplace", "frozen")
AMONG_BRANCHES = ("start", "collect", "inplace", "frozen")
"""Modifiers that a branch of a layer may be called nevertheless."""
SPECIAL_NAMES = ("input", "in_shape", "in_channels", "index", "training")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_DOTTED = re.compile(r"\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_VARIANT = re.compile(r"[A-Za-z0-9_.-]+")  # no path and no expression names a variant, so `0.5` can be one


class Step(NamedTuple):
    """One item of a list of layers: a word, its fields or branches, and its modifiers.

    broken: a problem is known that leaves open what the step does.
    """

    word: str
    mark: Mark
    body: Node | None
    branches: tuple[Branch, ...] | None  # of a merge or side; None where only unfolding can tell
    segment: str  # of its path: the name, or the word with its number among equal words
    name: str | None = None
    from_: Scalar | Sequence | None = None  # a list where it reads several layers
    repeat: Node | None = None
    when: Node | None = None
    share: Scalar | None = None
    broken: bool = False
    start: Node | None = None  # what `index` begins at
    fields: Mapping | None = None  # of a merge, in the column of its word
    outer: bool = False  # its path begins where the block does, not the branch: its name was written with a dot before
    collect: str | None = None  # the list of layers that its outputs are added to
    in_place: Node | None = None  # whether its layers may run in place
    frozen: Node | None = None  # whether its weights are not trained


class Branch(NamedTuple):
    """A named branch: steps, or an earlier layer (`layer`), under a condition."""

    label: str
    mark: Mark
    steps: tuple[Step, ...]
    layer: Scalar | None = None
    when: Node | None = None


class Argument(NamedTuple):
    """An argument of a block or file; `default` None: required."""

    name: str
    default: Node | None
    mark: Mark


class Block(NamedTuple):
    """A named list of steps with arguments; `shipped` ones come with the tool and see only their own."""

    name: str
    mark: Mark
    args: tuple[Argument, ...]
    steps: tuple[Step, ...]
    shipped: bool = False
    lists: frozenset[str] = frozenset()  # that steps collect their outputs in


class BudgetLimit(NamedTuple):
    """A limit as written: of the network, of every part that `path` matches, or of every layer of a `kind`."""

    metric: str
    most: int
    text: str
    mark: Mark
    path: str | None = None
    kind: str | None = None

    def on(self, path: str) -> BudgetLimit:
        """The same for the parts that a pattern matches."""
        return self._replace(path=path)

    def on_kind(self, kind: str) -> BudgetLimit:
        """The same for every layer of a kind."""
        return self._replace(kind=kind)

    @property
    def of_parts(self) -> bool:
        """Whether it holds for parts of a network, each by itself."""
        return self.path is not None or self.kind is not None


class TargetName(NamedTuple):
    """A device that a network has to fit, as written."""

    name: str
    mark: Mark


class OwnBudget(NamedTuple):
    """The budget that a spec sets itself: limits, and the devices that the network has to fit."""

    limits: tuple[BudgetLimit, ...] = ()
    fits: tuple[TargetName, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it asks for nothing."""
        return not (self.limits or self.fits)


NO_BUDGET = OwnBudget()


class Variant(NamedTuple):
    """Values for arguments under a name; `budget` None: the file's holds."""

    name: str
    args: MappingType[str, Node]
    budget: OwnBudget | None
    mark: Mark


class Spec(NamedTuple):
    """A file as written. `inputs` holds the dimensions by name; a single unnamed input is called `input`.

    problems: what is wrong with the structure; `unfold` raises them.
    """

    name: str
    mark: Mark
    title: str
    inputs: MappingType[str, Node]
    several_inputs: bool
    args: tuple[Argument, ...]
    variants: MappingType[str, Variant]
    budget: OwnBudget
    in_place: bool
    blocks: MappingType[str, Block]
    steps: tuple[Step, ...]
    problems: tuple[Problem, ...] = ()
    lists: frozenset[str] = frozenset()  # that steps collect their outputs in

    def __repr__(self) -> str:
        return f"<Spec {self.name}: {len(self.steps)} steps>"

    def own_budget(self, variant: str | None = None) -> OwnBudget:
        """The budget of a variant: its own, or else the file's."""
        chosen = self.variants.get(variant or "")
        return self.budget if chosen is None or chosen.budget is None else chosen.budget

    def unused(self) -> tuple[str, ...]:
        """Arguments that the text mentions only where they are declared and set, so that they change nothing."""
        return tuple(argument.name for argument in self.args if self._mentions(argument.name) == 0)

    def _mentions(self, argument: str) -> int:
        """How often the text has the argument's name, but for its declaration and the variants that set it."""
        found = len(re.findall(rf"(?<![\w.]){re.escape(argument)}(?!\w)", self.mark.source.text))
        return found - 1 - sum(argument in variant.args for variant in self.variants.values())


def load(text: bytes, name: str) -> Spec:
    """The spec that a file's text holds; `name` stands for the file in errors. Raises SpecError, as `read` does."""
    source.refuse_foreign(text, name, HEADER[0], f"a spec begins with `cnnprof: {VERSION}`")
    return read(source.parse(text, name))


def read(root: Node) -> Spec:
    """The spec that a text's root node holds.

    Raises SpecError where that is no mapping, is in another version of the language, or has more problems
    than anyone would read. Other problems are kept in the spec, for `unfold` to raise with its own.
    """
    return _Reader().spec(root)


@cache
def shipped_blocks() -> MappingType[str, Block]:
    """The blocks that come with the tool, from blocks.yaml; read when a word is no kind."""
    reader = _Reader(shipped=True)
    root = source.parse(Path(__file__).with_name("blocks.yaml").read_bytes(), "blocks.yaml")
    blocks = reader.blocks(root, ())
    reader.finish()
    return blocks


def line_of(block: str) -> str:
    """What blocks.yaml says of a block that comes with the tool, next to its name."""
    mark = shipped_blocks()[block].mark
    return mark.source.lines()[mark.line].partition("#")[2].strip()


class _Reader:
    """Walks the nodes, collecting problems instead of stopping at the first."""

    def __init__(self, shipped: bool = False) -> None:
        self.shipped = shipped
        self.problems: list[Problem] = []
        self.block_names: frozenset[str] = frozenset()
        self.file_args: frozenset[str] = frozenset()
        self.axes: int | None = None  # of the network's input, as far as it can be told
        self.layer_names: set[str] = set()  # of the steps so far

    def problem(self, message: str, mark: Mark, hint: str = "") -> None:
        self.problems.append(Problem(message, mark, hint))
        if len(self.problems) >= MAX_PROBLEMS:
            self.finish()

    def finish(self) -> None:
        if self.problems:
            raise SpecError(sorted(self.problems, key=lambda problem: problem.mark[1:] if problem.mark else (0, 0)))

    # The file.

    def spec(self, root: Node) -> Spec:
        if not isinstance(root, Mapping):
            self.problem(
                f"a spec is a mapping with the keys {listing(HEADER)}, found {described(root)}",
                root.mark,
                "a spec begins with `cnnprof: 1`",
            )
            self.finish()
        assert isinstance(root, Mapping)
        get = root.items.get
        self.version(root)
        self.known_keys(root, HEADER, "a spec")
        self.axes = _axes(get("input"))
        args = self.arguments(get("args"))
        self.file_args = frozenset(argument.name for argument in args)
        blocks = self.blocks(get("blocks"), self.file_args)
        inputs, several = self.inputs(get("input"), root)
        steps = self.layers(get("layers"), root, frozenset())
        if not steps and not self.problems:
            self.problem("a spec needs at least one layer under `layers`", root.mark)
        return Spec(
            name=self.text(get("name"), "name") or Path(root.mark.source.name).stem,
            mark=root.mark,
            title=_title(root.mark),
            inputs=inputs,
            several_inputs=several,
            args=args,
            variants=self.variants(get("variants")),
            budget=self.budget(get("budget")),
            in_place=self.flag(get("inplace"), default=True),
            blocks=blocks,
            steps=steps,
            problems=tuple(self.problems),
            lists=frozenset(_lists(steps)),
        )

    def version(self, root: Mapping) -> None:
        node = root.items.get("cnnprof")
        if node is None:
            self.problem("a spec says which version of the language it is in", root.mark, "begin with `cnnprof: 1`")
        elif not isinstance(node, Scalar) or node.text != VERSION:
            found = f"`{node.text}`" if isinstance(node, Scalar) else described(node)
            self.problems.clear()  # what else another version may hold is not ours to say
            self.problem(f"this cnnprof reads version {VERSION} of the language, found version {found}", node.mark)
            self.finish()

    def inputs(self, node: Node | None, root: Mapping) -> tuple[dict[str, Node], bool]:
        example = "`input: [3, 224, 224]`, the shape of one example without the batch"
        if isinstance(node, Mapping) and node.items:
            for name, key in node.keys.items():
                self.layer_name(name, key.mark)
                if not _is_value(node.items[name]):
                    self.problem(
                        f"an input is a list of dimensions, found {described(node.items[name])}",
                        key.mark,
                        f"as in {example}",
                    )
            return {name: shape for name, shape in node.items.items() if _is_value(shape)}, True
        if node is None or not _is_value(node):
            self.problem(f"a spec needs {example}, found {described(node)}", root.mark if node is None else node.mark)
            return {}, False
        return {"input": node}, False

    def arguments(self, node: Node | None) -> tuple[Argument, ...]:
        found = []
        for name, key, value in self.entries(node, "args"):
            nameable = name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
            if not nameable or name in CONSTANTS:
                self.problem(
                    f"`{brief(name)}` cannot be an argument: expressions could not name it",
                    key.mark,
                    "use letters, digits and _, and no word of expressions",
                )
            elif name in SPECIAL_NAMES or name in ("required", SIDE):
                self.problem(f"`{name}` is reserved and cannot be an argument", key.mark)
            required = isinstance(value, Scalar) and value.text == "required"
            found.append(Argument(name, None if required else value, key.mark))
        return tuple(found)

    def variants(self, node: Node | None) -> dict[str, Variant]:
        variants = {}
        for name, key, body in self.entries(node, "variants"):
            if not _VARIANT.fullmatch(name):
                message = f"a variant's name is made of letters, digits, _, - and ., found `{brief(name)}`"
                self.problem(message, key.mark)
            args, budget = {}, None
            for arg, arg_key, value in self.entries(body, f"the variant `{name}`"):
                if arg == "budget" and arg not in self.file_args:
                    budget = self.budget(value)
                elif arg not in self.file_args:
                    self.problem(
                        f"the variant `{name}` sets `{arg}`, which is not among `args`",
                        arg_key.mark,
                        nearest(arg, self.file_args),
                    )
                else:
                    args[arg] = value
            variants[name] = Variant(name, args, budget, key.mark)
        return variants

    def budget(self, node: Node | None) -> OwnBudget:
        limits: list[BudgetLimit] = []
        fits: list[TargetName] = []
        for key_text, key, value in self.entries(node, "budget"):
            if key_text == "fits":
                fits += self.fits(value)
            elif key_text in ("at", "each"):
                for name, name_key, below in self.entries(value, f"`{key_text}` of a budget"):
                    for metric, metric_key, most in self.entries(below, f"the budget of `{name}`"):
                        found = self.limit(metric, metric_key, most)
                        limits += (each.on(name) if key_text == "at" else each.on_kind(name) for each in found)
                    if isinstance(below, Scalar) and below.is_null:
                        self.problem(f"the budget of `{name}` is a mapping of metrics", name_key.mark)
            else:
                limits += self.limit(key_text, key, value)
        return OwnBudget(tuple(limits), tuple(fits))

    def fits(self, node: Node) -> Iterator[TargetName]:
        """One device, or a list of them; which there are is known to whoever checks."""
        for item in node.items if isinstance(node, Sequence) and node.items else [node]:
            if not isinstance(item, Scalar) or item.is_null or not item.text.strip():
                self.problem(
                    f"`fits` takes the name of a device or a list of them, found {described(item)}",
                    item.mark,
                    "`cnnprof targets` lists them",
                )
            else:
                yield TargetName(item.text, item.mark)

    def limit(self, metric: str, key: Scalar, value: Node) -> Iterator[BudgetLimit]:
        known = metric_named(metric, f"{key.mark}: ")
        if known is None:
            self.problem(
                f"a budget limits metrics, and `{metric}` is not one",
                key.mark,
                metric_hint(metric),
            )
        elif not isinstance(value, Scalar):
            self.problem(f"a limit on `{metric}` is a number, found {described(value)}", value.mark)
        else:
            try:
                yield BudgetLimit(known, read_quantity(value.text, known), value.text, value.mark)
            except UsageError as error:
                self.problem(str(error), value.mark)

    def blocks(self, node: Node | None, file_args: Iterable[str]) -> dict[str, Block]:
        entries = list(self.entries(node, "blocks"))
        self.block_names = frozenset(name for name, _, _ in entries)
        blocks = {}
        for name, key, body in entries:
            self.legal_name(name, key.mark)
            if name == SIDE:
                self.problem(f"`{SIDE}` is reserved and cannot be a block", key.mark)
            if not isinstance(body, Mapping):
                self.problem(
                    f"the block `{name}` is a mapping with `args` and `layers`, found {described(body)}", body.mark
                )
                blocks[name] = Block(name, key.mark, (), (_broken(body.mark),), self.shipped)
                continue
            self.known_keys(body, ("args", "layers"), f"the block `{name}`")
            args = self.arguments(body.items.get("args"))
            own = frozenset(argument.name for argument in args)
            steps = self.layers(body.items.get("layers"), body, own)
            blocks[name] = Block(name, key.mark, args, steps, self.shipped, frozenset(_lists(steps)))
        return blocks

    # Lists of steps.

    def layers(self, node: Node | None, owner: Mapping, args: frozenset[str]) -> tuple[Step, ...]:
        if not isinstance(node, Sequence):
            mark = owner.mark if node is None else node.mark
            hint = "each begins with a dash: `- conv2d: {…}`"
            self.problem(f"expected `layers`, a list of steps, found {described(node)}", mark, hint)
            return (_broken(mark),)
        return self.steps(node, args)

    def steps(self, node: Sequence, args: frozenset[str]) -> tuple[Step, ...]:
        counts: dict[str, int] = {}
        return tuple([self.step(item, args, counts) for item in node.items])

    def step(self, node: Node, args: frozenset[str], counts: dict[str, int]) -> Step:
        if isinstance(node, Mapping) and node.keys:
            word = next(iter(node.keys))
            mark, body = node.keys[word].mark, node.items[word]
        elif isinstance(node, Scalar) and not node.is_null:
            word, mark, body = node.text, node.mark, None
        else:
            self.problem(f"a step is `- WORD` or `- WORD: {{fields}}`, found {described(node)}", node.mark)
            return _broken(node.mark)
        if isinstance(body, Scalar) and body.is_null:
            body = None
        if not _NAME.fullmatch(word):
            hint = ""
            if ":" in word:
                hint = f"a space after the colon: `{brief(word.replace(':', ': ', 1))}`"
            elif " " in word:
                hint = "a bare word carries no modifier: give it a colon, as in `- relu:`"
            self.problem(f"a step's word is made of letters, digits, _ and -, found `{brief(word)}`", mark, hint)
            return _broken(mark)
        counts[word] = counts.get(word, 0) + 1
        segment = word if counts[word] == 1 else f"{word}_{counts[word]}"
        found = len(self.problems)
        is_argument = word in args or (word in self.file_args and not self.shipped)
        kind = None
        if not is_argument and word != SIDE and not self.is_block(word):
            kind = registry.find(word)
            if kind is None:
                self.unknown_word(word, mark, node, args)
                return _broken(mark)
            if not kind.merge:
                self.check_fields(kind, body)
        is_merge = not is_argument and (word == SIDE or (kind is not None and kind.merge))
        name = from_ = repeat = when = share = start = fields = collect = in_place = frozen = None
        outer = False
        if isinstance(node, Mapping) and len(node.keys) > 1:
            name = self.modifiers(node, word, kind, is_merge)
            outer = name is not None and name.startswith(".")
            name = name and name.removeprefix(".")
            get = node.items.get
            from_, share = self.sources(get("from")), self.word(get("share"), "share")
            repeat, when, start = get("repeat"), get("when"), get("start")
            in_place, frozen = get("inplace"), get("frozen")
            collect = self.list_name(get("collect"), args)
            if kind is not None and kind.merge:
                fields = _fields_of(node, kind)
        broken = len(self.problems) > found
        branches = None
        if is_merge and not (broken and body is None):
            branches = self.branches(word, body, mark, args)
            broken = broken or branches is None
        return Step(
            *(word, mark, body, branches, name or segment, name, from_, repeat, when, share, broken, start, fields),
            outer=outer,
            collect=collect,
            in_place=in_place,
            frozen=frozen,
        )

    def is_block(self, word: str) -> bool:
        """Whether a word is a block of the file, or one that comes with the tool; no kind is called as one of those."""
        return word in self.block_names or (
            not self.shipped and word not in registry.CLASSES and word in shipped_blocks()
        )

    def unknown_word(self, word: str, mark: Mark, node: Scalar | Mapping, args: frozenset[str]) -> None:
        if isinstance(node, Mapping) and word in MODIFIERS:
            self.problem(
                f"a step begins with a layer kind or a block, found the modifier `{word}`",
                mark,
                "write it below the step's word, in the word's own column",
            )
        elif word in self.layer_names or word == "input":
            self.problem(
                f"`{brief(word)}` is an earlier layer, and a step begins with a layer kind or a block",
                mark,
                f"a step that reads it says so: `- identity:` with `from: {word}`; a branch that is nothing else is "
                f"the bare word, `{word}`",
            )
        else:
            known = [*registry.CLASSES, *shipped_blocks(), SIDE]
            own = [*self.block_names, *args, *(() if self.shipped else self.file_args)]
            self.problem(
                f"`{brief(word)}` is neither a layer kind nor a block",
                mark,
                registry.suggestion(word, known, self.axes, own) or registry.INSTEAD,
            )

    def check_fields(self, kind: type[Kind], body: Node | None) -> None:
        word = kind.word
        if isinstance(body, Mapping):
            for key, node in body.keys.items():
                if key not in kind.fields:
                    self.problem(f"`{word}` has no field `{brief(key)}`", node.mark, no_field(kind, word, key))
        elif body is not None:
            message = f"`{word}` takes its fields by name, found {described(body)}"
            self.problem(message, body.mark, by_name(kind, word, body))

    def modifiers(self, node: Mapping, word: str, kind: type[Kind] | None, is_merge: bool) -> str | None:
        """Checks the keys next to the word; returns the step's name."""
        value = node.items[word]
        for key, key_node in node.keys.items():
            if key == word or key in MODIFIERS or (is_merge and kind is not None and key in kind.fields):
                continue
            message = f"`{brief(key)}` is not a modifier of a step: {listing(MODIFIERS)}"
            hint = nearest(key, MODIFIERS)
            if isinstance(value, Scalar) and value.is_null and (is_merge or kind is None or key in kind.fields):
                what = "branches" if is_merge else "fields" if kind else "arguments"
                if not hint.startswith("did you mean"):
                    self.problem(message, key_node.mark, f"indent the {what} of `{word}` deeper than `{word}` itself")
                    break  # the other keys are there for the same reason
            self.problem(message, key_node.mark, hint)
        if "start" in node.keys and "repeat" not in node.keys:
            self.problem(
                "`start` is where `index` begins, and this step has no `repeat`",
                node.keys["start"].mark,
                "add `repeat: 1`, or write the number into the step's name",
            )
        text = self.text(node.items.get("name"), "name")
        if text is not None:
            self.step_name(text, node.items["name"].mark)
        return text

    def branches(self, word: str, body: Node | None, mark: Mark, args: frozenset[str]) -> tuple[Branch, ...] | None:
        """The branches of a merge or side, in the order written; None where there are none to read."""
        if not isinstance(body, Mapping) or not body.items:
            self.problem(
                f"`{word}` takes named branches, found {described(body)}",
                mark if body is None else body.mark,
                f"write `{word}: {{a: [], b: [...]}}`, or the branches below it, indented deeper than it",
            )
            return None
        return tuple([self.branch(word, key, body.items[label], args) for label, key in body.keys.items()])

    def branch(self, word: str, key: Scalar, node: Node, args: frozenset[str]) -> Branch:
        label, mark = key.text, key.mark
        self.legal_name(label, mark)
        if isinstance(node, Sequence):
            return Branch(label, mark, self.steps(node, args))
        if isinstance(node, Mapping):
            if not node.items.keys() & {"when", "layers"}:
                self.problem(
                    f"the branch `{label}` is a list of steps, an earlier layer, or `{{when: …, layers: […]}}`, "
                    "found another mapping",
                    node.mark,
                    "a single step is a list too: `[{relu: {}}]`",
                )
                return Branch(label, mark, (_broken(node.mark),))
            self.known_keys(node, ("when", "layers"), f"the branch `{label}`")
            return Branch(label, mark, self.layers(node.items.get("layers"), node, args), when=node.items.get("when"))
        if label in MODIFIERS and label not in AMONG_BRANCHES:
            self.problem(f"`{word}` has a branch called `{label}` that is not a list", mark, misplaced(label, word))
        elif node.is_null:
            self.problem(f"the branch `{label}` is empty", mark, "write `[]` for the identity")
        else:
            return Branch(label, mark, (), layer=node)
        return Branch(label, mark, (_broken(mark),))

    # Small parts.

    def entries(self, node: Node | None, what: str) -> Iterator[tuple[str, Scalar, Node]]:
        """(key, its node, value) of a mapping; nothing where nothing is written."""
        if node is None or (isinstance(node, Scalar) and node.is_null):
            return
        if not isinstance(node, Mapping):
            self.problem(f"expected a mapping for {what}, found {described(node)}", node.mark)
            return
        for key, value in node.items.items():
            yield key, node.keys[key], value

    def known_keys(self, node: Mapping, known: tuple[str, ...], what: str) -> None:
        for key, key_node in node.keys.items():
            if key not in known:
                self.problem(f"{what} has no key `{brief(key)}`", key_node.mark, nearest(key, known))

    def text(self, node: Node | None, what: str) -> str | None:
        if node is None:
            return None
        if not isinstance(node, Scalar) or node.is_null:
            self.problem(f"`{what}` takes a word, found {described(node)}", node.mark)
            return None
        return node.text

    def word(self, node: Node | None, what: str) -> Scalar | None:
        if self.text(node, what) is None:
            return None
        assert isinstance(node, Scalar)
        return node

    def sources(self, node: Node | None) -> Scalar | Sequence | None:
        """What `from` says: a word, or a list of at least one."""
        if not isinstance(node, Sequence):
            return self.word(node, "from")
        if not node.items:
            self.problem("`from` takes a word or a list of words, found an empty list", node.mark)
        words = [self.word(item, "from") for item in node.items]
        return node if words and None not in words else None

    def flag(self, node: Node | None, default: bool) -> bool:
        if node is None:
            return default
        if not isinstance(node, Scalar) or node.text not in ("true", "false"):
            self.problem(f"`inplace` is true or false, found {described(node)}", node.mark)
            return default
        return node.text == "true"

    def legal_name(self, name: str, mark: Mark) -> bool:
        legal = bool(_NAME.fullmatch(name))
        if not legal:
            self.problem(f"a name is made of letters, digits, _ and -, found `{brief(name)}`", mark)
        return legal

    def step_name(self, name: str, mark: Mark) -> None:
        """A step's name may have several levels, as those of imported layers have."""
        if "." not in name:
            self.layer_name(name, mark)
            return
        self.layer_names.add(name.removeprefix("."))
        if not _DOTTED.fullmatch(name):
            self.problem(
                f"a name of several levels is letters, digits, _ and - with single dots between, found `{brief(name)}`",
                mark,
            )

    def list_name(self, node: Node | None, args: frozenset[str]) -> str | None:
        """The list that `collect` names: any number of steps may, and nothing else is called like it."""
        name = self.text(node, "collect")
        if name is None or node is None:
            return None
        self.layer_name(name, node.mark)
        is_argument = name in args or (name in self.file_args and not self.shipped)
        if is_argument or self.is_block(name) or name in registry.CLASSES:
            other = "an argument" if is_argument else "a kind or block"
            self.problem(
                f"`collect` names a list of layers, and `{name}` is {other}",
                node.mark,
                "give the list a name of its own, and name it in a branch: `concat: {x: [], outs: outs}`",
            )
        return name

    def layer_name(self, name: str, mark: Mark) -> None:
        self.layer_names.add(name)
        if self.legal_name(name, mark) and name in SPECIAL_NAMES:
            self.problem(f"`{name}` is reserved in expressions and cannot name a layer", mark)


def _fields_of(node: Mapping, kind: type[Kind]) -> Mapping | None:
    """The keys of a merge's step that are fields; None where there are none."""
    names = [name for name in node.keys if name in kind.fields]
    if not names:
        return None
    found = Mapping(node.mark, node.flow)
    found.items = {name: node.items[name] for name in names}
    found.keys = {name: node.keys[name] for name in names}
    return found


def misplaced(modifier: str, word: str) -> str:
    """The hint for a modifier that is among a step's fields, arguments or branches."""
    return f"`{modifier}` belongs to the step: write it in the column of `{word}`"


_OF_THE_INPUT = ("in_channels", "in_features", "num_features", "num_channels", "in_planes", "inplanes", "in_dim")
"""What networks elsewhere call the size that here follows from a step's input."""


def no_field(kind: type[Kind], word: str, name: str) -> str:
    """The hint for a field that a kind does not have."""
    if name in MODIFIERS:
        return misplaced(name, word)
    if name in _OF_THE_INPUT:
        return left_out(name)
    return nearest(name, kind.fields) or f"`{word}` has no fields"


def no_argument(word: str, name: str, names: Iterable[str]) -> str:
    """The hint for an argument that a block does not have."""
    if name in MODIFIERS:
        return misplaced(name, word)
    if name in _OF_THE_INPUT:
        return left_out(name)
    return nearest(name, names) or "it has no arguments"


def left_out(name: str) -> str:
    """The hint for a size that is not to be said."""
    return f"leave `{name}` out: it follows from the input"


def by_name(kind: type[Kind], word: str, body: Node) -> str:
    """The hint for fields written without their names: the same values with them, in the order that PyTorch has.

    Values that may mean several things are not written out.
    """
    if not kind.fields:
        return "it has no fields"
    values = body.items if isinstance(body, Sequence) else [body]
    names = kind.positional or (*kind.inferred, *kind.fields)
    first = kind.fields[next(name for name in names if name in kind.fields)]
    if first.type is IntList or (len(names) == 1 and first.type not in (int, float)):  # the list is one value
        names, values = (first.name,), [body]
    elif len(values) == 1 and names[0] in kind.inferred and first.default is REQUIRED:
        names = (first.name,)  # PyTorch asks for more than the input's size
    given = dict(zip(names, map(_as_value, values), strict=False))
    said = [name for name in kind.inferred if given.pop(name, None) is not None]
    if said and not given:
        return f"write `{word}` alone: `{said[0]}` follows from the input"
    found = {name: value for name, value in given.items() if value is not None and name in kind.fields}
    if len(found) < len(values) - len(said) or (said and not found.keys() >= {*required(kind)}):
        return how_to_write(kind, word)
    hint = how_to_write(kind, word, found)
    return f"{hint}; `{said[0]}` follows from the input" if said else hint


def _as_value(node: Node) -> str | None:
    """A value as a field takes it; None where no field takes it."""
    if isinstance(node, Mapping) or (isinstance(node, Sequence) and not all(isinstance(i, Scalar) for i in node.items)):
        return None
    text = source.written(node)
    return {"True": "true", "False": "false", "None": "null"}.get(text, text)


def read_branches(step: Step, args: Iterable[str], blocks: Iterable[str]) -> tuple[Branch, ...]:
    """The branches of a step whose word turned out to be a merge only when it was unfolded.

    `args` and `blocks` are the names that words in the branches may be. Raises SpecError.
    """
    reader = _Reader()
    reader.block_names = frozenset(blocks)
    branches = reader.branches(step.word, step.body, step.mark, frozenset(args))
    reader.finish()
    assert branches is not None
    return branches


def _lists(steps: Iterable[Step]) -> Iterator[str]:
    """The lists that steps collect their outputs in, those in branches too."""
    for step in steps:
        if step.collect is not None:
            yield step.collect
        for branch in step.branches or ():
            yield from _lists(branch.steps)


def _broken(mark: Mark) -> Step:
    return Step("", mark, None, None, "", broken=True)


def _is_value(node: Node) -> bool:
    """Whether a node may hold dimensions: a list, or an expression for one."""
    return bool(node.items) if isinstance(node, Sequence) else isinstance(node, Scalar) and not node.is_null


def _axes(node: Node | None) -> int | None:
    """How many axes an input has that is written as a list, the first of several."""
    first = next(iter(node.items.values()), None) if isinstance(node, Mapping) else node
    return len(first.items) - 1 if isinstance(first, Sequence) else None


def _title(mark: Mark) -> str:
    """The first comment line of a file: what `cnnprof specs` says of it."""
    first = mark.source.text.lstrip("\ufeff").split("\n", 1)[0]
    return first[1:].strip() if first.startswith("#") else ""
