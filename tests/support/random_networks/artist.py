"""Draws networks, step by step, each with the current shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

from hypothesis import strategies as st

from cnnprof.language.registry import kinds
from cnnprof.model.kind import Shape
from cnnprof.model.parts import InParts
from tests.support.random_networks.choices import Choice, Drawn, Seeded
from tests.support.random_networks.simulation import MAX_VALUES, Body, LayerShape, Refused, Simulation
from tests.support.random_networks.tree import MERGES, REQUIRED, Block, Branch, Expr, Net, Refusal, Step, nameless
from tests.support.random_networks.vocabulary import LEARNING, SHAPE_KEEPING, TABLE, shared

COMMON = ("conv{0}d", "conv{0}d", "batch_norm", "relu", "relu", "max_pool{0}d")
ARITHMETIC = ("add", "sub", "mul", "div", "maximum", "minimum")
AXES = {word: kind.axes and kind.axes + issubclass(kind, InParts) for word, kind in kinds().items()}


class Artist:
    """Draws one network."""

    def __init__(self, choose: Choice) -> None:
        self.choose = choose
        self.blocks: dict[str, Block] = {}
        self.args: dict[str, Any] = {}
        self.refused: list[Refusal] = []
        self.names = 0
        self.sides = 0
        self.lists = 0

    def net(self) -> Net:
        choose = self.choose
        inputs = {"input": self.input()}
        if choose.chance(15):
            left = inputs["input"]
            inputs = {"left": left, "right": left if choose.chance(60) else self.input()}
        body = Body({}, inputs.get("input"), {} if "input" in inputs else dict(inputs))
        steps: list[Step] = []
        shape = inputs.get("input")
        if shape is None:
            steps.append(Step("identity", from_="left", name=self.name()))
            shape = self.simulate(steps[0], None, body)
        more, _ = self.list(shape, body, choose.integer(1, 7), depth=0)
        steps += more
        for training in (False, True):
            simulation = Simulation(self.blocks, self.args, training)
            layers = {} if "input" in inputs else dict(inputs)
            simulation.steps(steps, inputs.get("input"), Body({}, inputs.get("input"), layers))
            if not simulation.layers:
                steps.append(Step("relu"))
        lifted = self.lift(tuple(steps), self.args, "f", choose.pick([0, 0, 1, 2]))
        return Net(inputs, lifted, self.blocks, self.args, choose.chance(95), tuple(self.refused))

    def input(self) -> Shape:
        choose = self.choose
        axes = choose.pick([2, 2, 2, 1, 3, 0])
        most = {0: 0, 1: 16, 2: 10, 3: 6}[axes]
        channels = choose.pick([1, 2, 3, 4, 6, 8])
        return channels, *(choose.integer(1 if choose.chance(10) else min(4, most), most) for _ in range(axes))

    def name(self) -> str:
        self.names += 1
        return f"n{self.names}" if self.choose.chance(80) else f"{self.names}n"

    def simulate(self, step: Step, shape: Shape | None, body: Body) -> Shape | None:
        """The shape after a step, which must fit; `body` learns its names."""
        trial = body.copy()
        after = Simulation(self.blocks, self.args).step(step, shape, trial)
        body.layers, body.lists, body.made = trial.layers, trial.lists, trial.made
        return after

    def list(self, shape: Shape, body: Body, length: int, depth: int) -> tuple[list[Step], Shape]:
        """About `length` steps that fit after one another, and where they end; what one collects the next one joins."""
        steps: list[Step] = []
        for _ in range(length):
            for _ in range(4):
                before = dict(self.blocks)
                step = self.propose(shape, body, depth)
                after = self.after(step, shape, body)
                if after is None:
                    self.blocks = before
                    continue
                steps.append(step)
                shape = after
                if step.collect is not None:
                    join = self.joined(step.collect)
                    after = self.after(join, shape, body)
                    if after is not None:
                        steps.append(join)
                        shape = after
                break
        return steps, shape

    def after(self, step: Step, shape: Shape, body: Body) -> Shape | None:
        """The shape after a step; None where it does not fit, which is kept where a kind refuses."""
        try:
            return self.simulate(step, shape, body)
        except Refused as refused:
            if refused.refusal is not None and prod(map(prod, refused.refusal.shapes)) < MAX_VALUES**2:
                self.refused.append(refused.refusal)
            return None

    def joined(self, name: str) -> Step:
        """A merge of the layers in a list, now and then of another layer too."""
        branches = {"outs": Branch(layer=name)}
        if self.choose.chance(30):
            branches["more"] = Branch((Step("tanh"),))
        return Step(self.choose.pick(["concat", "concat", "add", "mul", "stack", "maximum"]), branches)

    def propose(self, shape: Shape, body: Body, depth: int) -> Step:
        choose = self.choose
        known = body.known()
        from_ = None
        if known and choose.chance(5):
            from_ = choose.pick([*known])
            shape = known[from_]
        what = choose.integer(0, 99)
        if what < 12 and depth < 2:
            step = self.merge(shape, body, depth)
        elif what < 20 and depth < 2:
            step = self.new_block(shape, body, depth)
        elif what < 25 and self.blocks:
            step = self.old_block(body)
        elif what < 29 and depth == 0:
            return self.side(shape, body)
        elif what < 45 and (shared := self.shared(shape, body)):
            return replace(shared, from_=from_)
        else:
            step = self.leaf(shape, body)
        return self.modified(replace(step, from_=step.from_ or from_), shape)

    def modified(self, step: Step, shape: Shape) -> Step:
        """The step with a name, a repeat or a condition."""
        choose = self.choose
        if choose.chance(10) and not isinstance(step.from_, tuple):
            step = replace(step, repeat=choose.pick([1, 2, 2, 3, 0]), start=choose.pick([None, None, 0, 1, 3]))
            if not step.merges and isinstance(step.body, dict) and choose.chance(30):
                changed = dict(step.body)
                for name, value in changed.items():
                    if isinstance(value, int) and not isinstance(value, bool) and choose.chance(50):
                        changed[name] = Expr(choose.pick([f"{value} + index", f"{value} if index == 0 else 1"]))
                step = replace(step, body=changed)
        if choose.chance(8):
            conditions = ["true", "false", "in_channels > 2", "len(in_shape) == 3", "in_shape[-1] > 1 and not training"]
            if step.repeat is not None:
                conditions += ["index > 0", "index % 2 == 0"]
            when = choose.pick(conditions)
            if "training" not in when or step.word in SHAPE_KEEPING:
                step = replace(step, when=when)
        if choose.chance(8):
            step = replace(step, frozen=choose.pick([True, True, False, Expr("in_channels > 2")]))
        if choose.chance(5):
            step = replace(step, inplace=choose.chance(50))
        if choose.chance(40 if step.repeat else 3) and "training" not in (step.when or ""):
            self.lists += 1
            step = replace(step, collect=f"outs{self.lists}")
        if choose.chance(30) and "training" not in (step.when or ""):
            step = replace(step, name=self.name())
        return step

    def leaf(self, shape: Shape, body: Body) -> Step:
        choose = self.choose
        axes = len(shape) - 1
        words = [word for word in TABLE if AXES[word] in (None, axes)]
        if 1 <= axes <= 3:
            words += [word.format(axes) for word in COMMON]
        if len(shape) == 2:
            words.append("multi_head_attention")
        word = choose.pick(words) if choose.chance(97) else choose.pick(list(TABLE))
        fields = TABLE[word](choose, shape)
        sequences = [name for name, known in body.known().items() if len(known) == 2]
        if word == "multi_head_attention" and sequences and choose.chance(50):
            return Step(word, fields, from_=tuple(choose.pick(sequences) for _ in range(choose.pick([2, 2, 3]))))
        alike = [name for name, known in body.known().items() if len(known) == len(shape) > 1 and name.isidentifier()]
        if alike and choose.chance(20) and word in ("interpolate", "center_crop"):
            fields = {"output_size" if word == "center_crop" else "size": Expr(choose.pick(alike))}
        return Step(word, fields)

    def fit(self, shape: Shape, target: Shape, channels: bool = True) -> list[Step]:
        """Steps that bring a shape to another of the same rank."""
        axes = len(shape) - 1
        steps = []
        if shape[1:] != target[1:] and 1 <= axes <= 3:
            sizes = list(target[1:]) if axes > 1 else target[1]
            if self.choose.chance(50):
                steps.append(Step("interpolate", {"size": sizes}))
            else:
                steps.append(Step(f"adaptive_avg_pool{axes}d", {"output_size": sizes}))
        if channels and shape[0] != target[0] and axes <= 3:
            if axes == 0:
                steps.append(Step("linear", {"out_features": target[0]}))
            else:
                steps.append(Step(f"conv{axes}d", {"out_channels": target[0], "kernel_size": 1}))
        return steps

    def merge(self, shape: Shape, body: Body, depth: int) -> Step:
        """A merge whose branches mostly fit each other."""
        choose = self.choose
        word = choose.pick(MERGES if len(shape) > 2 else MERGES[:-1])
        if word == "scaled_dot_product_attention" and len(shape) > 2:
            return self.attention(shape)
        if word == "matmul" and len(shape) > 1 and choose.chance(90):
            dims = [*range(len(shape) - 1), len(shape), len(shape) - 1]
            return Step(word, {"p": Branch(), "q": Branch((Step("permute", {"dims": dims}),))})
        number = word in ARITHMETIC and choose.chance(20)
        two = word in ("sub", "div", "maximum", "minimum", "matmul")
        count = 2 if two and choose.chance(95) else choose.pick([2, 2, 2, 3, 1])
        if number:
            count = 1 if choose.chance(80) else count
        fields = self.merge_fields(word, shape)
        trial = body.copy()
        branches: dict[str, Branch] = {}
        target = shape
        if choose.chance(40):
            steps, target = self.list(shape, trial, choose.integer(1, 3), depth + 1)
            branches["p"] = Branch(tuple(steps))
        parameters = 0
        for label in "pqr"[len(branches) : count]:
            sizes = None if parameters or count == 1 else self.shared_sizes(word, target, fields.get("dim", 1))
            if sizes is not None:
                branches[label] = shared(choose, sizes)
                parameters += 1
            else:
                branches[label] = self.branch(Step(word, branches, fields=fields), shape, target, trial, depth)
        if choose.chance(15) and not parameters:
            label = choose.pick([*branches])
            when = choose.pick(["true", "false", "in_channels > 2", "len(in_shape) > 2"])
            if branches[label].layer is None:
                branches[label] = replace(branches[label], when=when)
        if number:
            branches["number"] = Branch(number=choose.pick([0.5, 2, -3, 0, 1e-5]))
        if choose.chance(40) and parameters == 0:
            branches = dict(reversed(branches.items()))
        return Step(word, branches, fields=fields)

    def merge_fields(self, word: str, shape: Shape) -> dict[str, Any]:
        """Those in a merge's own column."""
        if word not in ("concat", "stack") or self.choose.chance(60):
            return {}
        last = len(shape) + (word == "stack")
        return {"dim": self.choose.integer(1, last) if self.choose.chance(70) else self.choose.pick([-1, -last, 0, 9])}

    def attention(self, shape: Shape) -> Step:
        """Attention of a tensor to itself or to a part of it."""
        choose = self.choose
        memory = Branch()
        positions = shape[-2]
        if choose.chance(30) and positions > 1:
            positions -= 1
            memory = Branch((Step("slice", {"dim": len(shape) - 1, "start": 1}),))
        value = memory
        if choose.chance(5):
            value = Branch((*memory.steps, Step("linear", {"out_features": choose.pick([1, 2, 5])})))
        own = {"query": Branch(), "key": memory, "value": value}
        own = {label: own[label] for label in choose.pick([("query", "key", "value"), ("value", "query", "key")])}
        if choose.chance(50):
            mask = [choose.pick([1, shape[-3]]), choose.pick([1, shape[-2]]), positions]
            own["mask"] = shared(choose, [1] * (len(shape) - 3) + mask)
        fields = {"is_causal": True} if choose.chance(5 if "mask" in own else 30) else {}
        return Step("scaled_dot_product_attention", own, fields=fields | choose.some({"scale": lambda: 0.5}))

    def shared_sizes(self, word: str, target: Shape, dim: int) -> list[int] | None:
        """Sizes of a parameter as one of the branches; None where it is to be something else."""
        choose = self.choose
        if word in ("stack", "matmul") or not choose.chance(12):
            return None
        if word != "concat":
            return [size if choose.chance(50) else 1 for size in target]
        sizes = [*target]
        if 1 <= dim <= len(sizes):
            sizes[dim - 1] = choose.pick([1, 2, target[dim - 1]])
        return sizes

    def branch(self, merge: Step, shape: Shape, target: Shape, body: Body, depth: int) -> Branch:
        """A branch of steps, or one that names a layer, mostly of a shape that fits the target's."""
        choose = self.choose
        what = choose.integer(0, 87)
        known = {name: known for name, known in body.known().items() if known == target or choose.chance(10)}
        if what < 20 and (shape == target or choose.chance(10)):
            return Branch()
        if what < 40 and known:
            return Branch(layer=choose.pick([*known]))
        if what < 52 and merge.word not in ("concat", "stack") and 2 <= len(shape) <= 4:
            axes = len(shape) - 1
            ones = (1,) * axes
            gate = [Step(f"adaptive_avg_pool{axes}d", {"output_size": 1})]
            gate += self.fit((shape[0], *ones), (target[0], *ones))
            return Branch((*gate, Step(choose.pick(["sigmoid", "hardsigmoid", "relu"]))))
        steps, end = self.list(shape, body, choose.integer(0, 3), depth + 1)
        if len(end) == len(target) and choose.chance(95):
            steps += self.fit(end, target, channels=merge.word != "concat" or merge.fields.get("dim", 1) != 1)
        return Branch(tuple(steps))

    def side(self, shape: Shape, body: Body) -> Step:
        choose = self.choose
        trial = body.copy()
        branches = {}
        for _ in range(choose.pick([1, 1, 2])):
            self.sides += 1
            steps, _ = self.list(shape, trial, choose.integer(0, 3), depth=1)
            branches[f"aux{self.sides}"] = Branch(tuple(steps))
        when = choose.pick([None, "training", "training", "training and in_channels > 2", "not training", "false"])
        if when is not None:
            # What is executed in one mode alone cannot be named in the other.
            branches = {label: Branch(nameless(branch.steps)) for label, branch in branches.items()}
        return Step("side", branches, when=when)

    def new_block(self, shape: Shape, body: Body, depth: int) -> Step:
        """A call of a block made for it."""
        choose = self.choose
        given: dict[str, Any] = {}
        layers = [name for name in body.known() if name.isidentifier()]
        if layers and choose.chance(30):
            given["skip"] = Expr(choose.pick(layers))
        args = {name: LayerShape(body.known()[value]) for name, value in given.items()}
        steps, _ = self.list(shape, Body(args, shape, {}), choose.integer(1, 4), depth + 1)
        lifted: dict[str, Any] = {}
        body_steps = self.lift(tuple(steps), lifted, "a", choose.pick([0, 1, 2, 3]))
        declared = dict.fromkeys(given, REQUIRED)
        for name, value in lifted.items():
            if choose.chance(60):
                declared[name] = REQUIRED
                given[name] = value
            else:
                entering = type(value) is int and value == shape[0] and choose.chance(50)
                declared[name] = Expr("in_channels") if entering else value
        name = f"b{len(self.blocks)}"
        self.blocks = {**self.blocks, name: Block(body_steps or (Step("identity"),), declared)}
        if given and choose.chance(30) and list(given) == list(declared)[: len(given)]:
            return Step(name, list(given.values()))
        return Step(name, given)

    def old_block(self, body: Body) -> Step:
        """Another call of a block, with other arguments."""
        choose = self.choose
        name = choose.pick(list(self.blocks))
        given: dict[str, Any] = {}
        layers = [known for known in body.known() if known.isidentifier()]
        for arg, default in self.blocks[name].args.items():
            if default == REQUIRED or choose.chance(20):
                if arg == "skip":
                    given[arg] = Expr(choose.pick(layers)) if layers else 1
                else:
                    given[arg] = self.another(arg)
        return Step(name, given)

    def shared(self, shape: Shape, body: Body) -> Step | None:
        """A step that uses the weights of an earlier one like it."""
        names = [
            name
            for name, (step, entered) in body.made.items()
            if entered == shape and step.when is None and self.learns(step)
        ]
        if not names:
            return None
        name = self.choose.pick(names)
        step, _ = body.made[name]
        return Step(step.word, step.body, share=name, name=self.name() if self.choose.chance(30) else None)

    def learns(self, step: Step) -> bool:
        """Whether a step surely has weights or buffers."""
        if step.word in self.blocks:
            return any(
                inner.word in LEARNING and not inner.when and inner.repeat is None
                for inner in self.blocks[step.word].steps
            )
        return step.word in LEARNING

    def another(self, arg: str) -> Any:
        """A value for an argument of that prefix: `ak` a kind, `ab` true or false, else a number."""
        if arg.startswith("ak"):
            return Expr(self.choose.pick(["relu", "gelu", "identity"]))
        return self.choose.chance(50) if arg.startswith("ab") else self.choose.pick([1, 2, 3, 4])

    def lift(self, steps: tuple[Step, ...], args: dict[str, Any], prefix: str, most: int) -> tuple[Step, ...]:
        """The steps with up to `most` literals replaced by arguments, which `args` learns."""
        choose = self.choose

        def lifted(step: Step) -> Step:
            if step.merges:
                return replace(
                    step,
                    body={
                        label: replace(branch, steps=tuple(map(lifted, branch.steps)))
                        for label, branch in step.body.items()
                    },
                )
            if isinstance(step.from_, tuple):
                return step  # a word that is an argument reads one layer
            plain = step.word in kinds() and step.word not in LEARNING and not step.body
            if plain and prefix == "a" and len(args) < most and choose.chance(30):
                name = f"ak{len(args)}"
                args[name] = Expr(step.word)
                return replace(step, word=name)
            fixed = isinstance(step.body, dict) and not any(isinstance(each, Expr) for each in step.body.values())
            whole = step.word in kinds() and step.word not in LEARNING and step.body and fixed
            if whole and prefix == "a" and len(args) < most and choose.chance(20):
                name = f"ak{len(args)}"
                args[name] = {step.word: step.body}
                return replace(step, word=name, body=None)
            if not isinstance(step.body, dict):
                return step
            body = dict(step.body)
            for name, value in body.items():
                if isinstance(value, int | float) and len(args) < most and choose.chance(50):
                    body[name] = Expr(f"{prefix}{'b' if isinstance(value, bool) else ''}{len(args)}")
                    args[body[name]] = value
            return replace(step, body=body)

        return tuple(map(lifted, steps))


@st.composite
def networks(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Net:
    """Networks over the whole vocabulary."""
    return Artist(Drawn(draw)).net()


def seeded(seed: object) -> Net:
    """The network of a seed."""
    return Artist(Seeded(seed)).net()
