"""Tables as markdown has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def head(names: Iterable[str]) -> Iterator[str]:
    """The headings, and the line under them."""
    names = list(names)
    yield row(names)
    yield "|---" * len(names) + "|"
