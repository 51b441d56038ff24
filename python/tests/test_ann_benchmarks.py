"""The files in benches/ann_benchmarks, in a small stand-in of that project's loader and runner."""

from __future__ import annotations

import importlib
import itertools
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import truth

OURS = Path(__file__).parents[2] / "benches" / "ann_benchmarks"
PACKAGE = "ann_benchmarks.algorithms.nearwood"
#: What a subclass inherits there and must therefore not rely on being more.
BASE = """
class BaseANN:
    def done(self): ...
    def get_memory_usage(self): return 0.0
    def fit(self, X): ...
    def query(self, q, n): return []
    def batch_query(self, X, n): self.res = [self.query(q, n) for q in X]
    def get_batch_results(self): return self.res
    def get_additional(self): return {}
    def __str__(self): return self.name
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Our folder copied to its place beside the base class, importable as it is there."""
    root = tmp_path_factory.mktemp("project")
    algorithms = root / "ann_benchmarks" / "algorithms"
    shutil.copytree(OURS, algorithms / "nearwood")
    (algorithms / "base").mkdir()
    (algorithms / "base" / "module.py").write_text(BASE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root))
        yield
    for name in [name for name in sys.modules if name.split(".")[0] == "ann_benchmarks"]:
        del sys.modules[name]


def combinations(given: list | dict) -> list:
    """Every choice of one out of each list: of a list's places, or of a dict's values."""
    if isinstance(given, dict):
        lists = [value if isinstance(value, list) else [value] for value in given.values()]
        return [dict(zip(given, one, strict=True)) for one in itertools.product(*lists)]
    lists = [value if isinstance(value, list) else [value] for value in given]
    return [list(one) for one in itertools.product(*lists)]


def arguments(group: dict[str, Any], plain: str, grouped: str) -> list[list]:
    """`args` or `arg_groups` of a run group, of which the latter may hold dicts of lists."""
    if grouped not in group:
        return combinations(group[plain])
    return combinations([combinations(g) if isinstance(g, dict) else g for g in group[grouped]])


def definitions(point_type: str, metric: str) -> list[tuple[list, list[list]]]:
    """For each build its arguments and those of its queries, by way of JSON as they come there."""
    sections = yaml.safe_load((OURS / "config.yml").read_text())[point_type]
    algorithms = sections.get("any", []) + sections.get(metric, [])
    found = []
    for algorithm in algorithms:
        assert (algorithm["module"], algorithm["constructor"]) == (PACKAGE, "Nearwood")
        assert algorithm["docker_tag"] == "ann-benchmarks-nearwood" and not algorithm["disabled"]
        base = [metric if word == "@metric" else word for word in algorithm["base_args"]]
        for group in algorithm["run_groups"].values():
            queries = arguments(group, "query_args", "query_arg_groups")
            for build in arguments(group, "args", "arg_groups"):
                found.append(tuple(json.loads(json.dumps([base + build, queries]))))
    return found


def construct(build: list) -> Any:
    return importlib.import_module(f"{PACKAGE}.module").Nearwood(*build)


def recall(lists: Any, near: np.ndarray, base: np.ndarray, queries: np.ndarray, metric: str):
    """The share of answers no farther than the k-th nearest, as the project counts."""
    right = 0
    for query, found, distances in zip(queries, lists, near, strict=True):
        assert len(found) == near.shape[1] == len({int(i) for i in found})
        mine = truth(base[np.asarray(found)], query[None], len(found), metric)[0]
        right += int((mine <= distances[-1] + 1e-3).sum())
    return right / near.size


def data(metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Without clusters, so that little work finds little."""
    rows = np.random.default_rng(0).normal(size=(4020, 48)).astype(np.float32)
    rows = rows > 0 if metric == "hamming" else rows
    return rows[:4000], rows[4000:]


@pytest.mark.parametrize(
    ("point_type", "metric"), [("float", "euclidean"), ("float", "angular"), ("bit", "hamming")]
)
def test_the_runner_runs_every_definition(installed: None, point_type: str, metric: str) -> None:
    base, queries = data(metric)
    near = truth(base, queries, 10, metric)
    defined = definitions(point_type, metric)
    names = set()
    for build, efforts in defined:
        algorithm = construct(build)
        before = algorithm.get_memory_usage()
        algorithm.fit(base)
        held = algorithm.get_memory_usage() - before
        assert base.nbytes / 8 < held * 1024 < 10 * base.size * 4
        reached = {}
        for effort in efforts:
            algorithm.set_query_arguments(*effort)
            single = [algorithm.query(query, 10) for query in queries]
            algorithm.batch_query(queries, 10)
            together = recall(algorithm.get_batch_results(), near, base, queries, metric)
            reached[json.dumps(effort)] = alone = recall(single, near, base, queries, metric)
            assert together >= alone - 0.05, effort
            assert algorithm.get_additional() == {}
            names.add(str(algorithm))
        low, high = reached['[{"recall": 0.5}]'], reached['[{"recall": 0.999}]']
        assert low < high - 0.05 and high > 0.97, reached
        # A walk keeps a part of the rows only, whatever its budget: 0.94 here.
        assert reached['[{"budget": 100}]'] < reached['[{"budget": 102400}]'] > 0.9
        algorithm.done()
    assert len(defined) >= 2
    assert len(names) == sum(len(efforts) for _, efforts in defined)


def test_no_more_is_answered_than_there_is(installed: None) -> None:
    algorithm = construct(["euclidean", {}])
    algorithm.fit(np.eye(4, dtype=np.float32))
    assert sorted(algorithm.query(np.zeros(4, dtype=np.float32), 10)) == [0, 1, 2, 3]
    algorithm.batch_query(np.zeros((2, 4), dtype=np.float32), 10)
    assert all(sorted(found) == [0, 1, 2, 3] for found in algorithm.get_batch_results())


def test_the_image_is_built_on_the_projects_own() -> None:
    lines = (OURS / "Dockerfile").read_text().splitlines()
    assert lines[0] == "FROM ann-benchmarks"
    assert any(line.startswith("COPY ann_benchmarks/algorithms/nearwood/") for line in lines)
