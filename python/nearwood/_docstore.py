"""A folder with an index and the documents of its rows, which are of one save or refused.

``documents.jsonl`` has a line that says what belongs together, then a line for each row. It names
the index's file, which is named after its content, and is replaced last: until then the folder is
the old store, from then on the new one. Both are plain data; nothing read from them is executed.

One process saves at a time: it holds a lock on the folder, so that what other savers left
unfinished can only be of processes that have ended, and is removed. A loader holds no lock: where a
save comes between its two files it begins again with the new ones.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import reprlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nearwood._core import Index
from nearwood._errors import FormatError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_DOCUMENTS = "documents.jsonl"
_FORMAT = "nearwood documents"
_VERSION = 1
_KEYS = {"metric", "count", "index", "documents_sha256"}
#: Header and table of an index, with a checksum for each section, lie within its first bytes.
_HEAD = 1 << 16
_SAVING = ".saving-"
#: How often a loader begins again: each time another process has finished a save meanwhile.
_ATTEMPTS = 1_000
#: What a file system answers that does not sync folders, or for a folder that may not be read.
_UNSUPPORTED = {
    getattr(errno, name)
    for name in ("EINVAL", "ENOTSUP", "ENOSYS", "EACCES", "EPERM", "EBADF", "EROFS", "EISDIR")
}


class StoreChangedError(RuntimeError):
    """The folder holds documents that this store has not seen: saving it would lose them."""


def save(
    folder: str | os.PathLike[str],
    metric: str,
    index: Index | None,
    records: Sequence[dict[str, Any]],
    known: str | None = None,
) -> str:
    """Writes the index and, for its row i, ``records[i]``; replaces what was saved there before.

    ``known`` is what :func:`load` or the last save gave for this folder: another save since then
    is not replaced. Returns what stands for this save.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Before anything is written, so that metadata that cannot be is found early.
    digest = hashlib.sha256()
    for line in _lines(records):
        digest.update(line)
    with _locked(folder) as (held, is_locked):
        _check_known(folder, known)
        if is_locked:
            _remove_unfinished(folder)
        name = None if index is None else _save_index(folder, index)
        _sync(held)
        head = _line(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "metric": metric,
                "count": len(records),
                "index": name,
                "documents_sha256": digest.hexdigest(),
            }
        )
        _replace(folder / _DOCUMENTS, [head], _lines(records))
        _sync_replaced(folder, held)
        for old in folder.glob("index-*.nw"):
            if old.name != name:
                # The next save removes what cannot be removed now.
                with suppress(OSError):
                    old.unlink()
    return _digest(head)


def load(
    folder: str | os.PathLike[str], *, verify: bool = False
) -> tuple[str, Index | None, list[dict[str, Any]], str]:
    """Metric, index and records, as they were given to :func:`save`, and what stands for it."""
    path = Path(folder) / _DOCUMENTS
    if not path.is_file():
        raise FileNotFoundError(f"no store in {folder}: there is no {_DOCUMENTS}")
    for attempt in range(_ATTEMPTS):
        with path.open("rb") as file:
            first = file.readline()
            head = _head(path, first)
            try:
                index = None if head["index"] is None else _load_index(path.parent, head, verify)
            except (FormatError, FileNotFoundError):
                # The file that is open is the old one once a save has replaced it, and its index
                # is gone.
                if attempt + 1 == _ATTEMPTS or _first_line(path) == first:
                    raise
                continue
            lines = file.readlines()
        break
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
    return head["metric"], index, [json.loads(line) for line in lines], _digest(first)


def _digest(head: bytes) -> str:
    """What stands for a save: its first line names the content of both files."""
    return hashlib.sha256(head).hexdigest()


