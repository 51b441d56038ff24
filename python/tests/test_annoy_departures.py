"""Where ``nearwood.annoy`` departs from ``annoy`` on purpose: what each of the two does.

The table of docs/from-annoy.md, row by row.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from annoy_cases import EVERYTHING, PACKAGES, filled, rows

import nearwood as nw
import nearwood.annoy


@pytest.fixture
def both() -> SimpleNamespace:
    return SimpleNamespace(**PACKAGES)


def test_adding_to_a_built_index(both: SimpleNamespace) -> None:
    """Annoy takes the item and may write it over a tree (issue 537)."""
    theirs, ours = (filled(Index, rows(50, 4), "angular") for Index in (both.annoy, both.nearwood))
    assert theirs.add_item(50, [1, 2, 3, 4]) is None
    with pytest.raises(Exception, match="can't add an item to a built index") as raised:
        ours.add_item(50, [1, 2, 3, 4])
    assert raised.type is Exception
    assert ours.get_n_items() == 50


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_numbers_that_are_none(both: SimpleNamespace, value: float) -> None:
    """Annoy keeps them and then finds nonsense."""
    assert both.annoy(2, "euclidean").add_item(0, [value, 0]) is None
    ours = both.nearwood(2, "euclidean")
    with pytest.raises(ValueError, match=r"column 0 is .*: vectors must be finite"):
        ours.add_item(0, [value, 0])
    ours.add_item(0, [1, 1])
    ours.build(1)
    with pytest.raises(ValueError, match="queries must be finite"):
        ours.get_nns_by_vector([value, 0], 1)


def test_files_with_numbers_that_are_none(both: SimpleNamespace, tmp_path: Path) -> None:
    theirs = both.annoy(2, "euclidean")
    for i in range(20):
        theirs.add_item(i, [float("nan") if i == 13 else i, 0])
    theirs.build(1)
    theirs.save(str(tmp_path / "t"))
    with pytest.raises(OSError, match="item 13 has NaN in column 0"):
        both.nearwood(2, "euclidean").load(str(tmp_path / "t"))


def test_trees_of_a_small_file(both: SimpleNamespace, tmp_path: Path) -> None:
    """Where items fit one node, Annoy takes roots for copies of roots."""
    for Index, expected in ((both.annoy, 19), (both.nearwood, 10)):
        index = filled(Index, rows(5, 8), "angular")
        index.save(str(tmp_path / "t"))
        assert index.get_n_trees() == expected
    filled(both.annoy, rows(5, 8), "angular").save(str(tmp_path / "t.ann"))
    ours = both.nearwood(8, "angular")
    ours.load(str(tmp_path / "t.ann"))
    assert ours.get_n_trees() == 10


def test_paths(both: SimpleNamespace, tmp_path: Path) -> None:
    theirs, ours = (filled(Index, rows(50, 4), "angular") for Index in (both.annoy, both.nearwood))
    with pytest.raises(TypeError):
        theirs.save(tmp_path / "t")
    assert ours.save(tmp_path / "t") is True
    assert both.nearwood(4, "angular").load(tmp_path / "t") is True
    assert both.nearwood(4, "angular").on_disk_build(tmp_path / "u") is True


def test_used_again_after_unload(both: SimpleNamespace) -> None:
    """Annoy still thinks that it is built."""
    theirs, ours = (filled(Index, rows(50, 4), "angular") for Index in (both.annoy, both.nearwood))
    for index in (theirs, ours):
        index.unload()
        index.add_item(0, [1, 2, 3, 4])
    with pytest.raises(Exception, match="can't build a built index"):
        theirs.build(1)
    assert ours.build(1) is True
    assert ours.get_nns_by_item(0, 1) == [0]


def test_no_trees_and_no_nodes(both: SimpleNamespace) -> None:
    """Annoy then finds nothing; ours finds what a recall of 0.95 takes."""
    for Index, expected in ((both.annoy, []), (both.nearwood, [0])):
        assert filled(Index, rows(50, 4), "angular", trees=0).get_nns_by_item(0, 1) == expected
        assert filled(Index, rows(50, 4), "angular").get_nns_by_item(0, 1, 0) == expected
    with pytest.raises(ValueError, match="n_trees is -2"):
        filled(both.nearwood, rows(5, 4), "angular", trees=-2)
    with pytest.raises(ValueError, match="f is 0"):
        both.nearwood(0, "angular")


def test_wrong_files(both: SimpleNamespace, tmp_path: Path) -> None:
    """Annoy checks the size alone."""
    filled(both.annoy, rows(64, 6), "euclidean").save(str(tmp_path / "old.ann"))
    filled(both.nearwood, rows(64, 6), "euclidean").save(tmp_path / "new.nw")
    assert both.annoy(7, "angular").load(str(tmp_path / "old.ann")) is True
    for f, metric, text in [
        (6, "angular", "check metric and dimension"),
        (5, "euclidean", "check metric and dimension"),
    ]:
        with pytest.raises(OSError, match=text):
            both.nearwood(f, metric).load(str(tmp_path / "old.ann"))
    for f, metric in ((6, "angular"), (7, "euclidean")):
        with pytest.raises(OSError, match="euclidean with vectors of 6, expected"):
            both.nearwood(f, metric).load(tmp_path / "new.nw")
    data = (tmp_path / "old.ann").read_bytes()
    (tmp_path / "bad.ann").write_bytes(data[:-36] + b"\xff\xff\xff\xff" * 9)
    with pytest.raises(OSError):
        both.nearwood(6, "euclidean").load(tmp_path / "bad.ann")


def test_a_failed_load_changes_nothing(both: SimpleNamespace, tmp_path: Path) -> None:
    ours = filled(both.nearwood, rows(50, 4), "angular")
    with pytest.raises(FileNotFoundError):
        ours.load(tmp_path / "missing")
    assert ours.get_nns_by_item(3, 1) == [3]


def test_a_disk_build_is_saved_elsewhere_too(both: SimpleNamespace, tmp_path: Path) -> None:
    """Annoy says True and writes nothing."""
    for name, Index, written in (("a", both.annoy, False), ("n", both.nearwood, True)):
        index = Index(2, "angular")
        index.on_disk_build(str(tmp_path / name))
        index.add_item(0, [1, 2])
        index.add_item(1, [2, 1])
        index.build(1)
        assert index.save(str(tmp_path / f"{name}-copy")) is True
        assert (tmp_path / f"{name}-copy").exists() is written
        assert index.unbuild() is True


def test_a_failed_save_leaves_the_old_file(both: SimpleNamespace, tmp_path: Path) -> None:
    """Annoy removes the file before it writes; ours renames a whole one over it."""
    ours = filled(both.nearwood, rows(50, 4), "angular")
    ours.save(tmp_path / "t")
    served = nw.Index.open(tmp_path / "t")
    more = filled(both.nearwood, rows(90, 4), "angular")
    more.save(tmp_path / "t")
    assert (len(served), len(nw.Index.open(tmp_path / "t"))) == (50, 90)
    assert [p.name for p in tmp_path.iterdir()] == ["t"], "nothing is left beside it"


def test_an_empty_index_is_not_saved(both: SimpleNamespace, tmp_path: Path) -> None:
    for Index in (both.annoy, both.nearwood):
        index = Index(2, "angular")
        index.build(1)
        if Index is both.annoy:
            assert index.save(str(tmp_path / "t")) is True
        else:
            with pytest.raises(OSError, match="no items"):
                index.save(str(tmp_path / "t"))
            with pytest.raises(OSError, match="no vectors"):
                index.load(str(tmp_path / "t"))


def test_close_angles_keep_their_digits(both: SimpleNamespace) -> None:
    """Annoy takes the root of what float32 holds of 2 - 2 cos, which is wrong by 1e-7."""
    vectors = rows(200, 30, seed=11)
    vectors[100:] = vectors[:100] * 1.7
    theirs, ours = (filled(Index, vectors, "angular") for Index in (both.annoy, both.nearwood))

    def worst(index: Any) -> float:
        pairs = [index.get_nns_by_item(i, 2, EVERYTHING, True)[1][1] for i in range(100)]
        return max(pairs + [index.get_distance(i, i + 100) for i in range(100)])

    assert worst(theirs) > 1e-4
    assert worst(ours) < 1e-6


def test_dot_finds_large_products(both: SimpleNamespace) -> None:
    """Annoy loses nearly all of them where lengths differ much (issue 619)."""
    rng = np.random.default_rng(12)
    vectors = rows(5000, 16, seed=12) * rng.lognormal(sigma=1.5, size=(5000, 1)).astype("f4")
    theirs, ours = (filled(Index, vectors, "dot") for Index in (both.annoy, both.nearwood))
    found = {}
    for name, index in (("annoy", theirs), ("nearwood", ours)):
        hits = 0
        for query in rows(50, 16, seed=13):
            best = set(np.argsort(-(vectors @ query))[:10].tolist())
            hits += len(best & set(index.get_nns_by_vector(query, 10)))
        found[name] = hits / 500
    assert found["annoy"] < 0.4 and found["nearwood"] > 0.95, found


def test_sparse_numbers_take_no_memory(both: SimpleNamespace) -> None:
    """Annoy allocates the largest number's worth of nodes: here 86 GB."""
    ours = both.nearwood(8, "euclidean")
    ours.add_item(2**31 - 1, [1] * 8)
    ours.add_item(5, [2] * 8)
    ours.build(3)
    assert ours.get_n_items() == 2**31
    assert ours.get_nns_by_item(5, 9) == [5, 2**31 - 1]


