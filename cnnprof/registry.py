"""Finds the layer kinds: every class in the folder `kinds` that has a word."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from cnnprof import kinds as folder
from cnnprof.kind import Kind


@cache
def kinds() -> dict[str, type[Kind]]:
    """All kinds by the word that specs write, file by file in the order of their classes."""
    found: dict[str, type[Kind]] = {}
    for module_info in pkgutil.iter_modules(folder.__path__):
        module = importlib.import_module(f"{folder.__name__}.{module_info.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Kind) and value.word and value.__module__ == module.__name__:
                if value.word in found:
                    raise TypeError(f"two kinds are called {value.word}: {found[value.word]} and {value}")
                found[value.word] = value
    return found


def find(word: str) -> type[Kind] | None:
    """The kind of that word, or None."""
    return kinds().get(word)
