"""The pictures of a document, by their class."""

from __future__ import annotations

from collections.abc import Iterator

from cnnprof.render.document import Picture
from cnnprof.render.html import arena, memory, network, shares, uses
from cnnprof.render.pictured import (
    ArenaPicture,
    MemoryPicture,
    NetworkPicture,
    PairPicture,
    SharesPicture,
    UsesPicture,
)


def draw(picture: Picture, level: int) -> Iterator[str]:
    """A picture as a figure with what it is in words. level: of the heading above it."""
    match picture:
        case NetworkPicture():
            yield from network.draw(picture, level)
        case PairPicture():
            yield '<div class="pair">'
            yield from network.draw(picture.first, level)
            yield from network.draw(picture.second, level)
            yield "</div>"
        case UsesPicture():
            yield from uses.draw(picture)
        case SharesPicture():
            yield from shares.draw(picture)
        case MemoryPicture():
            yield from memory.draw(picture)
        case ArenaPicture():
            yield from arena.draw(picture)
