"""Files that Annoy wrote, loaded by ``nearwood.annoy``; those of versions that pip does not install
are made here.
"""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace

import annoy
import numpy as np
import pytest
from annoy_cases import METRICS, PACKAGES, SERVED, filled, rows, same_neighbours

import nearwood.annoy


@pytest.fixture
def both() -> SimpleNamespace:
    return SimpleNamespace(**PACKAGES)


@pytest.mark.parametrize("metric", SERVED)
@pytest.mark.parametrize(("n", "f", "step"), [(6, 8, 1), (30, 70, 4), (700, 16, 1), (900, 20, 5)])
def test_files_that_annoy_wrote(
    both: SimpleNamespace, tmp_path: Path, metric: str, n: int, f: int, step: int
) -> None:
    vectors = rows(n, f, metric, seed=5)
    theirs = filled(both.annoy, vectors, metric, step)
    theirs.save(str(tmp_path / "old.ann"))
    ours = both.nearwood(f, metric)
    assert ours.load(tmp_path / "old.ann") is True
    assert (ours.get_n_items(), ours.get_n_trees()) == (theirs.get_n_items(), 10)
    for i in range(ours.get_n_items()):
        assert ours.get_item_vector(i) == theirs.get_item_vector(i)
    ours.save(tmp_path / "new.nw")
    again = both.nearwood(f, metric)
    again.load(tmp_path / "new.nw")
    assert (again.get_n_items(), again.get_n_trees()) == (theirs.get_n_items(), 10)
    for query in rows(5, f, metric, seed=6):
        same_neighbours(theirs, ours, vectors, query, metric)
        same_neighbours(theirs, again, vectors, query, metric)


@pytest.mark.parametrize("metric", METRICS)
def test_the_importer_reads_what_annoy_wrote(tmp_path: Path, metric: str) -> None:
    """Of every metric, also those that are not searched by yet: reading comes first."""
    vectors = rows(300, 70, metric, seed=8)
    filled(annoy.AnnoyIndex, vectors, metric, step=3).save(str(tmp_path / "old.ann"))
    index = nearwood.annoy.AnnoyIndex(70, metric)
    if metric in SERVED:
        index.load(tmp_path / "old.ann")
        assert index.get_item_vector(297) == vectors[297].tolist()
    else:
        with pytest.raises(OSError, match=f'metric is "{metric}", expected'):
            index.load(tmp_path / "old.ann")


# --- files of versions that pip does not install


def node(size: int, start: int, n: int, children: list[int]) -> bytearray:
    """A node whose unwritten bytes hold anything."""
    made = bytearray(b"\xcd" * size)
    struct.pack_into("<i", made, 0, n)
    struct.pack_into(f"<{len(children)}i", made, start, *children)
    return made


def old_file(vectors: np.ndarray, start: int, place: int, tail: list[bytes]) -> bytes:
    """Two trees of one split each over two buckets; items with their vectors at `place`."""
    n, size = len(vectors), place + len(tail[0])
    items = [node(size, start, 1, [0, 0]) for _ in vectors]
    for item, vector in zip(items, tail, strict=True):
        item[place:] = vector
    nodes, roots = [], []
    for tree in range(2):
        parts = [[i for i in range(n) if (i >> tree) % 2 == side] for side in (0, 1)]
        for part in parts:
            nodes.append(node(size, start, len(part), part))
        children = [n + len(nodes) - 2, n + len(nodes) - 1]
        roots.append(node(size, start, n, children))
        nodes.append(roots[-1])
    return b"".join(bytes(made) for made in items + nodes + roots)


def test_dot_as_the_main_branch_writes_it(tmp_path: Path) -> None:
    vectors = rows(60, 30, "dot", seed=9)
    data = old_file(vectors, 4, 24, [v.astype("<f4").tobytes() for v in vectors])
    (tmp_path / "main.ann").write_bytes(data)
    index = nearwood.annoy.AnnoyIndex(30, "dot")
    index.load(str(tmp_path / "main.ann"))
    assert (index.get_n_items(), index.get_n_trees()) == (60, 2)
    assert [index.get_item_vector(i) for i in range(60)] == vectors.tolist()


@pytest.mark.parametrize("place", [12, 16], ids=["1.16", "1.17"])
def test_hamming_before_and_since_1_17(tmp_path: Path, place: int) -> None:
    vectors = rows(60, 1000, "hamming", seed=10)
    padded = np.zeros((60, 1024), dtype=np.uint8)
    padded[:, :1000] = vectors
    words = np.packbits(padded, axis=1, bitorder="little")
    data = old_file(vectors, 4, place, [row.tobytes() for row in words])
    (tmp_path / "old.ann").write_bytes(data)
    index = nearwood.annoy.AnnoyIndex(1000, "hamming")
    if "hamming" in SERVED:
        index.load(str(tmp_path / "old.ann"))
        assert [index.get_item_vector(i) for i in range(60)] == vectors.tolist()
    else:
        with pytest.raises(OSError, match='metric is "hamming", expected'):
            index.load(str(tmp_path / "old.ann"))
