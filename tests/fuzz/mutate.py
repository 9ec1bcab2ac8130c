"""Ways to change an input so that it stays nearly right, which random bytes do not: each takes and gives bytes.

What cannot be taken apart as the mutator would like is given back as None, for libFuzzer to change as it does.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import yaml

from tests.fuzz.strangers import SEPARATOR as BETWEEN
from tests.fuzz.targets import SEPARATOR
from tests.fuzz.words import OPTIONS, PROJECT, WORDS

Mutator = Callable[[bytes, Random], bytes | None]

NUMBERS = [0, 1, -1, 2, 3, 7, 64, 255, 10**4, 2**31 - 1, 2**31, 2**63, 10**30, 0.5, 1e300, float("inf"), float("nan")]
LITERALS = [
    *map(str, NUMBERS),
    "1e-5",
    "0x1F",
    "010",
    "1_000",
    "3:30",
    "9**9**9",
    "1e308*10",
    "''",
    "\x1b[31m",
    "\u202e",
    "é",
]
TOKEN = re.compile(r"[\w.]+|[^\w\s]")
STEPS = [
    "  - relu", "  - batch_norm", "  - flatten", "  - linear: {out_features: 3}", "  - dropout: {p: 0.5}", "  - side:",
    "  - conv2d: {out_channels: 4, kernel_size: 3, padding: 1, groups: 2}", "  - max_pool2d: {kernel_size: 2}",
    "  - add:", "  - concat:", "      a: []", "      b: [relu]", "    when: training", "    repeat: 2", "    name: a",
    "    from: a", "    share: a", "  - interpolate: {scale_factor: 2}", "  - slice: {dim: 1, start: 0, end: 2}",
    "  - permute: {dims: [0, 2, 3, 1]}", "  - pad: {pad: [1, 1, 1, 1]}", "  - adaptive_avg_pool2d: {output_size: 1}",
    "  - squeeze_excite", "  - parameter: {shape: [3, 1, 1]}", "inplace: false", "variants: {v: {a: 1}}",
    "budget: {params: 5M, at: {a: {macs: 1}}}", "args: {a: 1, b: a + 1, c: required}",
]  # fmt: skip
ARGUMENTS = [
    *OPTIONS, "net.yaml", "small.yaml", "-", "lenet5", "net.yaml@v", "net.yaml,a=1", "HEAD:net.yaml", "json", "csv",
    "markdown", "out", "float16", "3x8x8", "left=1x4x4", "a=2", "width=1:4:1", "width=0.5,1", "macs",
    "path,params,macs", "adam", "fvcore", "torch", "conv*", "**", "new.yaml", "params=1K", "macs<=5M", "text=-",
    "junit=j.xml", "sarif=-", "github=-", "gitlab=g.json", "cnnprof.yaml", "b.json", "best", "prune", "quantize",
    "*=0.5", "int8", "0", "1", "-1", "0.5", "9**9", "1e400", "", "\x1b[2J", "\udcff", "a" * 300,
]  # fmt: skip


def grammar(data: bytes, random: Random) -> bytes | None:
    """Lines deleted, doubled, swapped, moved to the side or put in; tokens replaced by others of the language."""
    return _tokens(data, random, WORDS)


def _tokens(data: bytes, random: Random, words: Sequence[str]) -> bytes | None:
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        return None
    for _ in range(random.randint(1, 3)):
        at, to = random.randrange(len(lines)), random.randrange(len(lines))
        match random.choice(["delete", "double", "swap", "indent", "step", "token", "token", "token", "token"]):
            case "delete" if len(lines) > 1:
                del lines[at]
            case "double":
                lines.insert(to, lines[at])
            case "swap":
                lines[at], lines[to] = lines[to], lines[at]
            case "indent":
                lines[at] = " " * random.choice([0, 2, 4, 6, 8]) + lines[at].lstrip()
            case "step":
                lines.insert(at, random.choice(STEPS))
            case "token" if tokens := list(TOKEN.finditer(lines[at])):
                token = random.choice(tokens)
                new = random.choice([*words, *LITERALS, *"{}[],:-#|>&*!'\"?"])
                lines[at] = lines[at][: token.start()] + new + lines[at][token.end() :]
        lines = "\n".join(lines).split("\n")
    return "\n".join(lines).encode("utf-8", "replace")


def structure(data: bytes, random: Random) -> bytes | None:
    """Values of the YAML tree replaced, deleted, renamed, copied elsewhere or nested, and written in any style."""
    return _tree(data, random, WORDS)


def _tree(data: bytes, random: Random, words: Sequence[str]) -> bytes | None:
    try:
        tree = changed(yaml.load(data, yaml.CSafeLoader), random, (*words, *LITERALS))
        style = random.choice([None, True, False])
        text = yaml.safe_dump(tree, allow_unicode=True, sort_keys=False, default_flow_style=style)
    except (yaml.YAMLError, ValueError, RecursionError):  # too deep for yaml's own functions
        return None
    return text.encode("utf-8", "replace")


def changed(tree: Any, random: Random, words: Sequence[str]) -> Any:
    """A tree of lists and mappings with one to three changes, made in place. words: what is put in."""
    for _ in range(random.randint(1, 3)):
        places = list(_places(tree))
        if not places:
            tree = {"cnnprof": 1, "input": [3, 8, 8], "layers": ["relu", tree]}
            continue
        inside, key = random.choice(places)
        match random.choice(["value", "value", "delete", "rename", "copy", "nest", "grow"]):
            case "value":
                inside[key] = random.choice([*words, *NUMBERS, None, True, [], {}])
            case "delete":
                del inside[key]
            case "rename" if isinstance(inside, dict):
                inside[random.choice([*words, 1, None])] = inside.pop(key)
            case "copy":
                other, place = random.choice(places)
                inside[key] = copy.deepcopy(other[place]) if _size(other[place]) < 200 else None
            case "nest":
                inside[key] = random.choice([[inside[key]], {random.choice(words): inside[key]}])
            case "grow" if isinstance(inside, list):
                inside.insert(random.randrange(len(inside) + 1), {random.choice(words): random.choice(words)})
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """(list or mapping, index or key) of every value in the tree."""
    for key in range(len(tree)) if isinstance(tree, list) else list(tree) if isinstance(tree, dict) else ():
        yield tree, key
        yield from _places(tree[key])


def _size(tree: Any) -> int:
    return 1 + sum(1 for _ in _places(tree))


def command(data: bytes, random: Random) -> bytes | None:
    """Words of the command line replaced, put in, left out and swapped; now and then net.yaml changed as a spec."""
    words, separator, text = data.partition(SEPARATOR)
    if random.random() < 0.3:
        return words + SEPARATOR + (random.choice([grammar, structure])(text, random) or text)
    line = words.decode("utf-8", "surrogateescape").split("\n")
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(line))
        match random.choice(["replace", "insert", "insert", "delete", "join", "swap"]):
            case "replace":
                line[at] = random.choice(ARGUMENTS)
            case "insert":
                line.insert(random.randrange(len(line) + 1), random.choice(ARGUMENTS))
            case "delete" if len(line) > 1:
                del line[at]
            case "join":
                line[at] += random.choice(["=", ",", ":", "@", ".", "..", "*"]) + random.choice(ARGUMENTS)
            case "swap":
                to = random.randrange(len(line))
                line[at], line[to] = line[to], line[at]
    return "\n".join(line).encode("utf-8", "surrogateescape") + separator + text


def project(data: bytes, random: Random) -> bytes | None:
    """A project file, or the file of targets behind it, changed as a text or as a tree."""
    parts = data.split(BETWEEN)
    at = random.randrange(len(parts))
    made = _tokens(parts[at], random, PROJECT) if random.random() < 0.5 else _tree(parts[at], random, PROJECT)
    if made is None:
        return None
    parts[at] = made
    return BETWEEN.join(parts)
