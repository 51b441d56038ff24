"""A LangChain vector store over a nearwood index.

Documents and vectors are kept in memory. An index never changes once it is built, so what was
added since waits beside it and is compared exactly, what was deleted is passed over, and once
enough waits the next search builds the index anew; a store of fewer than two thousand documents has
none. What that means for a user is in ``docs/integrations/langchain.md``.

>>> from langchain_core.embeddings import DeterministicFakeEmbedding
>>> from nearwood.langchain import NearwoodVectorStore
>>> store = NearwoodVectorStore(DeterministicFakeEmbedding(size=8))
>>> store.add_texts(["red", "blue"], [{"warm": True}, {"warm": False}], ids=["r", "b"])
['r', 'b']
>>> [document.id for document in store.similarity_search("blue", k=1)]
['b']
>>> [document.id for document in store.similarity_search("blue", k=1, filter={"warm": True})]
['r']
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nearwood import _docstore
from nearwood._docstore import StoreChangedError
from nearwood._growing import AT_LEAST, Growing, Snapshot

try:
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStore
    from langchain_core.vectorstores.utils import maximal_marginal_relevance
except ModuleNotFoundError as _error:
    raise ImportError(
        "nearwood.langchain needs langchain-core: pip install 'nearwood[langchain]'"
    ) from _error

__all__ = ["NearwoodVectorStore", "StoreChangedError"]

_Filter: TypeAlias = Callable[[Document], bool] | Mapping[str, Any] | None


class NearwoodVectorStore(VectorStore):
    """Documents by the nearness of their vectors.

    Args:
        embedding: What turns texts into vectors.
        metric: "angular" (scores are 1 - cosine), "euclidean" (L2) or "dot" (the inner product:
            the one metric whose scores are the better the larger).
        recall: Which share of the true nearest a search is to find, for searches that do not say;
            None is 0.95.
        rebuild_after: How many documents may wait beside the index at least. The limit is a tenth
            of what is indexed where that is more.
        relevance_score_fn: From a score to a relevance within 0 and 1; None is one for the metric.
        n_threads: For building; None is all cores.

    Any number of threads may read and write at once. Embedding and searching hold no lock.

    Raises:
        ValueError: For another metric.
    """

    def __init__(
        self,
        embedding: Embeddings,
        *,
        metric: str = "angular",
        recall: float | None = None,
        rebuild_after: int = AT_LEAST,
        relevance_score_fn: Callable[[float], float] | None = None,
        n_threads: int | None = None,
    ) -> None:
        self._embedding = embedding
        self._recall = recall
        self._relevance = relevance_score_fn
        self._documents: Growing[Document] = Growing(
            metric, at_least=rebuild_after, n_threads=n_threads
        )
        self._saving = threading.Lock()
        #: What each folder held when this store was loaded from it or last saved there.
        self._known: dict[str, str] = {}

    @property
    def embeddings(self) -> Embeddings:
        return self._embedding

    @property
    def metric(self) -> str:
        """How vectors are compared: ``"angular"``, ``"euclidean"`` or ``"dot"``."""
        return self._documents.metric

    def __len__(self) -> int:
        return len(self._documents)

    def __bool__(self) -> bool:
        """True also of an empty store: callers ask whether there is one."""
        return True

    def __repr__(self) -> str:
        return f"NearwoodVectorStore({len(self)} documents, {self.metric})"

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> NearwoodVectorStore:
        """A store with these texts; further arguments are the class's own."""
        store = cls(embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Embeds and adds; a text under an id that is there replaces it. Returns the ids.

        Raises:
            ValueError: If texts, metadatas and ids differ in number, or if the vectors are not
                finite or differ in length from those stored. Nothing is added then.
        """
        _refuse(kwargs)
        texts = list(texts)
        _agree(len(texts), metadatas, ids)
        return self._put(texts, self._embedding.embed_documents(texts), metadatas, ids)

    def add_embeddings(
        self,
        text_embeddings: Iterable[tuple[str, Sequence[float]]],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
    ) -> list[str]:
        """As :meth:`add_texts`, for texts that were embedded before: (text, vector) each."""
        pairs = list(text_embeddings)
        _agree(len(pairs), metadatas, ids)
        return self._put([text for text, _ in pairs], [v for _, v in pairs], metadatas, ids)

    def _put(
        self,
        texts: list[str],
        vectors: Sequence[Sequence[float]],
        metadatas: list[dict[str, Any]] | None,
        ids: Sequence[str | None] | None,
    ) -> list[str]:
        keys = [key or str(uuid.uuid4()) for key in ids or [None] * len(texts)]
        documents = [
            Document(id=key, page_content=text, metadata=dict(metadata))
            for key, text, metadata in zip(keys, texts, metadatas or [{}] * len(texts), strict=True)
        ]
        self._documents.put(keys, vectors, documents)
        return keys

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Removes these documents, or all for None; ids that are not there are passed over."""
        _refuse(kwargs)
        self._documents.drop(ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents of the ids that are there, in the order asked for."""
        return [_copy(document) for document in self._documents.get(ids)]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The k nearest documents; ``filter`` and ``recall`` as in
        :meth:`similarity_search_with_score_by_vector`."""
        return _documents(self.similarity_search_with_score(query, k, **kwargs))

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """The k documents nearest to a vector."""
        return _documents(self.similarity_search_with_score_by_vector(embedding, k, **kwargs))

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The k nearest documents with their distances (under "dot" their products)."""
        vector = self._embedding.embed_query(query)
        return self.similarity_search_with_score_by_vector(vector, k, **kwargs)

    def similarity_search_with_score_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: _Filter = None,
        recall: float | None = None,
        **kwargs: Any,
    ) -> list[tuple[Document, float]]:
        """The k documents nearest to a vector with their distances, nearest first.

        Args:
            embedding: The vector.
            k: How many. There are fewer only if fewer documents are there and pass.
            filter: A function of a document, or a mapping: every key must be in the metadata with
                that value, or with one of the values where it is given a list.
            recall: Instead of the store's.
        """
        _refuse(kwargs)
        snapshot, hits = self._search(embedding, k, filter, recall)
        return [(_copy(snapshot.values[row]), score) for row, score in hits]

    def _search(
        self, vector: Sequence[float], k: int, filter: _Filter, recall: float | None
    ) -> tuple[Snapshot[Document], list[tuple[int, float]]]:
        recall = self._recall if recall is None else recall
        return self._documents.search(np.asarray(vector), k, _passing(filter), recall)

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Near and unlike one another: k of the ``fetch_k`` nearest, each in turn the best of
        ``lambda_mult`` times its likeness to the query less the rest times that to those chosen."""
        vector = self._embedding.embed_query(query)
        return self.max_marginal_relevance_search_by_vector(
            vector, k, fetch_k, lambda_mult, **kwargs
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: _Filter = None,
        recall: float | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """As :meth:`max_marginal_relevance_search`, for a vector."""
        _refuse(kwargs)
        snapshot, hits = self._search(embedding, max(k, fetch_k), filter, recall)
        rows = [row for row, _ in hits]
        query: NDArray[np.float32] = np.asarray(embedding, dtype=np.float32)
        # A list of rows: an empty array would be compared, and cannot be.
        vectors: list[Any] = list(snapshot.vectors(rows))
        chosen = maximal_marginal_relevance(query, vectors, lambda_mult, k) if rows else []
        return [_copy(snapshot.values[rows[place]]) for place in chosen]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return self._relevance or _RELEVANCE[self.metric]

    def rebuild(self) -> None:
        """Builds the index over all documents now, rather than in the search that next needs it.

        Searches by other threads go on meanwhile; adding and deleting wait.
        """
        self._documents.rebuild()

    def save_local(self, folder: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Writes index and documents into a folder, which is made if need be.

        A store that was saved there before is replaced as a whole: whatever ends the process, the
        folder holds the old one or the new one. The index is built first. Processes that save to
        one folder take turns.

        Args:
            folder: Where to.
            overwrite: Replace the store there even if another process or store has saved it since
                this one was loaded from it or last saved there.

        Raises:
            StoreChangedError: If another process or store has saved to the folder since, whose
                documents would be lost. Nothing is written then.
            TypeError: If metadata cannot be written as JSON; the document is named.
        """
        with self._saving:
            snapshot = self._documents.rebuild()
            place = os.path.realpath(folder)
            self._known[place] = _docstore.save(
                folder,
                snapshot.metric,
                snapshot.index,
                [_record(d) for d in snapshot.values],
                None if overwrite else self._known.get(place),
            )

    @classmethod
    def load_local(
        cls,
        folder: str | PathLike[str],
        embeddings: Embeddings,
        *,
        verify: bool = False,
        **kwargs: Any,
    ) -> NearwoodVectorStore:
        """A store as :meth:`save_local` wrote it: nothing in it is executed.

        Args:
            folder: Where it was saved.
            embeddings: The model that embedded the documents.
            verify: Recompute the index's checksums, which reads it whole.
            **kwargs: As for the class, without ``metric``.

        Raises:
            FileNotFoundError: If there is no store.
            nearwood.FormatError: If a file is damaged, or index and documents are not of one save.
        """
        metric, index, records, known = _docstore.load(folder, verify=verify)
        store = cls(embeddings, metric=metric, **kwargs)
        store._known[os.path.realpath(folder)] = known
        documents = [_document(record) for record in records]
        store._documents.adopt(index, [record["id"] for record in records], documents)
        return store


def _clipped(value: float) -> float:
    return min(1.0, max(0.0, value))


#: Relevance is to be within 0 and 1: cosines below count as 0, and products are taken for cosines.
_RELEVANCE: dict[str, Callable[[float], float]] = {
    "angular": lambda distance: _clipped(1.0 - distance),
    "euclidean": lambda distance: 1.0 / (1.0 + distance),
    "dot": _clipped,
}


def _refuse(unknown: Mapping[str, Any]) -> None:
    if unknown:
        raise TypeError(f"unexpected keyword argument {next(iter(unknown))!r}")


def _agree(n: int, metadatas: Sequence[Any] | None, ids: Sequence[Any] | None) -> None:
    """Before anything is embedded, which may cost money."""
    for what, given in (("metadatas", metadatas), ("ids", ids)):
        if given and len(given) != n:
            raise ValueError(f"got {len(given)} {what} for {n} texts: give one for each")


def _copy(document: Document) -> Document:
    """The caller's own, so that changing it does not change the store."""
    return Document(
        id=document.id, page_content=document.page_content, metadata=dict(document.metadata)
    )


def _documents(scored: list[tuple[Document, float]]) -> list[Document]:
    return [document for document, _ in scored]


def _passing(filter: _Filter) -> Callable[[Document], bool] | None:
    """A filter as a function; an empty mapping asks for nothing."""
    if filter is None or callable(filter):
        return filter
    if not isinstance(filter, Mapping):
        raise TypeError(f"filter is a {type(filter).__name__}, expected a function or a mapping")
    for key, value in filter.items():
        if str(key).startswith("$") or isinstance(value, Mapping):
            raise ValueError(
                f"filter has {key!r}: {value!r}, and operators are not known: "
                "give values to be equal to, or a function of a document"
            )
    # Lists, since what is in the metadata need not be hashable.
    several = (list, tuple, set, frozenset)
    wanted = {k: list(v) if isinstance(v, several) else [v] for k, v in filter.items()}

    def passes(document: Document) -> bool:
        metadata = document.metadata
        return all(key in metadata and metadata[key] in any_of for key, any_of in wanted.items())

    return passes if wanted else None


def _record(document: Document) -> dict[str, Any]:
    return {
        "id": document.id,
        "page_content": document.page_content,
        "metadata": document.metadata,
    }


def _document(record: dict[str, Any]) -> Document:
    return Document(
        id=record["id"], page_content=record["page_content"], metadata=record["metadata"]
    )
