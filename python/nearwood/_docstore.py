"""A folder with an index and the documents of its rows, which are of one save or refused.

``documents.jsonl`` has a line that says what belongs together, then a line for each row. It names
the index's file, which is named after its content, and is replaced last: until then the folder is
the old store, from then on the new one. Both are plain data; nothing read from them is executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nearwood._core import Index
from nearwood._errors import FormatError

_DOCUMENTS = "documents.jsonl"
_FORMAT = "nearwood documents"
_VERSION = 1
_KEYS = {"metric", "count", "index", "documents_sha256"}
#: Header and table of an index, with a checksum for each section, lie within its first bytes.
_HEAD = 1 << 16


def save(
    folder: str | os.PathLike[str],
    metric: str,
    index: Index | None,
    records: Sequence[dict[str, Any]],
) -> None:
    """Writes the index and, for its row i, ``records[i]``; replaces what was saved there before."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Before anything is written, so that metadata that cannot be is found early.
    digest = hashlib.sha256()
    for line in _lines(records):
        digest.update(line)
    head = {
        "format": _FORMAT,
        "version": _VERSION,
        "metric": metric,
        "count": len(records),
        "index": None if index is None else _save_index(folder, index),
        "documents_sha256": digest.hexdigest(),
    }
    _replace(folder / _DOCUMENTS, [_line(head)], _lines(records))
    for old in folder.glob("index-*.nw"):
        if old.name != head["index"]:
            old.unlink(missing_ok=True)


def load(
    folder: str | os.PathLike[str], *, verify: bool = False
) -> tuple[str, Index | None, list[dict[str, Any]]]:
    """Metric, index and records, as they were given to :func:`save`."""
    path = Path(folder) / _DOCUMENTS
    if not path.is_file():
        raise FileNotFoundError(f"no store in {folder}: there is no {_DOCUMENTS}")
    first, *lines = path.read_bytes().splitlines(keepends=True) or [b""]
    head = _head(path, first)
    if len(lines) != head["count"]:
        raise FormatError(
            f"{path} has {len(lines)} documents, expected {head['count']}: it was cut short or "
            "added to; save the store again"
        )
    if hashlib.sha256(b"".join(lines)).hexdigest() != head["documents_sha256"]:
        raise FormatError(
            f"{path} was changed after it was saved, so that texts may differ from their vectors: "
            "change documents in a store that is loaded, and save it"
        )
    index = None if head["index"] is None else _load_index(path.parent, head, verify)
    return head["metric"], index, [json.loads(line) for line in lines]


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _lines(records: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for record in records:
        try:
            yield _line(record)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"document {record['id']!r} cannot be written as JSON ({error}): "
                "keep metadata to strings, numbers, booleans, None, lists and dicts"
            ) from error


def _head(path: Path, line: bytes) -> dict[str, Any]:
    try:
        head: dict[str, Any] = json.loads(line)
        version = head["version"] if head["format"] == _FORMAT else None
        if version == _VERSION and (not head.keys() >= _KEYS or "/" in (head["index"] or "")):
            version = None
    except (ValueError, KeyError, TypeError):
        version = None
    if version is None:
        raise FormatError(f"{path} does not begin as a store of nearwood does")
    if version != _VERSION:
        raise FormatError(
            f"{path} is of version {version}, this is nearwood's {_VERSION}: upgrade nearwood"
        )
    return head


def _fingerprint(path: Path) -> str:
    """Of what the head of an index says of all of it, so that opening stays quick."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return hashlib.sha256(head + str(path.stat().st_size).encode()).hexdigest()[:32]


def _save_index(folder: Path, index: Index) -> str:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as room:
        path = Path(room) / "index.nw"
        index.save(path)
        name = f"index-{_fingerprint(path)}.nw"
        os.replace(path, folder / name)
    return name


def _load_index(folder: Path, head: dict[str, Any], verify: bool) -> Index:
    path = folder / head["index"]
    if not path.is_file():
        raise FormatError(
            f"{folder / _DOCUMENTS} belongs to {path.name}, which is not there: "
            "copy the folder as a whole, or save the store again"
        )
    if path.name != f"index-{_fingerprint(path)}.nw":
        raise FormatError(
            f"{path} is not the index that was saved under this name: "
            "copy the folder as a whole, or save the store again"
        )
    index = Index.open(path, verify=verify)
    if len(index) != head["count"] or index.metric != head["metric"]:
        raise FormatError(
            f"{path} has {len(index)} rows by {index.metric}, its documents are {head['count']} "
            f"by {head['metric']}: save the store again"
        )
    return index


def _replace(path: Path, *parts: Iterable[bytes]) -> None:
    """Writes beside the target, syncs, and renames."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving-") as room:
        beside = Path(room) / path.name
        with beside.open("wb") as file:
            for part in parts:
                file.writelines(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
