"""The exceptions that Python does not have already."""

from __future__ import annotations

import warnings
from collections.abc import Sequence


class FormatError(ValueError):
    """A file is damaged, cut short, or was not written by nearwood."""


class UnknownIdError(KeyError):
    """An id or a name that is not there. A ``KeyError`` whose text is meant for people."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class UnknownIdWarning(UserWarning):
    """Ids of a request were not there and were skipped, as ``unknown="skip"`` asks: their rows are
    empty. ``unknown`` lists them."""

    def __init__(self, text: str, unknown: Sequence[int | str] = ()) -> None:
        super().__init__(text)
        self.unknown = list(unknown)


def warn_unknown(what: str, ids: Sequence[int | str], asked: int) -> None:
    """Warns of ids that were skipped, at the line that asked for them."""
    first = ", ".join(repr(one) for one in ids[:5]) + (", ..." if len(ids) > 5 else "")
    text = f"{len(ids)} of {asked} {what}s are unknown and were skipped: {first}"
    warnings.warn(UnknownIdWarning(text, ids), stacklevel=2)


FormatError.__module__ = UnknownIdError.__module__ = UnknownIdWarning.__module__ = "nearwood"
