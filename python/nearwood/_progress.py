"""The bar that ``progress=True`` shows: on standard error, and only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

WIDTH = 30


def bar(label: str) -> Callable[[int, int], None] | None:
    """A ``callable(done, total)`` that draws a bar, or None where nobody would see it."""
    stream = sys.stderr
    if stream is None or not stream.isatty():
        return None

    def draw(done: int, total: int) -> None:
        filled = WIDTH * done // max(total, 1)
        end = "\n" if done >= total else ""
        stream.write(f"\r{label} [{'#' * filled:<{WIDTH}}] {done}/{total}{end}")
        stream.flush()

    return draw
