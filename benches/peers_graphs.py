"""The peers that walk a graph: hnswlib, usearch, voyager, pynndescent, glass, Intel's SVS."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
from contestants import Library, Setting, geometric, unit
from truth import K, NotRun


def whole_bytes(base: np.ndarray) -> bool:
    """Whether bytes hold the vectors without loss, as they do SIFT descriptors."""
    return bool(base.min() >= 0 and base.max() <= 255 and (base == np.round(base)).all())


class Hnswlib(Library):
    """HNSW over float32."""

    name = distribution = "hnswlib"

    def variants(self, base: np.ndarray, metric: str) -> list[dict]:
        return [{"M": m, "ef_construction": 200} for m in (16, 32)]

    def _empty(self, dim: int, metric: str):
        import hnswlib as library

        return library.Index({"euclidean": "l2", "angular": "cosine", "dot": "ip"}[metric], dim)

    def build(self, data: np.ndarray, metric: str, parameters: dict):
        index = self._empty(data.shape[1], metric)
        index.init_index(len(data), random_seed=1, **parameters)
        index.add_items(data, num_threads=1)
        return index

    def save(self, built, folder: Path) -> None:
        built.save_index(str(folder / "index.hnsw"))

    def open(self, folder, base, metric, parameters):
        index = self._empty(base.shape[1], metric)
        index.load_index(str(folder / "index.hnsw"), max_elements=len(base))
        index.set_num_threads(1)

        def search(queries: np.ndarray) -> np.ndarray:
            return index.knn_query(queries, K, num_threads=1)[0]

        settings = [
            Setting(f"ef={ef}", lambda q: search(q)[0], search, lambda ef=ef: index.set_ef(ef))
            for ef in geometric(10, 1000, 1.06)
        ]
        yield "hnswlib", f"hnswlib, M={parameters['M']}", settings


class Usearch(Library):
    """HNSW over float32, half precision, and bytes where they hold the vectors or their lengths
    are one."""

    name = distribution = "usearch"

    def variants(self, base: np.ndarray, metric: str) -> list[dict]:
        kinds = ["f32", "bf16" if metric != "euclidean" else "f16"]
        if metric == "angular":
            kinds.append("i8")
        elif metric == "euclidean" and whole_bytes(base):
            kinds.append("u8")
        pairs = [(16, kind) for kind in kinds] + [(32, kinds[-1])]
        return [{"connectivity": m, "dtype": kind, "expansion_add": 200} for m, kind in pairs]

    def prepare(self, base: np.ndarray, metric: str) -> np.ndarray:
        return unit(base) if metric == "angular" else base

    def build(self, data: np.ndarray, metric: str, parameters: dict):
        from usearch.index import Index

        kind = {"euclidean": "l2sq", "angular": "cos", "dot": "ip"}[metric]
        index = Index(ndim=data.shape[1], metric=kind, **parameters)
        if parameters["dtype"] == "u8":
            index.add(np.arange(len(data)), data.astype(np.uint8), threads=1, dtype="u8")
        else:
            index.add(np.arange(len(data)), data, threads=1)
        return index

    def save(self, built, folder: Path) -> None:
        built.save(folder / "index.usearch")

    def open(self, folder, base, metric, parameters):
        from usearch.index import Index

        index = Index.restore(folder / "index.usearch")
        kind = parameters["dtype"]
        # Without being told, the package takes bytes for rows of single bits.
        handed, told = ("uint8", "u8") if kind == "u8" else ("float32", None)

        def search(queries: np.ndarray) -> np.ndarray:
            return index.search(queries, K, threads=1, dtype=told).keys

        settings = [
            Setting(
                f"expansion={ef}",
                search,
                search,
                lambda ef=ef: setattr(index, "expansion_search", ef),
                handed,
            )
            for ef in geometric(10, 1000, 1.06)
        ]
        name = f"usearch, {kind}, M={parameters['connectivity']} ({index.hardware_acceleration})"
        yield "usearch", name, settings


class Voyager(Library):
    """HNSW over float32 and, for vectors of length one, over bytes."""

    name = distribution = "voyager"

    def variants(self, base: np.ndarray, metric: str) -> list[dict]:
        pairs = [(16, "Float32"), (32, "Float32")]
        if metric == "angular":
            pairs.append((16, "Float8"))
        return [{"M": m, "storage": kind} for m, kind in pairs]

    def build(self, data: np.ndarray, metric: str, parameters: dict):
        import voyager as library

        space = {"euclidean": "Euclidean", "angular": "Cosine", "dot": "InnerProduct"}[metric]
        index = library.Index(
            getattr(library.Space, space),
            num_dimensions=data.shape[1],
            M=parameters["M"],
            ef_construction=200,
            random_seed=1,
            max_elements=len(data),
            storage_data_type=getattr(library.StorageDataType, parameters["storage"]),
        )
        index.add_items(data, num_threads=1)
        return index

    def save(self, built, folder: Path) -> None:
        built.save(str(folder / "index.voy"))

    def open(self, folder, base, metric, parameters):
        import voyager as library

        index = library.Index.load(str(folder / "index.voy"))

        def setting(ef: int) -> Setting:
            search = lambda q: index.query(q, K, num_threads=1, query_ef=ef)[0]  # noqa: E731
            return Setting(f"query_ef={ef}", search, search)

        name = f"voyager, {parameters['storage']}, M={parameters['M']}"
        yield "voyager", name, [setting(ef) for ef in geometric(10, 1000, 1.06)]


class Pynndescent(Library):
    """A pruned graph of nearest neighbours, with and without a copy of the vectors in bytes."""

    name = distribution = "pynndescent"

    def variants(self, base: np.ndarray, metric: str) -> list[dict]:
        if metric == "dot":
            raise NotRun("its `dot` is for vectors of length one")
        codes = "int8" if metric == "angular" else "uint8"
        return [
            {"n_neighbors": neighbors, "pruning_degree_multiplier": 1.5, "quantization": q}
            for neighbors, q in [(30, None), (30, codes), (60, codes)]
        ]

    def build(self, data: np.ndarray, metric: str, parameters: dict):
        from pynndescent import NNDescent

        kind = "cosine" if metric == "angular" else metric
        index = NNDescent(data, metric=kind, n_jobs=1, random_state=1, **parameters)
        index.prepare()
        return index

    def save(self, built, folder: Path) -> None:
        with open(folder / "index.pickle", "wb") as file:
            pickle.dump(built, file, protocol=5)

    def open(self, folder, base, metric, parameters):
        with open(folder / "index.pickle", "rb") as file:
            index = pickle.load(file)
        unit_queries = metric == "angular"

        def setting(epsilon: float, width: int | None) -> Setting:
            given = {"epsilon": epsilon, "return_distances": False}
            given |= {"pre_normalized": True} if unit_queries else {}
            given |= {"candidate_width": width} if width else {}
            search = lambda qs: index.query(qs, K, **given)  # noqa: E731
            name = f"epsilon={epsilon}" + (f", width={width}" if width else "")
            return Setting(name, lambda q: search(q[None])[0], search)

        widths = [None] if parameters["quantization"] is None else [16, 24, 40, 64, 100, 160]
        steps = [0.0, 0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.36, 0.42, 0.5]
        codes = f", {parameters['quantization']}" if parameters["quantization"] else ""
        name = f"pynndescent, n_neighbors={parameters['n_neighbors']}{codes}"
        yield "pynndescent", name, [setting(e, w) for e in steps for w in widths]


class Glass(Library):
    """HNSW and NSG, each searched over codes of several kinds and refined. It keeps the graph alone
    in a file; codes are made from the vectors, which are counted with it, when it is opened."""

    name = distribution = "glass"

    #: What is searched by, and by what the best found are ordered again.
    CODES = (("SQ8U", ""), ("SQ8U", "FP16"), ("SQ4U", "FP16"), ("SQ4U", "SQ8U"), ("FP16", ""))

    def variants(self, base: np.ndarray, metric: str) -> list[dict]:
        kinds = [("HNSW", 32), ("HNSW", 48)] + ([("NSG", 32)] if metric != "dot" else [])
        return [{"index_type": kind, "R": r, "L": 200, "quant": "SQ8U"} for kind, r in kinds]

    def _metric(self, metric: str, parameters: dict) -> str:
        """NSG is made for distances alone, which order rows of length one as angles do."""
        return "L2" if metric == "euclidean" or parameters["index_type"] == "NSG" else "IP"

    def prepare(self, base: np.ndarray, metric: str) -> np.ndarray:
        return unit(base) if metric == "angular" else base

    def build(self, data: np.ndarray, metric: str, parameters: dict):
        import glass as library

        library.set_num_threads(1)
        index = library.Index(metric=self._metric(metric, parameters), **parameters)
        return index.build(data), data

    def save(self, built, folder: Path) -> None:
        graph, data = built
        graph.save(str(folder / "graph.glass"))
        np.save(folder / "rows.npy", data)

    def open(self, folder, base, metric, parameters):
        import glass as library

        library.set_num_threads(1)
        rows, kind = np.load(folder / "rows.npy"), self._metric(metric, parameters)
        for codes, refined in self.CODES:
            graph = library.Graph(str(folder / "graph.glass"))
            searcher = library.Searcher(graph, rows, kind, codes, refined)
            searcher.optimize(1)
            # Optimizing leaves as many threads as the machine has where it is not told.
            library.set_num_threads(1)
            by = f"{codes} then {refined}" if refined else codes
            name = f"glass, {parameters['index_type']}, R={parameters['R']}, {by}"
            yield "glass", name, list(_glass_settings(searcher))


def _glass_settings(searcher) -> Iterator[Setting]:
    for ef in geometric(10, 1000, 1.06):
        yield Setting(
            f"ef={ef}",
            lambda q: searcher.search(q, K)[0],
            lambda qs: searcher.batch_search(qs, K, 1)[0],
            lambda ef=ef: searcher.set_ef(ef),
        )


class Svs(Library):
    """Intel's Vamana: over its own codes of one and two levels (LVQ), over half precision, and over
    bytes. LVQ ends the process where the processor is not Intel's; such a build is then named as
    not run."""

    name, distribution = "svs", "scalable-vs"

    def variants(self, base: np.ndarray, metric: str) -> list[dict]:
        kinds = [(32, "8x0"), (64, "8x0"), (32, "4x8"), (64, "4x8"), (32, "float16")]
        if metric == "euclidean" and whole_bytes(base):
            kinds += [(32, "uint8"), (64, "uint8")]
        elif metric == "angular":
            kinds.append((64, "float16"))
        alpha = 1.2 if metric == "euclidean" else 0.95
        return [{"codes": c, "degree": d, "window": 128, "alpha": alpha} for d, c in kinds]

    def prepare(self, base: np.ndarray, metric: str) -> object:
        return unit(base) if metric == "angular" else base

    def _distance(self, metric: str):
        import svs as library

        return library.DistanceType.L2 if metric == "euclidean" else library.DistanceType.MIP

    def build(self, data: np.ndarray, metric: str, parameters: dict):
        import svs as library

        given = library.VamanaBuildParameters(
            alpha=parameters["alpha"],
            graph_max_degree=parameters["degree"],
            window_size=parameters["window"],
        )
        codes, distance = parameters["codes"], self._distance(metric)
        if "x" in codes:
            # The package compresses what lies in a file.
            with tempfile.NamedTemporaryFile(suffix=".fvecs") as file:
                library.write_vecs(data, file.name)
                vectors = library.VectorDataLoader(file.name, library.DataType.float32)
                primary, residual = map(int, codes.split("x"))
                loader = library.LVQLoader(vectors, primary=primary, residual=residual)
                return library.Vamana.build(given, loader, distance, num_threads=1)
        return library.Vamana.build(given, data.astype(codes), distance, num_threads=1)

    def save(self, built, folder: Path) -> None:
        built.save(*(str(folder / part) for part in ("config", "graph", "data")))

    def open(self, folder, base, metric, parameters):
        import svs as library

        config, graph, data = (str(folder / part) for part in ("config", "graph", "data"))
        codes, handed = parameters["codes"], "float32"
        if "x" in codes:
            loader = library.LVQLoader(data)
        else:
            loader = library.VectorDataLoader(data, getattr(library.DataType, codes))
            handed = "uint8" if codes == "uint8" else "float32"
        index = library.Vamana(
            config,
            library.GraphLoader(graph),
            loader,
            self._distance(metric),
            query_type=getattr(library.DataType, handed),
            num_threads=1,
        )
        name = f"svs, {'LVQ' if 'x' in codes else ''}{codes}, degree {parameters['degree']}"
        yield "svs", name, list(_svs_settings(index, "x0" not in codes and "x" in codes, handed))


def _svs_settings(index, two_levels: bool, handed: str) -> Iterator[Setting]:
    """Windows, and of what is fetched ahead the two ways that were ever the fastest; the second
    level of codes looks at as many again as the window holds."""
    import svs as library

    def search(queries: np.ndarray) -> np.ndarray:
        return index.search(queries, K)[0]

    for window in geometric(10, 800, 1.06):
        for times, (ahead, step) in product((1, 1.5, 2) if two_levels else (1,), ((4, 1), (1, 1))):
            buffer = library.SearchBufferConfig(window, round(window * times))
            given = library.VamanaSearchParameters(buffer, True, ahead, step)
            yield Setting(
                f"window={window}" + (f", capacity={round(window * times)}" if two_levels else ""),
                lambda q: search(q)[0],
                search,
                lambda given=given: setattr(index, "search_parameters", given),
                handed,
            )
