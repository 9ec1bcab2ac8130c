"""Hostile texts: small ones as files, large ones made here; and the reduced limits that they are held to."""

from pathlib import Path

from cnnprof.language import source
from cnnprof.language.problems import UnfoldLimits

HERE = Path(__file__).parent
FILES = sorted((HERE / "files").iterdir())
HEAD = "cnnprof: 1\ninput: [3, 8, 8]\n"
TEXTS = source.TextLimits(nodes=20_000)
NETWORKS = UnfoldLimits(layers=500, work=5_000)

GENERATED = {
    "400 kB of [": "[" * 400_000,
    "400 kB of {": "{" * 400_000,
    "400 kB of - ": "- " * 200_000,
    "400 kB of ? ": "? " * 200_000,
    "400 kB of open quotes": HEAD + 'name: "' * 60_000,
    "5,000 digits": HEAD + f"layers: [{{conv2d: {{out_channels: {'9' * 5_000}, kernel_size: 1}}}}]",
    "5,000 digits of an input": f"cnnprof: 1\ninput: [{'9' * 5_000}]\nlayers: [relu]",
    "5,000 digits of a limit": HEAD + f"budget: {{macs: {'9' * 5_000}}}\nlayers: [relu]",
    "450 digits in every argument": HEAD
    + f"args: {{a: {'9' * 450}, b: {'9.' + '9' * 450}}}\nlayers: [{{relu: , repeat: b}}]",
    "a key of a megabyte": HEAD + f"? {'k' * 1_000_000}\n: 1\nlayers: [relu]",
    "a word of a megabyte": HEAD + f"layers: [{'w' * 1_000_000}]",
    "a megabyte in a field": HEAD + f"layers: [{{conv2d: {{out_channels: {'x' * 1_000_000}, kernel_size: 1}}}}]",
    "a line of 5 MiB": "#" * (5 * 2**20),
    "more nodes than anyone writes": HEAD + f"layers: [{'relu, ' * 20_000}]",
    "10,000 misspelt words": HEAD + "layers:\n" + "".join(f"- relu{number}x\n" for number in range(10_000)),
    "10,000 arguments that fail": HEAD
    + f"args: {{{', '.join(f'a{number}: b{number}' for number in range(9_000))}}}\nlayers: [relu]",
    "arguments nested 1,000 deep": HEAD
    + f"args: {{a0: [1], {', '.join(f'a{number + 1}: [a{number}]' for number in range(1_000))}}}\nlayers: [relu]",
    "parentheses": HEAD + f"layers: [{{relu: , when: {'(' * 240}1{')' * 240}}}]",
    "signs": HEAD + f"layers: [{{relu: , when: {'-' * 400}1}}]",
    "an input of 10,000 dimensions": f"cnnprof: 1\ninput: [{'2147483647, ' * 10_000}]\nlayers: [relu]",
}


def _many(format: str, count: int) -> str:
    return ", ".join(format.format(number) for number in range(count))


# Small texts that ask for more than anyone waits for, each by a way of its own.
_TREE = _many("b{0}: {{layers: [{{n{0}: , repeat: 2}}]}}", 40).replace("n39", "leaf")
for _number in range(39):
    _TREE = _TREE.replace(f"{{n{_number}:", f"{{b{_number + 1}:")
_LONG = f"args: {{x: [{_many('1', 9_000)}]}}\n"
_NAMES = f"args: {{{_many('a{}: 1', 20_000)}}}\n"
_WIDE = f"blocks: {{b: {{args: {{{_many('a{}: 1', 20_000)}}}, layers: [{{relu: , when: false}}]}}}}\n"
_OFTEN = "layers: [{{{}, repeat: 400000}}]"
EXPLODING = {
    name: HEAD + text
    for name, text in {
        "a billion layers": "layers: [{relu: , repeat: 10 ** 9}]",
        "a binary tree of blocks": f"blocks: {{{_TREE}, leaf: {{layers: [relu]}}}}\nlayers: [b0]",
        "one of nothing": f"blocks: {{{_TREE}, leaf: {{layers: []}}}}\nlayers: [b0]",
        "a kind of its own for every layer": _OFTEN.format("linear: {out_features: 1 + index}"),
        "a long list handed on": f"{_LONG}blocks: {{b: {{args: {{y: 0}}, layers: []}}}}\n" + _OFTEN.format("b: [x]"),
        "many defaults": _WIDE + _OFTEN.format("b: "),
        "long lists looked through": f"args: {{x: [{_many('1', 64)}]}}\n"
        + _OFTEN.format(f"relu: , when: '{'+'.join(['min(x)'] * 39)} < 0'"),
        "long expressions": _OFTEN.format(f"relu: , when: '{'+'.join(['input[0]'] * 38)} < 0'"),
        "a word misspelt among 20,000 names": _NAMES + _OFTEN.format("side: {a: [{relu: , when: nothing}]}"),
        "an argument misspelt among 20,000": _WIDE + _OFTEN.format("side: {a: [{b: {nothing: 3}}]}"),
        "branches that cannot be read": _NAMES
        + "blocks: {b: {args: {m: add}, layers: [{m: {a: {x: y}, b: 3}}]}}\n"
        + _OFTEN.format("side: {a: [b]}"),
        "shares of 40,000 layers": "blocks: {w: {args: {l: 0}, layers: [{batch_norm: , share: l}]}}\n"
        "layers: [{batch_norm: , repeat: 40000, name: l}, {w: {l: l}, repeat: 1000}]",
        "wide merges": _OFTEN.format(f"add: {{{_many('a{}: []', 400)}}}"),
        "dense merges": _OFTEN.format("concat: {a: [{conv2d: {out_channels: 1, kernel_size: 1}}], b: []}"),
    }.items()
}
