"""Saving and opening where the file system or another process does not play along.

Conditions are real where this machine can make them: another user, a mount, a library that stands
before the system's calls. A condition that cannot be made is skipped, and says so.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import stat
import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import numpy as np
import pytest

import nearwood as nw
from nearwood.annoy import AnnoyIndex

VECTORS = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)

#: Stands before the calls of the C library: what NEARWOOD_TEST_FAILS names is refused.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>

static int refused(const char *what) {
    const char *list = getenv("NEARWOOD_TEST_FAILS");
    const char *at = list ? strstr(list, what) : 0;
    return at ? atoi(at + strlen(what) + 1) : 0;
}

int fsync(int fd) {
    struct stat found;
    int number = fstat(fd, &found) == 0 && S_ISDIR(found.st_mode) ? refused("syncfolder") : 0;
    if (number) { errno = number; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

void *mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset) {
    int number = fd >= 0 && !(prot & PROT_EXEC) ? refused("mapfile") : 0;
    struct stat found;
    if (number && fstat(fd, &found) == 0 && found.st_size > 4000 && getenv("NEARWOOD_TEST_ON")) {
        errno = number;
        return MAP_FAILED;
    }
    return ((void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap"))(
        at, length, prot, flags, fd, offset);
}

void *mmap64(void *at, size_t length, int prot, int flags, int fd, off_t offset) {
    return mmap(at, length, prot, flags, fd, offset);
}
"""


