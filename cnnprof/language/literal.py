"""Values and names as the text of a spec, which reads back as them."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any

from cnnprof.errors import UsageError
from cnnprof.model.kind import Kind

_PLAIN = re.compile(r"\.?[A-Za-z0-9_][A-Za-z0-9_.-]*")


def fields(kind: Kind) -> dict[str, Any]:
    """The fields that differ from their defaults, as `plain` values."""
    usual = kind.usual()
    values = {name: kind.plain(getattr(kind, name)) for name in kind.fields}
    return {name: value for name, value in values.items() if name not in usual or value != usual[name]}


def literal(value: Any) -> str:
    """A value as YAML inside `{…}`. Raises UsageError for a number that is not finite, which no expression gives."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    if isinstance(value, float) and not isfinite(value):
        raise UsageError(f"a spec cannot hold the number {value}: its expressions give finite ones")
    return scalar(value) if isinstance(value, str) else repr(value)


def scalar(text: str) -> str:
    """A word or name as it is, any other text in quotes."""
    return text if _PLAIN.fullmatch(text) and text != "null" else json.dumps(text, ensure_ascii=False)
