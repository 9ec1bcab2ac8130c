"""What cog writes into cnnprof/kinds/__init__.py: where every kind is.

From the repository root, `cog -r -I . cnnprof/kinds/__init__.py` writes it, `cog --check` compares.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from cnnprof import kinds as folder
from cnnprof.model.kind import Kind


def classes() -> dict[str, tuple[str, str]]:
    """Module and class by word, file by file in the order of their classes. Raises TypeError for a word used twice."""
    found: dict[str, tuple[str, str]] = {}
    for info in pkgutil.iter_modules(folder.__path__):
        module = import_module(f"{folder.__name__}.{info.name}")
        for value in vars(module).values():
            is_kind = isinstance(value, type) and issubclass(value, Kind) and value.word
            if is_kind and value.__module__ == module.__name__:
                if value.word in found:
                    raise TypeError(f"two kinds are called {value.word}: {found[value.word]} and {value}")
                found[value.word] = info.name, value.__name__
    return found


def table() -> str:
    """The lines of the table."""
    return "\n".join(f'"{word}": ("{module}", "{name}"),' for word, (module, name) in classes().items())
