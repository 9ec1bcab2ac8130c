"""What specs and command lines are made of, for every generator of hostile input."""

from __future__ import annotations

import shlex
from typing import Any

import typer.main

from cnnprof.cli import app
from cnnprof.language import registry
from cnnprof.language.spec import HEADER, MODIFIERS, SPECIAL_NAMES

WORDS = [
    *HEADER, *MODIFIERS, *SPECIAL_NAMES, *registry.kinds(), "side", "required", "budget", "at", "macs", "5M", "10 MiB",
    "1", "0", "-1", "2", "3", "1.5", "1e6", "10 ** 9", "true", "false", "null", "~", "on", "a", "b", "c", "x",
    "in_channels // 2", "in_shape[0]", "input[0]", "index == 0", "a[0]", "len(a)", "a * 2", "1 / 0", "max(1, a)",
    "same",
    "[3, 8, 8]", "out_channels", "kernel_size", "padding", "stride", "p", "dim", "size", "out_features", "output_size",
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
