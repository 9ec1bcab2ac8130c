"""Random specs of blocks: each called several times, alike and almost alike, with modifiers and arguments of sorts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

BLOCKS = ("inner", "middle", "outer")
"""Each may use those before it."""
FIELDS = (
    "conv2d: {out_channels: NUMBER, kernel_size: 1}",
    "conv2d: {out_channels: in_channels, kernel_size: 3, padding: 1, padding_mode: zeros}",
    "std_conv2d: {out_channels: NUMBER, kernel_size: 3, padding: same}",
    "leaky_relu: {negative_slope: NUMBER / 64}",
    "leaky_relu: {negative_slope: 0.5}",
    "gelu: {approximate: tanh}",
    "interpolate: {size: LAYER}",
    "interpolate: {size: [8, 8]}",
    "dropout: {p: 0.5}",
    "squeeze_excite: {reduced: NUMBER}",
)
WORDS = ("relu", "batch_norm", "sigmoid", "prelu", "conv_norm_act: {channels: NUMBER, kernel: 1}")
VALUES = (
    "relu",
    "identity",
    "leaky_relu",
    "{leaky_relu: {negative_slope: 0.5}}",
    "{leaky_relu: {negative_slope: 0.25}}",
    "{leaky_relu: {negative_slope: NUMBER / 32}}",
    "{batch_norm: {eps: 1e-3}}",
    "{conv2d: {out_channels: in_channels, kernel_size: 1}}",
    "{conv2d: {out_channels: NUMBER, kernel_size: 1}}",
)
ALIKE = VALUES[2:5]
NUMBERS = ("4", "4", "8", "8.0", "width", "in_channels", "2 if in_channels > 4 else 6")
MISTAKES = ("[1]", "true", "null", "nothing", "1 +", "input", "2.5", "relu", "0", "'null'")


class Author:
    """Writes one spec. mistakes: how likely each value is one that may not be."""

    def __init__(self, seed: object, mistakes: float = 0) -> None:
        self.random = Random(repr(seed))
        self.mistakes = mistakes
        self.names = 0

    def one_of(self, choices: Sequence[str]) -> str:
        return self.random.choice(choices)

    def chance(self, of: float) -> bool:
        return self.random.random() < of

    def filled(self, text: str, inside: bool, layers: Sequence[str]) -> str:
        """A text with a number for every NUMBER, and a layer for every LAYER."""
        while "NUMBER" in text:
            text = text.replace(
                "NUMBER", self.value([*NUMBERS, *(["b", "b + width", "b * len(e)"] if inside else [])]), 1
            )
        return text.replace("LAYER", self.value([*layers, "input", *(["d", "d"] if inside else [])]))

    def value(self, choices: Sequence[str]) -> str:
        return self.one_of(MISTAKES if self.chance(self.mistakes) else choices)

    def condition(self, inside: bool) -> str:
        own = ["b > 4", "a == relu", "a == leaky_relu"] if inside else ["width > 4"]
        return self.value(["true", "false", "training", "not training", "in_channels > 4", *own])

    def text(self) -> str:
        lines = ["cnnprof: 1", "name: net", "input: [4, 8, 8]", f"args: {{width: {self.one_of('48')}}}", "blocks:"]
        for number, name in enumerate(BLOCKS):
            step = self.filled(self.one_of(VALUES), False, [])
            default = f"{{a: {step}, c: leaky_relu, b: {self.filled('NUMBER', False, [])}, d: input, e: [1]}}"
            lines += [f"  {name}:", f"    args: {default}", "    layers:"]
            lines += self.steps(self.random.randint(1, 3), 6, True, BLOCKS[:number])
        steps = [*self.steps(self.random.randint(2, 5), 2, False, BLOCKS), *self.calls()]
        return "\n".join([*lines, "layers:", *steps]) + "\n"

    def calls(self) -> Iterator[str]:
        """Calls of which many differ in nothing or in one argument."""
        values = [self.filled(self.one_of(VALUES), False, []), *ALIKE]
        block = self.one_of(BLOCKS)
        for _ in range(self.random.randint(4, 8)):
            given = [f"a: {self.one_of(values)}", f"c: {self.one_of(values)}"]
            if self.chance(0.3):
                given.append(f"b: {self.one_of(['4', '4.0', 'in_channels'])}")
            if self.chance(0.3):
                given.append(f"e: {self.one_of(['[1]', '[true]', '[1.0]', '[1, 1]'])}")
            if side := self.chance(0.2):
                self.names += 1
                yield f"  - side:\n      p{self.names}:"
            yield f"  {' ' * 6 * side}- {block}: {{{', '.join(given)}}}"
            if side:
                yield f"    when: {self.condition(False)}"
            else:
                yield from self.modifiers(2, False, [], 0.1)

    def modifiers(self, indent: int, inside: bool, layers: Sequence[str], often: float) -> Iterator[str]:
        space = " " * (indent + 2)
        for word in ("frozen", "inplace", "when"):
            if self.chance(often if word != "when" else often / 2):
                yield f"{space}{word}: {self.condition(inside)}"
        if self.chance(often):
            yield f"{space}repeat: {self.value(['2', '3', '1 + in_channels // 8'])}"
        elif layers and self.chance(often):
            yield f"{space}from: {self.value([*layers, 'input', 'd' if inside else 'input'])}"
        if self.chance(often):
            yield f"{space}collect: seen"

    def steps(self, count: int, indent: int, inside: bool, blocks: Sequence[str], depth: int = 0) -> Iterator[str]:
        """The lines of a list of steps."""
        space = " " * indent
        layers: list[str] = []
        for _ in range(count):
            sort = self.random.random()
            if sort < 0.25 and blocks:
                yield f"{space}- {self.one_of(blocks)}: {{{', '.join(self.arguments(inside, layers))}}}"
            elif sort < 0.4 and depth < 2:
                yield f"{space}- {'side' if self.chance(0.1 if inside else 0.3) else 'concat'}:"
                for _ in range(2):
                    self.names += 1
                    if self.chance(0.3):
                        yield f"{space}    p{self.names}: {self.value([*layers, 'input', *(['d'] if inside else [])])}"
                        continue
                    yield f"{space}    p{self.names}:"
                    yield from self.steps(self.random.randint(1, 2), indent + 6, inside, blocks, depth + 1)
            elif sort < 0.55 and inside:
                yield f"{space}- {self.one_of('aac')}:"
            elif sort < 0.7:
                word = self.filled(self.one_of(WORDS), inside, layers)
                yield f"{space}- {word if ':' in word else f'{word}:'}"
            else:
                yield f"{space}- {self.filled(self.one_of(FIELDS), inside, layers)}"
            yield from self.modifiers(indent, inside, layers, 0.12)
            if self.chance(0.4):
                self.names += 1
                yield f"{space}  name: n{self.names}"
                layers.append(f"n{self.names}")
        if layers and self.chance(0.2):
            yield f"{space}- conv2d: {{out_channels: in_channels, kernel_size: 1}}"
            self.names += 1
            yield f"{space}  name: n{self.names}"
            yield f"{space}- conv2d: {{out_channels: in_channels, kernel_size: 1}}"
            yield f"{space}  share: n{self.names}"

    def arguments(self, inside: bool, layers: Sequence[str]) -> Iterator[str]:
        if self.chance(0.5):
            yield f"a: {self.filled(self.value([*VALUES, *(['a'] if inside else [])]), inside, layers)}"
        if self.chance(0.5):
            yield f"b: {self.filled('NUMBER', inside, layers)}"
        if layers and self.chance(0.2):
            yield f"d: {self.value(layers)}"
        if self.chance(0.2):
            yield f"e: {self.value(['[1, 2]', '[true]', '[1.0]'])}"
