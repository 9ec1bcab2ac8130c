"""What specs and command lines are made of, for every generator of hostile input."""

from __future__ import annotations

import shlex
from typing import Any

import typer.main

from cnnprof.cli import app
from cnnprof.gate.project import BUDGET_KEYS, KEYS
from cnnprof.language import registry
from cnnprof.language.spec import HEADER, MODIFIERS, SPECIAL_NAMES
from cnnprof.model.metrics import METRICS

WORDS = [
    *HEADER, *MODIFIERS, *SPECIAL_NAMES, *registry.kinds(), "side", "required", "budget", "at", "macs", "5M", "10 MiB",
    "1", "0", "-1", "2", "3", "1.5", "1e6", "10 ** 9", "true", "false", "null", "~", "on", "a", "b", "c", "x",
    "in_channels // 2", "in_shape[0]", "input[0]", "index == 0", "a[0]", "len(a)", "a * 2", "1 / 0", "max(1, a)",
    "same",
    "[3, 8, 8]", "out_channels", "kernel_size", "padding", "stride", "p", "dim", "size", "out_features", "output_size",
]  # fmt: skip


# What a stranger may write where a name, a path or a text stands.
HOSTILE = [
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", '" onload="alert(1)', "a'b&amp;<!--",
    "\x1b[2J\x1b]0;x\x07", "\x9b31m", "\u202eabc\u2066", "a\u2028b\u0085c", "a\r\nb", "\ufeffa", "\U000e0041", "\0",
    "\n::error::x", "##[error]x", "%0A::set-output", "=1+1", "@everyone", "a|b|c", "[x](javascript:alert(1))",
    "`x` $(x)", "${{ x }}", "../../../etc/passwd", "/dev/zero", "../secret/net.yaml", "../../secret", ".git/config",
    "-o", "--output=x", "a..b", "a.*.**", "C:\\a", "con", "a" * 300, "0", " ", "",
]  # fmt: skip

# What project files and files of targets are made of.
PROJECT = [
    *KEYS, *BUDGET_KEYS, *METRICS, *HOSTILE, "**", "*.yaml", "!*", "models/**", "models/out/net.yaml", "[a-z]*",
    "conv", "conv2d", "5%", "10 MiB", "1K", "int8", "float16", "3x8x8", "net=3x8x8", "fuse_bn", "prune=0.5", "wide",
    "width", "main", "targets.yaml:chip", "stm32f746", "lenet5", "torch:os:getcwd", "timm:resnet18", "chip", "ram",
    "flash", "is", "source", "sort", "title", "operations", "bandwidth", "measured", "microcontroller",
]  # fmt: skip


_group: Any = typer.main.get_command(app.app)
COMMANDS = [_group, *map(app.build, app.COMMANDS)]
# Every command, option and word that an option takes.
OPTIONS = [
    *app.COMMANDS,
    *(option for command in COMMANDS for parameter in command.params for option in parameter.opts if option[0] == "-"),
    *(
        str(choice)
        for command in COMMANDS
        for parameter in command.params
        for choice in getattr(parameter.type, "choices", ())
    ),
]
# The examples at the end of every command's help.
EXAMPLES = [
    shlex.split(line)[1:]
    for command in COMMANDS
    for line in (command.epilog or "").splitlines()
    if line.strip().startswith("cnnprof ")
]