def run(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python over `script` in a folder, with an index ``index`` of VECTORS."""
    begin = """
        import ctypes, os, sys
        import numpy as np
        import nearwood as nw
        VECTORS = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
        index = nw.Index.build(VECTORS)
        rec = lambda: nw.Recommender.fit(nw.Interactions.from_columns(
            [u % 40 for u in range(400)], [(7 * u) % 30 for u in range(400)]),
            factors=4, iterations=2, progress=False)
        # The C library's, which the shim reads.
        ctypes.CDLL(None).setenv(b"NEARWOOD_TEST_ON", b"1", 1)
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(begin) + textwrap.dedent(script)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


def passes(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip(
            "NOT RUN: calls of the system are refused by a library, which needs cc on Linux"
        )
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    library = folder / "shim.so"
    build = [compiler, "-shared", "-fPIC", "-o", library, folder / "shim.c", "-ldl"]
    subprocess.run(build, check=True)
    return str(library)


@pytest.fixture
def index() -> nw.Index:
    return nw.Index.build(VECTORS)


@pytest.fixture(scope="session")
def recommender() -> nw.Recommender:
    users = [f"u{row % 40}" for row in range(400)]
    items = [f"i{(7 * row) % 30}" for row in range(400)]
    data = nw.Interactions.from_columns(users, items)
    return nw.Recommender.fit(data, factors=4, iterations=2, progress=False)


@pytest.mark.parametrize("number", [22, 95, 13, 1, 38])
def test_a_folder_that_cannot_be_synced_is_no_error(number: int, shim: str, tmp_path: Path) -> None:
    script = """
        for path in ("new.nw", "old.nw"):
            if path == "old.nw":
                open(path, "w").write("old")
            index.save(path)
            assert len(nw.Index.open(path, verify=True)) == 300
            assert len(nw.Index.build(VECTORS, path=path)) == 300
        rec().recommend_all(k=3, out="all.csv")
        print(sorted(os.listdir(".")))
    """
    done = run(script, tmp_path, LD_PRELOAD=shim, NEARWOOD_TEST_FAILS=f"syncfolder={number}")
    assert passes(done) == "['all.csv', 'new.nw', 'old.nw']\n"


def test_an_error_after_the_replacement_says_so(shim: str, tmp_path: Path) -> None:
    script = """
        for save in (index.save, lambda path: nw.Index.build(VECTORS, path=path)):
            open("i.nw", "w").write("old")
            try:
                save("i.nw")
                raise SystemExit("no error")
            except OSError as error:
                assert error.errno == 5, error
                assert "is in its place" in str(error) and "untouched" not in str(error), error
            assert len(nw.Index.open("i.nw", verify=True)) == 300
            assert os.listdir(".") == ["i.nw"]
    """
    passes(run(script, tmp_path, LD_PRELOAD=shim, NEARWOOD_TEST_FAILS="syncfolder=5"))


def test_a_file_system_without_maps(shim: str, tmp_path: Path) -> None:
    script = """
        index.save("i.nw"), rec().save("r.nw")
        for kind, path in ((nw.Index, "i.nw"), (nw.Recommender, "r.nw")):
            try:
                kind.open(path)
                raise SystemExit("no error")
            except OSError as error:
                assert error.errno == 19 and "in_memory=True" in str(error), error
            opened = kind.open(path, in_memory=True, verify=True)
            assert opened.info()["mapped"] is False
        nw.Index.verify("i.nw")
        assert len(nw.Index.build(VECTORS, path="b.nw")) == 300
        assert open("b.nw", "rb").read() == open("i.nw", "rb").read()
        assert len(nw.Index.build(VECTORS, path="b.nw").append_trees(1, path="c.nw").trees) == 2
        model = nw.AlternatingLeastSquares(factors=4, iterations=1)
        model.fit(nw.Interactions.from_columns([u % 99 for u in range(999)], list(range(999))))
        model.save("m.nw"), nw.AlternatingLeastSquares.load("m.nw")
        try:
            nw.Index.build(VECTORS.repeat(100, 0), path="d.nw", memory_limit=20_000_000)
            raise SystemExit("no error")
        except OSError as error:
            assert "does not map files" in str(error), error
        from nearwood.annoy import AnnoyIndex
        a = AnnoyIndex(8, "euclidean")
        [a.add_item(row, vector) for row, vector in enumerate(VECTORS.tolist())]
        a.build(2), a.save("a.nw")
        assert AnnoyIndex(8, "euclidean").load("a.nw")
    """
    environment = {"LD_PRELOAD": shim, "NEARWOOD_TEST_FAILS": "mapfile=19"}
    passes(run(script, tmp_path, **environment))
    command = [sys.executable, "-m", "nearwood", "similar", "i.nw", "3"]
    environment["NEARWOOD_TEST_ON"] = "1"
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.startswith("similar to 3"), done.stderr
    assert "does not map files" in done.stderr


def test_in_memory_is_the_same_index(
    index: nw.Index, recommender: nw.Recommender, tmp_path: Path
) -> None:
    index.save(tmp_path / "i.nw")
    opened = nw.Index.open(tmp_path / "i.nw", in_memory=True)
    assert not opened.info()["mapped"] and opened.to_bytes() == index.to_bytes()
    (tmp_path / "i.nw").write_bytes(b"")
    assert opened.to_bytes() == index.to_bytes()
    with pytest.raises(ValueError, match="lock and in_memory"):
        nw.Index.open(tmp_path / "i.nw", lock=True, in_memory=True)
    with pytest.raises(FileNotFoundError):
        nw.Index.open(tmp_path / "no.nw", in_memory=True)
    with pytest.raises(nw.FormatError):
        nw.Index.open(tmp_path / "i.nw", in_memory=True)
    recommender.save(tmp_path / "r.nw")
    opened_rec = nw.Recommender.open(tmp_path / "r.nw", in_memory=True)
    assert (
        opened_rec.recommend("u1", k=3)[0].tolist() == recommender.recommend("u1", k=3)[0].tolist()
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT RUN: other users need root")
def test_a_folder_that_may_be_written_and_not_read(tmp_path: Path) -> None:
    for folder in [tmp_path, *tmp_path.parents[:-1]]:
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o711)
    drop = tmp_path / "drop"
    drop.mkdir()
    os.chown(drop, 65534, 65534)
    drop.chmod(0o300)
    script = f"""
        os.setgroups([]), os.setgid(65534), os.setuid(65534)
        try:
            os.listdir({str(drop)!r})
            raise SystemExit("can be read")
        except PermissionError:
            pass
        for _ in range(2):
            index.save({str(drop / "i.nw")!r})
            assert len(nw.Index.build(VECTORS, path={str(drop / "b.nw")!r})) == 300
    """
    passes(run(script, tmp_path))
    assert sorted(os.listdir(drop)) == ["b.nw", "i.nw"]


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT RUN: other users need root")
def test_a_replaced_file_keeps_owner_group_and_mode(
    index: nw.Index, recommender: nw.Recommender, tmp_path: Path
) -> None:
    path = tmp_path / "kept"
    saves = [
        index.save,
        recommender.save,
        lambda path: nw.Index.build(VECTORS, path=path),
        lambda path: nw.report(index, path, speed=False),
    ]
    for save in saves:
        path.write_bytes(b"old")
        os.chown(path, 1234, 5678)
        path.chmod(0o4640)
        has_attributes = True
        try:
            os.setxattr(path, "user.origin", b"here")
        except OSError:
            has_attributes = False
        save(path)
        now = path.stat()
        assert (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (1234, 5678, 0o640)
        assert now.st_size > 3
        if has_attributes:
            assert os.getxattr(path, "user.origin") == b"here"


def test_a_mounted_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("NOT RUN: a mount needs root and unshare")
    (tmp_path / "source").write_text("old")
    (tmp_path / "i.nw").write_text("")
    mount = ["mount", "--bind", tmp_path / "source", tmp_path / "i.nw"]
    tried = subprocess.run(["unshare", "-m", *mount], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"NOT RUN: no mount can be made here: {tried.stderr.strip()}")
    script = """
        import os
        import numpy as np, nearwood as nw
        vectors = np.random.default_rng(0).normal(size=(300, 8))
        index = nw.Index.build(vectors)
        for save in (index.save, lambda path: nw.Index.build(vectors, path=path)):
            try:
                save("i.nw")
                raise SystemExit("no error")
            except OSError as error:
                assert error.errno == 16 and "mount its folder" in str(error), error
        assert open("i.nw").read() == "old"
        assert sorted(os.listdir(".")) == ["i.nw", "source"]
    """
    code = textwrap.dedent(script)
    words = f'mount --bind source i.nw && exec "{sys.executable}" -c "$SCRIPT"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", words],
        cwd=tmp_path,
        env={**os.environ, "SCRIPT": code},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_links_are_followed(index: nw.Index, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link, loop = tmp_path / "link", tmp_path / "loop"
    link.symlink_to("there/i.nw")
    loop.symlink_to("loop")
    index.save(link)
    assert link.is_symlink() and len(nw.Index.open(tmp_path / "there" / "i.nw")) == 300
    (tmp_path / "there" / "i.nw").unlink()
    nw.Index.build(VECTORS, path=link)
    assert link.is_symlink() and len(nw.Index.open(link)) == 300
    for save in (index.save, lambda path: nw.Index.build(VECTORS, path=path)):
        with pytest.raises((OSError, ValueError)):
            save(loop)
    assert loop.is_symlink() and sorted(os.listdir(tmp_path)) == ["link", "loop", "there"]


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    pipe, listening = tmp_path / "pipe", tmp_path / "socket"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(listening))
        script = """
            from nearwood.annoy import AnnoyIndex
            calls = [
                nw.Index.open, nw.Index.verify, nw.Recommender.open,
                lambda path: nw.Index.open(path, in_memory=True),
                lambda path: nw.Index.open(path, lock=True),
                lambda path: nw.Recommender.open(path, in_memory=True),
                nw.AlternatingLeastSquares.load,
                AnnoyIndex(8, "angular").load,
                lambda path: nw.report(path, "page.html", speed=False),
            ]
            for path, what in (("pipe", "pipe"), ("socket", "socket"), ("/dev/zero", "device")):
                for call in calls:
                    try:
                        call(path)
                        raise SystemExit(f"{call} took {path}")
                    except OSError as error:
                        assert f"it is a {what}" in str(error), error
            for call in calls:
                try:
                    call(".")
                    raise SystemExit(f"{call} took a folder")
                except IsADirectoryError:
                    pass
            try:
                nw.tune(nw.Interactions.from_columns([1, 2], [1, 2]), journal="pipe")
                raise SystemExit("a pipe is no journal")
            except (OSError, ValueError) as error:
                assert "it is a pipe" in str(error), error
        """
        passes(run(script, tmp_path))


def test_a_dash_is_a_file_in_python(tmp_path: Path) -> None:
    script = """
        recommender = rec()
        for save in (index.save, recommender.save,
                     lambda path: nw.Index.build(VECTORS, path=path),
                     lambda path: index.append_trees(1, path=path),
                     lambda path: nw.report(index, path, speed=False)):
            save("-")
            assert os.path.getsize("-") > 3_000
            os.remove("-")
        index.save("-")
        assert len(nw.Index.open("-")) == 300
        try:
            recommender.recommend_all(k=3, out="-")
            raise SystemExit("no error")
        except ValueError as error:
            assert "extension" in str(error), error
    """
    assert passes(run(script, tmp_path)) == ""


def left_name(target: Path) -> Path:
    """The temporary file of the first writer to a target."""
    return target.parent / f".nearwood-{zlib.crc32(target.name.encode()):08x}-0"


def test_what_a_killed_save_left_is_removed_by_the_next(index: nw.Index, tmp_path: Path) -> None:
    target = tmp_path / "i.nw"
    index.save(target)
    left = left_name(target)
    left.write_bytes(b"left")
    index.save(target)
    assert os.listdir(tmp_path) == ["i.nw"]
    # What another process is still writing stays.
    left.write_bytes(b"in use")
    with left.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        index.save(target)
        assert left.read_bytes() == b"in use"
    assert sorted(os.listdir(tmp_path)) == [left.name, "i.nw"]
    index.save(target)
    assert os.listdir(tmp_path) == ["i.nw"]


def test_many_processes_save_to_one_file(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import numpy as np, nearwood as nw
        index = nw.Index.build(np.random.default_rng(0).normal(size=(300, 8)))
        for _ in range(40):
            index.save("i.nw")
        """
    )
    savers = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) for _ in range(3)]
    assert [saver.wait(120) for saver in savers] == [0, 0, 0]
    assert os.listdir(tmp_path) == ["i.nw"]
    nw.Index.verify(tmp_path / "i.nw")


def test_a_journal_has_one_search(tmp_path: Path) -> None:
    users, items = [row % 60 for row in range(900)], [(row * 7) % 50 for row in range(900)]
    data = nw.Interactions.from_columns(users, items)
    journal = tmp_path / "journal.jsonl"

    def search(progress: object = False) -> dict[str, object]:
        return nw.tune(
            data, factors=4, trials=2, refine=0, iterations=2, metric="ndcg@5",
            journal=journal, progress=progress,
        )  # fmt: skip

    refused: list[BaseException] = []

    def second(done: int, total: int) -> None:
        try:
            search()
        except BlockingIOError as error:
            refused.append(error)

    search(second)
    assert refused and all("another search is writing" in str(error) for error in refused)
    lines = journal.read_text().splitlines()
    assert len(lines) == 3 and all(json.loads(line) for line in lines)
    search()
    assert journal.read_text().splitlines() == lines


def test_a_table_has_one_job(tmp_path: Path) -> None:
    users = [row % 9_000 for row in range(18_000)]
    items = [(row * 7) % 50 for row in range(18_000)]
    data = nw.Interactions.from_columns(users, items)
    rec = nw.Recommender.fit(data, factors=4, iterations=1, progress=False)
    out = tmp_path / "all.csv"
    refused: list[BaseException] = []

    def second(done: int, total: int) -> None:
        if done < total:
            try:
                rec.recommend_all(k=2, out=out)
            except BlockingIOError as error:
                refused.append(error)

    rec.recommend_all(k=2, out=out, progress=second)
    assert refused and all("another job is writing" in str(error) for error in refused)
    assert os.listdir(tmp_path) == ["all.csv"]
    assert len(out.read_text().splitlines()) == 1 + 2 * 9_000


def with_metadata(saved: bytes, text: bytes) -> bytes:
    """The file with other metadata, and checksums that are right."""
    file = bytearray(saved)
    (count,) = struct.unpack_from("<I", file, 32)
    for entry in (128 + 40 * number for number in range(count)):
        kind, offset, length = (
            *struct.unpack_from("<I", file, entry),
            *struct.unpack_from("<QQ", file, entry + 16),
        )
        if kind == 1:
            assert len(text) <= length
            file[offset : offset + length] = text.ljust(length)
            struct.pack_into("<I", file, entry + 32, zlib.crc32(file[offset : offset + length]))
    struct.pack_into("<I", file, 120, zlib.crc32(file[128 : 128 + 40 * count]))
    struct.pack_into("<I", file, 124, zlib.crc32(file[:124]))
    return bytes(file)


@pytest.mark.parametrize(
    "text", ["[]", "7", '"x"', "null", "[{}]", "{}", '{"n": []}', '{"trees": 3']
)
def test_odd_metadata_does_no_harm(index: nw.Index, text: str) -> None:
    opened = nw.Index.from_bytes(with_metadata(index.to_bytes(), text.encode()))
    assert opened.info()["n"] == 300
    assert "<table>" in opened._repr_html_()


def test_messages_steer_no_terminal_and_have_an_end(tmp_path: Path) -> None:
    nasty = "\x1b[2J\x9b31m\u202e"
    labels = [nasty + "x" * 5_000] * 300
    index = nw.Index.build(VECTORS, ids=[f"{nasty}{row}" for row in range(300)], labels=labels)
    table = tmp_path / "wide.csv"
    table.write_text(",".join(f"{nasty}{column}" for column in range(100_000)) + "\n1,2\n")
    empty = tmp_path / nasty

    def messages() -> list[str]:
        found = []
        for call in (
            lambda: index.find(labels[0]),
            lambda: index.find(nasty * 9_000),
            lambda: index.vector(f"{nasty}301"),
            lambda: nw.Interactions.read(table, user="u", item="i"),
            lambda: nw.Index.open(empty),
            lambda: nw.Index.build(VECTORS, ids=[nasty * 9_000] * 300),
        ):
            with pytest.raises((ValueError, KeyError, OSError)) as caught:
                call()
            found.append(str(caught.value))
        return found

    for text in messages():
        assert len(text) < 9_000, len(text)
        assert not set(text) & {"\x1b", "\x9b", "\u202e"}, text


def test_an_annoy_index_saves_as_the_others_do(tmp_path: Path) -> None:
    annoy = AnnoyIndex(8, "angular")
    for row, vector in enumerate(VECTORS.tolist()):
        annoy.add_item(row, vector)
    annoy.build(2)
    link = tmp_path / "link"
    link.symlink_to("a.nw")
    assert annoy.save(str(link))
    assert link.is_symlink() and sorted(os.listdir(tmp_path)) == ["a.nw", "link"]
