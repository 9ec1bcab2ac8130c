"""Hostile texts: small ones as files, large ones made here; and the reduced limits that they are held to."""

from pathlib import Path

from cnnprof import expand, source

HERE = Path(__file__).parent
FILES = sorted((HERE / "files").iterdir())
HEAD = "cnnprof: 1\ninput: [3, 8, 8]\n"
TEXTS = source.Limits(nodes=20_000)
NETWORKS = expand.Limits(layers=2_000, steps=20_000, evaluations=50_000)

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
