"""`nearwood.langchain`: LangChain's own suite, and what that does not ask."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import clustered, truth
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import VectorStoreIntegrationTests

import nearwood as nw
from nearwood.langchain import NearwoodVectorStore, StoreChangedError

FAKE = DeterministicFakeEmbedding(size=12)


class Written(Embeddings):
    """Texts are their vectors, in words: "1 0 0.5"."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [float(word) for word in text.split()]


def written(vector: Sequence[float]) -> str:
    return " ".join(map(str, vector))


class TestConformance(VectorStoreIntegrationTests):
    """LangChain's suite, all of whose documents wait beside an index that is not there."""

    @pytest.fixture
    def vectorstore(self) -> NearwoodVectorStore:
        return NearwoodVectorStore(self.get_embeddings())


class TestConformanceOfAnIndex(VectorStoreIntegrationTests):
    """The same, every search building an index over all documents first."""

    @pytest.fixture
    def vectorstore(self) -> NearwoodVectorStore:
        return NearwoodVectorStore(self.get_embeddings(), rebuild_after=1)


def store_of(vectors: np.ndarray, **options: object) -> NearwoodVectorStore:
    """Documents "0", "1", .. whose texts are their vectors; "even" is in the metadata."""
    store = NearwoodVectorStore(Written(), **options)
    pairs = [(written(vector), vector) for vector in vectors.tolist()]
    metadatas = [{"even": i % 2 == 0, "tenth": i // (len(pairs) // 10)} for i in range(len(pairs))]
    store.add_embeddings(pairs, metadatas, ids=[str(i) for i in range(len(pairs))])
    return store


def ids(found: list[Document]) -> list[str | None]:
    return [document.id for document in found]


@pytest.mark.parametrize("metric", ["angular", "euclidean", "dot"])
def test_what_is_indexed_and_what_waits_are_one(metric: str) -> None:
    vectors = clustered(900, 8)
    store = store_of(vectors[:600], metric=metric, rebuild_after=500)
    assert store.similarity_search(written(vectors[0]), k=1)
    assert store._documents.snapshot().n_indexed == 600
    late = [(written(vector), vector) for vector in vectors[600:].tolist()]
    store.add_embeddings(late, ids=[str(i) for i in range(600, 900)])
    for query in clustered(20, 8, seed=1):
        found = store.similarity_search_with_score(written(query.tolist()), k=10, recall=1.0)
        wanted = truth(vectors, query[None], 10, metric)[0]
        np.testing.assert_allclose([score for _, score in found], wanted, rtol=1e-4, atol=1e-5)
        places = [int(document.id or "") for document, _ in found]
        assert min(places) < 600 or max(places) >= 600
    assert store._documents.snapshot().n_indexed == 600 and len(store) == 900
    both = {int(d.id or "") >= 600 for d in store.similarity_search(written(vectors[0]), k=300)}
    assert both == {True, False}


def test_an_index_is_built_once_enough_waits() -> None:
    vectors = clustered(6_000, 4)
    store = store_of(vectors[:5_000], rebuild_after=100)
    assert store._documents.snapshot().n_indexed == 0  # adding builds nothing
    query = written(vectors[0].tolist())
    store.similarity_search(query)
    assert store._documents.snapshot().n_indexed == 5_000
    for start, indexed in ((5_000, 5_000), (5_400, 5_800)):
        new = vectors[start : start + 400].tolist()
        store.add_texts([written(vector) for vector in new])
        store.similarity_search(query)
        assert store._documents.snapshot().n_indexed == indexed  # a tenth of 5,000
    store.delete([str(i) for i in range(4_000)])
    store.similarity_search(query)
    assert store._documents.snapshot().n_indexed == len(store) == 1_800


@pytest.mark.parametrize("rebuild_after", [1, 10_000])
def test_deleted_and_replaced_documents_are_not_found(rebuild_after: int) -> None:
    vectors = clustered(400, 6)
    store = store_of(vectors, metric="euclidean", rebuild_after=rebuild_after)
    query = written(vectors[7].tolist())
    nearest = ids(store.similarity_search(query, k=60))
    assert nearest[0] == "7"
    store._documents._at_least = 10_000  # what comes now waits
    assert store.delete([*nearest[1:50], "no such id"])
    assert ids(store.similarity_search(query, k=11)) == ["7", *nearest[50:]]
    store.add_texts([written([9.0] * 6)], [{"moved": True}], ids=["7"])
    assert ids(store.similarity_search(query, k=10)) == nearest[50:]
    (moved,) = store.similarity_search(written([9.0] * 6), k=1)
    assert moved == Document(id="7", page_content=written([9.0] * 6), metadata={"moved": True})
    assert len(store) == 351 and ids(store.get_by_ids(["9999", "7", nearest[1] or ""])) == ["7"]
    store.delete()
    assert len(store) == 0 and store and store.similarity_search("1 2 3", k=3) == []
    store.add_texts(["1 2 3"])  # of another length: nothing is left
    assert len(store.similarity_search("1 2 3", k=3)) == 1


@pytest.mark.parametrize("rebuild_after", [1, 10_000])
def test_filters_still_give_k(rebuild_after: int) -> None:
    vectors = clustered(500, 6)
    store = store_of(vectors, rebuild_after=rebuild_after)
    query = written(vectors[3].tolist())
    everything = store.similarity_search(query, k=500)
    assert len(everything) == 500
    for filter, number in (
        ({"even": True}, 250),
        ({"even": True, "tenth": [2, 9]}, 50),
        ({"tenth": {4}}, 50),
        ({"none": 1}, 0),
        ({}, 500),
        (lambda document: int(document.id) < 5, 5),
    ):
        passing = [d for d in everything if passes(d, filter)]
        assert len(passing) == number
        assert store.similarity_search(query, k=10, filter=filter) == passing[:10]
        assert store.similarity_search(query, k=500, filter=filter) == passing
    with pytest.raises(ValueError, match="operators are not known"):
        store.similarity_search(query, filter={"tenth": {"$gt": 3}})
    with pytest.raises(TypeError, match="filter is a str"):
        store.similarity_search(query, filter="even")


def passes(document: Document, filter: object) -> bool:
    if callable(filter):
        return bool(filter(document))
    return all(
        document.metadata.get(key, "?") in (value if isinstance(value, (list, set)) else [value])
        for key, value in filter.items()
    )


def test_ids_are_made_kept_and_told_apart() -> None:
    store = NearwoodVectorStore(FAKE)
    first, named, third = store.add_documents(
        [Document(page_content="a"), Document(page_content="b", id="B"), Document(page_content="c")]
    )
    assert named == "B" and len({first, named, third}) == 3
    assert store.add_texts(["d", "e", "f"], ids=["x", "y", "x"]) == ["x", "y", "x"]
    assert len(store) == 5 and store.get_by_ids(["x"])[0].page_content == "f"
    assert store.add_texts([]) == []
    document = store.get_by_ids(["B"])[0]
    document.metadata["mine"] = 1  # the caller's own
    assert store.get_by_ids(["B"])[0].metadata == {}


def test_nothing_is_added_when_something_is_wrong() -> None:
    store = NearwoodVectorStore(Written())
    store.add_texts(["1 2"], ids=["old"])
    for call, text in (
        (lambda: store.add_texts(["1 2", "3 4"], ids=["a"]), "1 ids for 2 texts"),
        (lambda: store.add_texts(["1 2", "3 4"], [{}]), "1 metadatas for 2 texts"),
        (lambda: store.add_texts(["1 2 3"], ids=["old"]), "vectors of 3 values, but 2 are stored"),
        (lambda: store.add_texts(["1 nan"], ids=["old"]), "NaN"),
        (lambda: store.similarity_search("1 2 3"), "vectors of 3 values"),
        (lambda: store.similarity_search("1 2", k=0), "k is 0"),
        (lambda: NearwoodVectorStore(FAKE, metric="hamming"), "metric is 'hamming', expected one"),
        (lambda: NearwoodVectorStore(FAKE, rebuild_after=0), "rebuild_after is 0"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
    with pytest.raises(TypeError, match="unexpected keyword argument 'fliter'"):
        store.similarity_search("1 2", fliter={})
    assert len(store) == 1 and ids(store.similarity_search("1 2")) == ["old"]


def test_relevance_is_within_0_and_1() -> None:
    texts = ["1 0", "0.6 0.8", "0 1", "-1 0"]
    for metric, wanted in (
        ("angular", [1.0, 0.6, 0.0, 0.0]),
        ("dot", [1.0, 0.6, 0.0, 0.0]),
        ("euclidean", [1.0, 1 / (1 + 0.8**0.5), 1 / (1 + 2**0.5), 1 / 3]),
    ):
        store = NearwoodVectorStore.from_texts(texts, Written(), metric=metric)
        found = store.similarity_search_with_relevance_scores("1 0", k=4)
        assert [document.page_content for document, _ in found] == texts
        np.testing.assert_allclose([score for _, score in found], wanted, atol=1e-6)
    own = NearwoodVectorStore.from_texts(texts, Written(), relevance_score_fn=lambda d: 1 - d / 2)
    assert own.similarity_search_with_relevance_scores("1 0", k=4)[3][1] == pytest.approx(0)
    retriever = own.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.7, "k": 4}
    )
    assert [document.page_content for document in retriever.invoke("1 0")] == texts[:2]


@pytest.mark.parametrize("rebuild_after", [1, 10_000])
def test_marginal_relevance_is_that_of_langchain(rebuild_after: int) -> None:
    texts = [f"text {i}" for i in range(60)]
    store = NearwoodVectorStore.from_texts(texts, FAKE, rebuild_after=rebuild_after)
    theirs = InMemoryVectorStore.from_texts(texts, FAKE)
    for options in ({}, {"k": 6, "lambda_mult": 0.1}, {"k": 3, "fetch_k": 30, "lambda_mult": 1.0}):
        got = store.max_marginal_relevance_search("query", **options)
        wanted = theirs.max_marginal_relevance_search("query", **options)
        assert [d.page_content for d in got] == [d.page_content for d in wanted]
    few = store.max_marginal_relevance_search("query", filter=lambda d: d.page_content == texts[4])
    assert [d.page_content for d in few] == [texts[4]]
    assert NearwoodVectorStore(FAKE).max_marginal_relevance_search("query") == []


def test_in_a_chain() -> None:
    store = NearwoodVectorStore(FAKE)
    store.add_texts(["Paris is in France.", "Rome is in Italy."])
    prompt = ChatPromptTemplate.from_template("{context}\n{question}")
    context = store.as_retriever(search_kwargs={"k": 1}) | (lambda found: found[0].page_content)
    chain = (
        {"context": context, "question": RunnablePassthrough()}
        | prompt
        | RunnableLambda(lambda value: value.to_messages()[0].content)
        | StrOutputParser()
    )
    wanted = "Rome is in Italy.\nRome is in Italy."
    assert chain.invoke("Rome is in Italy.") == wanted
    assert asyncio.run(chain.ainvoke("Rome is in Italy.")) == wanted
    assert chain.batch(["Rome is in Italy."] * 3) == [wanted] * 3


@pytest.mark.parametrize("metric", ["angular", "euclidean", "dot"])
def test_saved_and_loaded(metric: str, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "store"
    vectors = clustered(300, 6)
    store = store_of(vectors, metric=metric)
    store.add_documents([Document("1 2 3 4 5 6", id="é", metadata={"a": [1, None, {"b": "ü\n"}]})])
    store.delete(["5"])
    query = written(vectors[9].tolist())
    wanted = store.similarity_search_with_score(query, k=50, recall=1.0)
    store.save_local(folder)
    loaded = NearwoodVectorStore.load_local(folder, Written(), verify=True)
    assert repr(loaded) == f"NearwoodVectorStore(300 documents, {metric})"
    found = loaded.similarity_search_with_score(query, k=50, recall=1.0)
    assert [document for document, _ in found] == [document for document, _ in wanted]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in wanted], rtol=1e-4, atol=1e-5)
    assert loaded.get_by_ids(["é", "5"]) == store.get_by_ids(["é"])
    loaded.add_texts([query], ids=["more"])  # and goes on
    loaded.delete(["9"])
    loaded.save_local(folder)
    again = NearwoodVectorStore.load_local(str(folder), Written())
    assert len(again) == 300 and "9" not in ids(again.similarity_search(query, k=300))
    assert len(list(folder.iterdir())) == 2  # the old index is gone
    again.delete()
    again.save_local(folder)
    assert len(NearwoodVectorStore.load_local(folder, Written())) == 0
    assert [path.name for path in folder.iterdir()] == ["documents.jsonl"]


def test_a_store_that_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    vectors = clustered(60, 4)
    one, two = tmp_path / "one", tmp_path / "two"
    store_of(vectors).save_local(one)
    store_of(vectors[::-1]).save_local(two)
    (index,) = one.glob("*.nw")
    (other,) = two.glob("*.nw")
    documents = one / "documents.jsonl"
    good, good_index = documents.read_bytes(), index.read_bytes()
    head, first, *rest = good.splitlines(keepends=True)
    fields = json.loads(head)

    def with_head(**changed: object) -> bytes:
        return json.dumps({**fields, **changed}).encode() + b"\n" + first + b"".join(rest)

    for content, text in (
        (b"", "does not begin as a store"),
        (first, "does not begin as a store"),
        (b"[]\n" + first, "does not begin as a store"),
        (with_head(index="../two/" + other.name), "does not begin as a store"),
        (with_head(version=2), "version 2, this is nearwood's 1: upgrade"),
        (with_head(index=other.name), "which is not there"),
        (with_head(metric="dot"), "60 rows by angular"),
        (head + first, "1 documents, expected 60"),
        (good[:-5], "changed after it was saved"),
        (head + b"".join([*rest, first]), "changed after it was saved"),
    ):
        documents.write_bytes(content)
        with pytest.raises(nw.FormatError, match=re.escape(text)):
            NearwoodVectorStore.load_local(one, Written())
    documents.write_bytes(good)
    index.write_bytes(other.read_bytes())
    with pytest.raises(nw.FormatError, match="not the index that was saved"):
        NearwoodVectorStore.load_local(one, Written())
    index.write_bytes(good_index)
    assert len(NearwoodVectorStore.load_local(one, Written())) == 60
    with pytest.raises(FileNotFoundError, match="no store in"):
        NearwoodVectorStore.load_local(tmp_path, Written())


def test_what_is_not_json_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    store = NearwoodVectorStore(FAKE)
    store.add_texts(["a"], ids=["a"])
    store.save_local(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    store.add_texts(["b"], [{"when": object()}], ids=["b"])
    with pytest.raises(TypeError, match="document 'b' cannot be written as JSON"):
        store.save_local(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_save_that_fails_leaves_the_old_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(clustered(50, 4))
    store.save_local(tmp_path)
    store.add_texts(["1 2 3 4"])

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("nearwood._docstore.os.fsync", full)
    with pytest.raises(OSError, match="disk full"):
        store.save_local(tmp_path)
    assert len(NearwoodVectorStore.load_local(tmp_path, Written())) == 50


def test_documents_that_another_process_saved_are_not_lost(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    NearwoodVectorStore.from_texts(["1 0"], Written(), ids=["0"]).save_local(folder)
    one = NearwoodVectorStore.load_local(folder, Written())
    two = NearwoodVectorStore.load_local(folder, Written())
    one.add_texts(["0 1"], ids=["A"])
    one.save_local(folder)
    two.add_texts(["1 1"], ids=["B"])
    with pytest.raises(StoreChangedError, match="load it again"):
        two.save_local(folder)
    # By another name for the folder as well, and nothing was written.
    (tmp_path / "link").symlink_to("store")
    with pytest.raises(StoreChangedError):
        two.save_local(tmp_path / "link")
    assert len(list(folder.iterdir())) == 2
    kept = NearwoodVectorStore.load_local(folder, Written())
    assert ids(kept.get_by_ids(["0", "A", "B"])) == ["0", "A"]
    # What was refused goes elsewhere, or on top of what is there.
    two.save_local(tmp_path / "elsewhere")
    kept.add_texts(["1 1"], ids=["B"])
    kept.save_local(folder)
    kept.add_texts(["2 1"], ids=["C"])
    kept.save_local(folder)
    with pytest.raises(StoreChangedError):
        one.save_local(folder)
    one.save_local(folder, overwrite=True)
    one.add_texts(["2 2"], ids=["D"])
    one.save_local(folder)
    last = NearwoodVectorStore.load_local(folder, Written())
    assert ids(last.get_by_ids(["0", "A", "B", "C", "D"])) == ["0", "A", "D"]


def test_a_store_made_afresh_replaces_what_is_there(tmp_path: Path) -> None:
    for text in ("1 0", "0 1"):
        NearwoodVectorStore.from_texts([text], Written(), ids=[text]).save_local(tmp_path)
    assert len(NearwoodVectorStore.load_local(tmp_path, Written())) == 1
    store = NearwoodVectorStore.load_local(tmp_path, Written())
    for path in tmp_path.iterdir():
        path.unlink()
    store.save_local(tmp_path)  # there is nothing to lose
    assert len(NearwoodVectorStore.load_local(tmp_path, Written())) == 1


SAVER = """
import os, signal, sys
import numpy as np
from langchain_core.embeddings import DeterministicFakeEmbedding
from nearwood import _docstore
from nearwood.langchain import NearwoodVectorStore
folder, name, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = NearwoodVectorStore(DeterministicFakeEmbedding(size=12))
store.add_texts([f"{name} {n}" for n in range(50)])
"""


def test_loads_beside_savers_find_a_whole_store(tmp_path: Path) -> None:
    NearwoodVectorStore.from_texts(["first"], FAKE).save_local(tmp_path)
    script = SAVER + (
        "for n in range(times):\n"
        "    store.add_texts([f'{name} more {n}'])\n"
        "    store.save_local(folder, overwrite=True)\n"
    )
    savers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), name, "40"])
        for name in ("a", "b")
    ]
    sizes = set()
    while any(saver.poll() is None for saver in savers):
        store = NearwoodVectorStore.load_local(tmp_path, FAKE)
        sizes.add(len(store))
        assert len(store.similarity_search("first", k=1)) == 1
    assert [saver.returncode for saver in savers] == [0, 0]
    assert len(NearwoodVectorStore.load_local(tmp_path, FAKE, verify=True)) == 90
    assert len(list(tmp_path.iterdir())) == 2 and sizes <= {1, *range(51, 91)}


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_a_killed_saver_left_is_removed_by_the_next(
    call: str, number: int, tmp_path: Path
) -> None:
    NearwoodVectorStore.from_texts(["first"], FAKE).save_local(tmp_path)
    script = SAVER + (
        f"original, calls = os.{call}, []\n"
        f"def killed(*args):\n"
        f"    calls.append(args)\n"
        f"    if len(calls) == times:\n"
        f"        os.kill(os.getpid(), signal.SIGKILL)\n"
        f"    return original(*args)\n"
        f"_docstore.os.{call} = killed\n"
        f"store.save_local(folder)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path), "a", str(number)]
    code = subprocess.run(command).returncode
    assert code == (0 if (call, number) == ("replace", 3) else -signal.SIGKILL)
    store = NearwoodVectorStore.load_local(tmp_path, FAKE, verify=True)
    assert len(store) in (1, 50)
    store.save_local(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2, sorted(os.listdir(tmp_path))
    assert len(NearwoodVectorStore.load_local(tmp_path, FAKE)) == len(store)


def test_a_folder_that_cannot_be_synced_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(clustered(50, 4))
    sync = os.fsync

    def refuse(number: int, calls: list[int]) -> None:
        def fsync(descriptor: int) -> None:
            if os.path.isdir(f"/proc/self/fd/{descriptor}"):
                calls.append(descriptor)
                if number == 22 or len(calls) == 2:
                    raise OSError(number, os.strerror(number))
            sync(descriptor)

        monkeypatch.setattr("nearwood._docstore.os.fsync", fsync)

    refuse(22, [])
    store.save_local(tmp_path)
    assert len(NearwoodVectorStore.load_local(tmp_path, Written())) == 50
    store.add_texts(["1 2 3 4"])
    refuse(5, [])
    with pytest.raises(OSError, match="is saved, but syncing the folder failed") as caught:
        store.save_local(tmp_path)
    assert caught.value.errno == 5
    assert len(NearwoodVectorStore.load_local(tmp_path, Written())) == 51


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT RUN: other owners need root")
def test_a_saved_store_keeps_owner_group_and_mode(tmp_path: Path) -> None:
    store = store_of(clustered(50, 4))
    store.save_local(tmp_path)
    for path in tmp_path.iterdir():
        os.chown(path, 1234, 5678)
        path.chmod(0o640)
    store.add_texts(["1 2 3 4"])
    store.save_local(tmp_path)
    kept = [
        (p.stat().st_uid, p.stat().st_gid, p.stat().st_mode & 0o777) for p in tmp_path.iterdir()
    ]
    assert kept == [(1234, 5678, 0o640)] * 2


@pytest.mark.parametrize("name", ["../two.nw", "/etc/passwd", ["x"], 7, {"a": 1}, "..\\x"])
def test_a_store_names_no_file_outside_of_it(name: object, tmp_path: Path) -> None:
    store_of(clustered(50, 4)).save_local(tmp_path)
    documents = tmp_path / "documents.jsonl"
    head, *rest = documents.read_bytes().splitlines(keepends=True)
    changed = json.dumps({**json.loads(head), "index": name}).encode() + b"\n"
    documents.write_bytes(changed + b"".join(rest))
    with pytest.raises(nw.FormatError, match="does not begin as a store"):
        NearwoodVectorStore.load_local(tmp_path, Written())


def test_threads_write_and_search_at_once() -> None:
    vectors = clustered(1_200, 4)
    texts = [written(vector) for vector in vectors.tolist()]
    store = NearwoodVectorStore(Written(), metric="euclidean", rebuild_after=100)
    store.add_texts(texts[:200], ids=[str(i) for i in range(200)])
    failures: list[BaseException] = []
    done = threading.Event()

    def search() -> None:
        try:
            while not done.is_set():
                for text in texts[:20]:
                    found = store.similarity_search_with_score(text, k=5, recall=1.0)
                    assert len(found) == 5 and found[0][1] < 1e-3
                    assert len({d.id for d, _ in found}) == 5
                    for document, score in found:
                        far = np.subtract(
                            *map(Written().embed_query, (text, document.page_content))
                        )
                        assert score == pytest.approx(np.linalg.norm(far), abs=1e-3)
        except BaseException as error:
            failures.append(error)

    def write(first: int) -> None:
        for start in range(first, first + 500, 25):
            some = [str(i) for i in range(start, start + 25)]
            store.add_texts(texts[start : start + 25], ids=some)
            store.delete(some[:5])

    searching = [threading.Thread(target=search) for _ in range(2)]
    writing = [threading.Thread(target=write, args=(first,)) for first in (200, 700)]
    for thread in searching + writing:
        thread.start()
    for thread in writing:
        thread.join()
    done.set()
    for thread in searching:
        thread.join()
    assert not failures and len(store) == 200 + 2 * 400


def test_without_langchain_the_error_says_what_to_install() -> None:
    script = "import sys; sys.modules['langchain_core'] = None; import nearwood.langchain"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("pip install 'nearwood[langchain]'")