def _first_line(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.readline()
    except FileNotFoundError:
        return None


def _check_known(folder: Path, known: str | None) -> None:
    current = _first_line(folder / _DOCUMENTS)
    if known is None or current is None or _digest(current) == known:
        return
    raise StoreChangedError(
        f"{folder} was saved by another process or store since this one was loaded from it or "
        "saved there, and would lose the documents of that save: load it again (load_local) and "
        "add to that, save to another folder, or pass overwrite=True to replace what is there"
    )


@contextmanager
def _locked(folder: Path) -> Iterator[tuple[int | None, bool]]:
    """Holds the lock on a folder, and waits for it. Yields the folder, open (None where folders
    cannot be opened), and whether it is locked: where it cannot be, savers must take turns by
    themselves."""
    try:
        held = os.open(folder, os.O_RDONLY)
    except OSError:
        # Windows opens no folders.
        yield None, False
        return
    is_locked = _lock(held)
    try:
        yield held, is_locked
    finally:
        if is_locked:
            # A process forked meanwhile has the folder open, too, and would keep the lock.
            fcntl.flock(held, fcntl.LOCK_UN)
        os.close(held)


def _lock(held: int) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
    except OSError:
        # Some network file systems lock no folders.
        return False
    return True


def _remove_unfinished(folder: Path) -> None:
    for left in folder.glob(f"{_SAVING}*"):
        shutil.rmtree(left, ignore_errors=True)


def _sync(descriptor: int | None) -> None:
    """Has a file or folder on the disk, where its file system does that."""
    if descriptor is None:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def _sync_replaced(folder: Path, held: int | None) -> None:
    try:
        _sync(held)
    except OSError as error:
        raise OSError(
            error.errno,
            f"the store in {folder} is saved, but syncing the folder failed ({error.strerror}): a "
            "loss of power may still undo it; check the disk and save again",
        ) from error


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _lines(records: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for record in records:
        try:
            yield _line(record)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"document {_shown(record['id'])} cannot be written as JSON ({error}): "
                "keep metadata to strings, numbers, booleans, None, lists and dicts"
            ) from error


def _shown(name: object) -> str:
    """An id in a message: on one line, and cut where it is long."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 120
    return short.repr(name)


def _head(path: Path, line: bytes) -> dict[str, Any]:
    try:
        head: dict[str, Any] = json.loads(line)
        version = head["version"] if head["format"] == _FORMAT else None
        if version == _VERSION and not (head.keys() >= _KEYS and _is_name(head["index"])):
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


def _is_name(index: object) -> bool:
    """Whether it is the name of a file in the folder, and leads nowhere else."""
    return index is None or (isinstance(index, str) and not {"/", "\\", "\0"} & set(index))


def _fingerprint(path: Path) -> str:
    """Of what the head of an index says of all of it, so that opening stays quick."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return hashlib.sha256(head + str(path.stat().st_size).encode()).hexdigest()[:32]


def _save_index(folder: Path, index: Index) -> str:
    with tempfile.TemporaryDirectory(dir=folder, prefix=_SAVING) as room:
        path = Path(room) / "index.nw"
        index.save(path)
        name = f"index-{_fingerprint(path)}.nw"
        _keep(folder / _DOCUMENTS, path)
        os.replace(path, folder / name)
    return name


def _keep(old: Path, new: Path) -> None:
    """Gives a file the owner, group and mode of the one before it, as far as the system lets it."""
    try:
        was = old.stat()
    except FileNotFoundError:
        return
    mode = was.st_mode & 0o777
    if hasattr(os, "chown") and (new.stat().st_uid, new.stat().st_gid) != (was.st_uid, was.st_gid):
        try:
            os.chown(new, -1, was.st_gid)
        except OSError:
            # What was for one group is not for the other.
            mode &= 0o707 | (mode & 0o007) << 3
        with suppress(OSError):
            os.chown(new, was.st_uid, -1)
    with suppress(OSError):
        new.chmod(mode)


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
    index = _open(path, verify)
    if len(index) != head["count"] or index.metric != head["metric"]:
        raise FormatError(
            f"{path} has {len(index)} rows by {index.metric}, its documents are {head['count']} "
            f"by {head['metric']}: save the store again"
        )
    return index


def _open(path: Path, verify: bool) -> Index:
    try:
        return Index.open(path, verify=verify)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        # The file system does not map files.
        return Index.open(path, verify=verify, in_memory=True)


def _replace(path: Path, *parts: Iterable[bytes]) -> None:
    """Writes beside the target, syncs, and renames."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=_SAVING) as room:
        beside = Path(room) / path.name
        with beside.open("wb") as file:
            for part in parts:
                file.writelines(part)
            file.flush()
            _sync(file.fileno())
        _keep(path, beside)
        os.replace(beside, path)
