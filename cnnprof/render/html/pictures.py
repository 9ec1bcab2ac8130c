"""The pictures of a document, by their class."""

from __future__ import annotations

from collections.abc import Iterator

from cnnprof.render.document import Picture
from cnnprof.render.html import memory, network, shares
from cnnprof.render.pictured import MemoryPicture, NetworkPicture, SharesPicture


def draw(picture: Picture, level: int) -> Iterator[str]:
    """A picture as a figure with what it is in words. level: of a heading in it."""
    match picture:
        case NetworkPicture():
            yield from network.draw(picture)
        case SharesPicture():
            yield from shares.draw(picture)
        case MemoryPicture():
            yield from memory.draw(picture)
