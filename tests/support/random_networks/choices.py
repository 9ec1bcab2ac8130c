"""Where the decisions of a network come from."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st


class Choice:
    """Where decisions come from: Hypothesis, which can shrink them, or a seeded generator, which is fast."""

    def integer(self, least: int, most: int) -> int:
        raise NotImplementedError

    def pick(self, options: Sequence[Any]) -> Any:
        return options[self.integer(0, len(options) - 1)]

    def chance(self, percent: int) -> bool:
        return self.integer(0, 99) >= 100 - percent

    def axes(self, axes: int, options: Sequence[Any]) -> Any:
        """One value for all axes, or one for each."""
        return self.pick(options) if self.chance(70) else [self.pick(options) for _ in range(axes)]

    def some(self, fields: dict[str, Callable[[], Any]], percent: int = 35) -> dict[str, Any]:
        """Some of the fields, the others being left at their defaults."""
        return {name: value() for name, value in fields.items() if self.chance(percent)}


class Drawn(Choice):
    """Decisions by Hypothesis."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw

    def integer(self, least: int, most: int) -> int:
        return self.draw(st.integers(least, most))


class Seeded(Choice):
    """Decisions by a seeded generator."""

    def __init__(self, seed: object) -> None:
        self.integer = random.Random(str(seed)).randint  # type: ignore[method-assign]
