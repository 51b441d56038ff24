"""The peers that search trees, lists and compressed codes: annoy, faiss, ScaNN."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from contestants import Library, Setting, geometric, unit
from truth import K


class Annoy(Library):
    """A forest; there is no search of a batch."""

    name = distribution = "annoy"

    def variants(self, base: np.ndarray, metric: str) -> list[dict]:
        return [{"n_trees": trees, "dim": base.shape[1]} for trees in (50, 100, 200)]

    def build(self, data: np.ndarray, metric: str, parameters: dict):
        from annoy import AnnoyIndex

        index = AnnoyIndex(parameters["dim"], metric)
        index.set_seed(1)
        for i, row in enumerate(data):
            index.add_item(i, row)
        index.build(parameters["n_trees"], n_jobs=1)
        return index

    def save(self, built, folder: Path) -> None:
        built.save(str(folder / "index.ann"))

    def open(self, folder, base, metric, parameters):
        from annoy import AnnoyIndex

        index = AnnoyIndex(parameters["dim"], metric)
        index.load(str(folder / "index.ann"), prefault=True)
        yield (
            "annoy",
            f"annoy, {parameters['n_trees']} trees",
            [
                Setting(
                    f"search_k={s}",
                    lambda q, s=s: np.array(index.get_nns_by_vector(q, K, s)),
                )
                for s in geometric(500, 2 * len(base), 1.3)
            ],
        )


class Faiss(Library):
    """Inverted lists, lists of 4-bit product codes for fast scanning with the rows to refine by,
    and HNSW over float32 and over bytes."""

    name, distribution = "faiss", "faiss-cpu"

    def variants(self, base: np.ndarray, metric: str) -> list[dict]:
        dim, lists = base.shape[1], 4 * int(len(base) ** 0.5) // 4
        specs = [f"IVF{lists},Flat", f"IVF{lists},PQ{dim // 2}x4fsr,RFlat"]
        if dim >= 256:
            specs.append(f"IVF{lists},PQ{dim // 4}x4fsr,RFlat")
        return [{"spec": spec} for spec in [*specs, "HNSW32", "HNSW32_SQ8"]]

    def prepare(self, base: np.ndarray, metric: str) -> np.ndarray:
        return unit(base) if metric == "angular" else base

    def build(self, data: np.ndarray, metric: str, parameters: dict):
        import faiss as library

        library.omp_set_num_threads(1)
        kind = library.METRIC_L2 if metric == "euclidean" else library.METRIC_INNER_PRODUCT
        index = library.index_factory(data.shape[1], parameters["spec"], kind)
        if "HNSW" in parameters["spec"]:
            index.hnsw.efConstruction = 200
        index.train(data)
        index.add(data)
        return index

    def save(self, built, folder: Path) -> None:
        import faiss as library

        library.write_index(built, str(folder / "index.faiss"))

    def open(self, folder, base, metric, parameters):
        import faiss as library

        library.omp_set_num_threads(1)
        index = library.read_index(str(folder / "index.faiss"))
        spec = parameters["spec"]
        yield "faiss", f"faiss, {spec}", list(_faiss_settings(index, spec))


def _faiss_settings(index, spec: str) -> Iterator[Setting]:
    import faiss as library

    def setting(name: str, parameters) -> Setting:
        search = lambda qs: index.search(qs, K, params=parameters)[1]  # noqa: E731
        return Setting(name, lambda q: search(q[None])[0], search)

    if "HNSW" in spec:
        for ef in geometric(10, 1500, 1.15):
            yield setting(f"efSearch={ef}", library.SearchParametersHNSW(efSearch=ef))
        return
    for probe in geometric(1, index.nlist if hasattr(index, "nlist") else 400, 1.2):
        parameters = library.SearchParametersIVF(nprobe=probe)
        if "RFlat" not in spec:
            yield setting(f"nprobe={probe}", parameters)
            continue
        for factor in (2, 3, 5, 10):
            refined = library.IndexRefineSearchParameters(
                k_factor=factor, base_index_params=parameters
            )
            yield setting(f"nprobe={probe}, k_factor={factor}", refined)


class Scann(Library):
    """Lists of 4-bit codes, anisotropic and plain."""

    name = distribution = "scann"

    def variants(self, base: np.ndarray, metric: str) -> list[dict]:
        leaves = int(len(base) ** 0.5)
        return [
            {"leaves": leaves * times, "anisotropic": anisotropic}
            for times in (1, 3)
            for anisotropic in (True, False)
        ]

    def prepare(self, base: np.ndarray, metric: str) -> np.ndarray:
        return unit(base) if metric == "angular" else base

    def build(self, data: np.ndarray, metric: str, parameters: dict):
        import scann as library

        distance = "squared_l2" if metric == "euclidean" else "dot_product"
        threshold = 0.2 if parameters["anisotropic"] else float("nan")
        sample = min(len(data), 250_000)
        builder = library.scann_ops_pybind.builder(data, K, distance)
        builder = builder.tree(parameters["leaves"], 10, training_sample_size=sample)
        builder = builder.score_ah(2, anisotropic_quantization_threshold=threshold)
        return builder.reorder(100).set_n_training_threads(1).build()

    def save(self, built, folder: Path) -> None:
        built.serialize(str(folder), relative_path=True)

    def open(self, folder, base, metric, parameters):
        import scann as library

        index = library.scann_ops_pybind.load_searcher(str(folder))

        def setting(probe: int, reorder: int) -> Setting:
            given = {"leaves_to_search": probe, "pre_reorder_num_neighbors": reorder}
            return Setting(
                f"leaves={probe}, reorder={reorder}",
                lambda q: index.search(q, K, **given)[0],
                lambda qs: index.search_batched(qs, K, **given)[0],
            )

        steps = geometric(1, parameters["leaves"], 1.25)
        kind = "" if parameters["anisotropic"] else ", isotropic"
        settings = [setting(p, r) for p in steps for r in (20, 50, 150)]
        yield "scann", f"scann, {parameters['leaves']} leaves{kind}", settings
