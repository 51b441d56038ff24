"""The bar that ``progress=True`` shows: on standard error, on a terminal and in notebooks.

It is tqdm's where tqdm is installed (``pip install 'nearwood[progress]'``), which draws a widget in
notebooks; elsewhere one line of text that is drawn over and over.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, TextIO

WIDTH = 30
# Seconds between two drawings.
EVERY = 0.1


def bar(label: str) -> Callable[[int, int], None] | None:
    """A ``callable(done, total)`` that draws a bar; None where nobody would see it."""
    stream = sys.stderr
    if not (is_notebook() or is_terminal(stream)):
        return None
    tqdm = _tqdm()
    return TextBar(stream, label) if tqdm is None else TqdmBar(tqdm, label)


def is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it is closed
        return False


def is_notebook() -> bool:
    """Whether a Jupyter kernel runs this, whose standard error is no terminal and is shown."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def _tqdm() -> Callable[..., Any] | None:
    try:
        with warnings.catch_warnings():
            # In a notebook without ipywidgets tqdm warns, and draws text.
            warnings.simplefilter("ignore")
            found: Callable[..., Any] = importlib.import_module("tqdm.auto").tqdm
            return found
    except ImportError:
        return None


class TqdmBar:
    """A tqdm bar that takes ``(done, total)`` and ends when it is full or dropped."""

    def __init__(self, tqdm: Callable[..., Any], label: str) -> None:
        self._tqdm, self._label, self._bar = tqdm, label, None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = self._tqdm(total=total, desc=self._label, leave=True)
        bar: Any = self._bar
        bar.total = total
        bar.update(done - bar.n)
        if done >= total:
            bar.close()
            self._bar = None

    def __del__(self) -> None:
        if self._bar is not None:
            self._bar.close()


class TextBar:
    """One line of text with the time taken and the time left."""

    def __init__(self, stream: TextIO, label: str) -> None:
        self._stream, self._label = stream, label
        self._begun = time.monotonic()
        self._drawn: float | None = None
        self._open = False

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        is_full = done >= total
        if not is_full and self._drawn is not None and now - self._drawn < EVERY:
            return
        self._drawn, self._open = now, not is_full
        filled = WIDTH * done // max(total, 1)
        taken = now - self._begun
        left = f" < {_clock(taken * (total - done) / done)}" if 0 < done < total else ""
        text = f"{self._label} [{'#' * filled:<{WIDTH}}] {done}/{total} [{_clock(taken)}{left}]"
        # What a longer line left is drawn over.
        self._stream.write(f"\r{text:<{WIDTH + 50}}" + ("\n" if is_full else ""))
        self._stream.flush()

    def __del__(self) -> None:
        if self._open:
            with contextlib.suppress(ValueError):  # it is closed
                self._stream.write("\n")


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute:02}:{second:02}"
