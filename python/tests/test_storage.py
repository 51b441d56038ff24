"""What vectors may be given as, and what is kept of them."""

from __future__ import annotations

import array
from pathlib import Path

import numpy as np
import pytest
from conftest import clustered

import nearwood as nw


def whole(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Small integers that every number type holds."""
    return np.random.default_rng(seed).integers(0, 100, size=(n, d))


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", ">f4", "u1", "i1", "i2", "u4", "i8", "u8"])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "hamming"])
def test_every_number_type_is_the_same_index(dtype: str, metric: str) -> None:
    vectors = whole(300, 9)
    plain = nw.Index.build(vectors.astype(np.float32), metric).to_bytes()
    typed = vectors.astype(dtype)
    for given in (typed, np.asfortranarray(typed), np.repeat(typed, 2, axis=0)[::2]):
        assert nw.Index.build(given, metric, calibration_queries=None).to_bytes() == plain


def test_bools_and_any_buffer() -> None:
    bits = whole(200, 12) % 2 == 1
    index = nw.Index.build(bits, "hamming")
    assert index.to_bytes() == nw.Index.build(bits.astype(np.float32), "hamming").to_bytes()
    assert index.search(bits[5], 1)[1].tolist() == [0.0]
    buffer = memoryview(array.array("d", range(12))).cast("B").cast("d", (4, 3))
    assert nw.Index.build(buffer).vector(3).tolist() == [9, 10, 11]
    queries = np.asfortranarray(whole(7, 12, seed=1).astype(np.int8))
    ids, distances = index.search(queries, 3)
    again = index.search(queries.astype(np.float64), 3)
    assert (ids == again[0]).all() and (distances == again[1]).all()


@pytest.mark.parametrize(
    ("vectors", "text"),
    [
        (np.array([[1e39, 0]]), "row 0, column 0 is inf"),
        (np.array([[0, np.nan]], np.float16), "row 0, column 1 is NaN"),
        (np.array([[0, 2**63]], np.uint64), "below 1e16"),
    ],
)
def test_what_float32_does_not_hold_is_an_error(vectors: np.ndarray, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        nw.Index.build(vectors)
    index = nw.Index.build(np.eye(2))
    with pytest.raises(ValueError, match="column"):
        index.search(vectors)


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
@pytest.mark.parametrize("metric", ["euclidean", "angular", "dot", "manhattan"])
def test_searches_are_exact_to_the_storage(storage: str, metric: str, tmp_path: Path) -> None:
    vectors, queries = clustered(1000, 20), clustered(30, 20, seed=1)
    path = tmp_path / "i.nw"
    index = nw.Index.build(vectors, metric, storage=storage, path=path)
    assert index.info()["storage"] == storage
    stored = index.vectors(np.arange(1000))
    assert stored.dtype == np.float32
    np.testing.assert_allclose(stored, vectors, atol=0.03)
    if storage == "float16":
        assert (stored == vectors.astype(np.float16).astype(np.float32)).all()
    plain = nw.Index.build(stored, metric)
    for options in ({"budget": 200}, {"recall": 1.0}):
        for got, expected in zip(
            index.search(queries, 5, **options), plain.search(queries, 5, **options), strict=True
        ):
            assert (got == expected).all()
    nw.Index.verify(path)


def test_bytes_of_integers_are_lossless_and_small() -> None:
    rng = np.random.default_rng(2)
    sizes = {}
    for dtype in (np.uint8, np.int8):
        info = np.iinfo(dtype)
        vectors = rng.integers(info.min, info.max + 1, size=(2000, 64)).astype(dtype)
        index = nw.Index.build(vectors, storage="int8")
        assert (index.vectors(np.arange(2000)) == vectors).all()
        for storage in ("float32", "float16", "int8"):
            sizes[storage] = len(nw.Index.build(vectors, storage=storage).to_bytes()) / 2000
    assert sizes["float32"] - sizes["float16"] == pytest.approx(128, abs=1)
    assert sizes["float32"] - sizes["int8"] == pytest.approx(188, abs=1)


def test_storages_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="column 0 is 70000: float16 holds up to 65504"):
        nw.Index.build([[7e4]], storage="float16")
    with pytest.raises(ValueError, match='expected "float32", "float16" or "int8"'):
        nw.Index.build([[1.0]], storage="float64")
    with pytest.raises(ValueError, match="hamming, which keeps a bit a component"):
        nw.Index.build([[1.0]], "hamming", storage="int8")


@pytest.mark.parametrize("dim", [8, 24, 60, 61])
def test_packed_bits(dim: int) -> None:
    rng = np.random.default_rng(dim)
    bits, queries = rng.integers(0, 2, (500, dim)), rng.integers(0, 2, (9, dim))
    packed, packed_queries = (np.packbits(x.astype(bool), axis=1) for x in (bits, queries))
    index = nw.Index.build(packed, "hamming", packed=True, dim=dim)
    assert (index.dim, index.info()["storage"]) == (dim, "bits")
    assert index.to_bytes() == nw.Index.build(bits, "hamming").to_bytes()
    assert (index.vectors(np.arange(500)) == bits).all()
    for search in (index.search, index.search_exact):
        ids, distances = search(queries, 4)
        for given in (packed_queries, np.asfortranarray(packed_queries)):
            got = search(given, 4)
            assert (got[0] == ids).all() and (got[1] == distances).all()
        one = search(packed_queries[3], 4)
        assert one[0].tolist() == ids[3].tolist()
    truth = np.sort((bits[None] != queries[:, None]).sum(2), axis=1)[:, :4]
    assert (index.search_exact(queries, 4)[1] == truth).all()
    assert index.recall(packed_queries, 4, recall=1.0) == 1.0
    told = nw.Index.build(
        packed, "hamming", packed=True, dim=dim, calibration_queries=packed_queries
    )
    assert (
        told.to_bytes() == nw.Index.build(bits, "hamming", calibration_queries=queries).to_bytes()
    )
    assert index.search(packed_queries[:0], 4)[0].shape == (0, 4)


def test_packed_bits_that_cannot_be() -> None:
    packed = np.full((3, 2), 0xFF, np.uint8)
    with pytest.raises(ValueError, match="row 0 has a bit beyond dimension 12"):
        nw.Index.build(packed, "hamming", packed=True, dim=12)
    with pytest.raises(ValueError, match="got 2 columns of packed bits, expected 3 for dim=17"):
        nw.Index.build(packed, "hamming", packed=True, dim=17)
    with pytest.raises(ValueError, match='metric is "dot", expected "hamming"'):
        nw.Index.build(packed, "dot", packed=True)
    with pytest.raises(ValueError, match="packed=True alone"):
        nw.Index.build(packed, "hamming", dim=16)
    for wrong in (packed.astype(np.int16), packed.view(np.int8), packed[0]):
        with pytest.raises(TypeError, match="uint8 array of shape"):
            nw.Index.build(wrong, "hamming", packed=True)
    index = nw.Index.build(packed, "hamming", packed=True)
    with pytest.raises(ValueError, match=r"queries have shape \(3, 3\)"):
        index.search(np.zeros((3, 3), np.uint8))
    twelve = nw.Index.build(packed & 0xF0, "hamming", packed=True, dim=12)
    with pytest.raises(ValueError, match="beyond dimension 12"):
        twelve.search(packed)