def test_the_same_seed_gives_the_same_file(both: SimpleNamespace, tmp_path: Path) -> None:
    """Annoy seeds by thread, so that its files change with n_jobs."""
    files = []
    for n_jobs in (1, 2):
        index = filled(both.nearwood, rows(3000, 8), "euclidean", trees=None)
        index.build(4, n_jobs)
        index.save(tmp_path / "t")
        files.append((tmp_path / "t").read_bytes())
    assert files[0] == files[1]


def test_files_are_ours_too(both: SimpleNamespace, tmp_path: Path) -> None:
    """Whatever nw.Index builds under item numbers, AnnoyIndex loads."""
    vectors = rows(40, 4)
    nw.Index.build(vectors, "euclidean", ids=np.arange(40) * 3).save(tmp_path / "t.nw")
    ours = both.nearwood(4, "euclidean")
    ours.load(tmp_path / "t.nw")
    assert (ours.get_n_items(), ours.get_n_trees()) == (118, 1)
    assert ours.get_item_vector(3) == vectors[1].tolist()
    nw.Index.build(vectors, "euclidean", ids=[f"s{i}" for i in range(40)]).save(tmp_path / "s.nw")
    with pytest.raises(OSError, match=r"open the file with nearwood\.Index"):
        ours.load(tmp_path / "s.nw")
