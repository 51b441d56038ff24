"""`nearwood.mlflow` against the real package, with a tracking store in a folder."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from conftest import clustered
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from test_pages import ROOT, blocks

import nearwood as nw
import nearwood.mlflow

with warnings.catch_warnings():
    # Of MLflow's own type hints, on import.
    warnings.filterwarnings("ignore", ".*Any type hint is inferred as AnyType", UserWarning)
    import mlflow.pyfunc

PAGE = ROOT / "docs" / "integrations" / "mlflow.md"


@pytest.fixture(autouse=True)
def tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # A store in files needs no database packages, and MLflow wants to be told that it is meant.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.chdir(tmp_path)
    yield
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture(scope="module")
def labelled() -> nw.Index:
    vectors = clustered(200, 8)
    names = [f"name {i}" for i in range(200)]
    return nw.Index.build(
        vectors, metric="angular", ids=[f"v{i}" for i in range(200)], labels=names
    )


def test_a_recommender_is_logged_and_loaded(rec: nw.Recommender) -> None:
    with mlflow.start_run() as run:
        info = nearwood.mlflow.log_model(rec, name="music", params={"factors": 8})
    loaded = nearwood.mlflow.load_model(info.model_uri)
    assert isinstance(loaded, nw.Recommender) and loaded.info()["mapped"]
    assert loaded.to_bytes() == rec.to_bytes()
    assert info.run_id == run.info.run_id and set(info.flavors) == {"nearwood", "python_function"}
    assert info.flavors["nearwood"]["model_type"] == "Recommender"

    function = mlflow.pyfunc.load_model(info.model_uri)
    table = function.predict(pd.DataFrame({"user": ["u3", "u4"]}), params={"k": 4})
    assert list(table.columns) == ["user", "rank", "item", "score", "label"]
    ids, scores = rec.recommend(["u3", "u4"], k=4)
    assert table["user"].tolist() == ["u3"] * 4 + ["u4"] * 4
    assert table["rank"].tolist() == [1, 2, 3, 4] * 2
    assert table["item"].tolist() == ids.ravel().tolist()
    np.testing.assert_array_equal(table["score"], scores.ravel())
    assert table["label"].tolist() == [f"Song {item}" for item in ids.ravel()]
    assert len(function.predict(pd.DataFrame({"user": ["u3"]}))) == 20
    with pytest.raises(KeyError, match='no user "nobody"'):
        function.predict(pd.DataFrame({"user": ["nobody"]}))
    with pytest.raises(MlflowException, match="Incompatible input types"):
        function.predict(pd.DataFrame({"user": [3]}))


def test_params_are_those_of_recommend(rec: nw.Recommender, tmp_path: Path) -> None:
    nearwood.mlflow.save_model(rec, tmp_path / "model")
    function = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    users = pd.DataFrame({"user": ["u7"]})
    every = function.predict(users, params={"k": 60, "include_seen": True, "exact": True})
    assert set(every["item"]) == set(rec.items)
    unseen = function.predict(users, params={"k": 60, "exact": True})
    assert set(unseen["item"]) == set(rec.items) - set(rec.seen("u7"))  # nothing to fill up with
    native = nearwood.mlflow.RecommenderFunction(rec)
    for users_alone in (["u7"], np.array(["u7"]), {"user": ["u7"]}, pd.Series(["u7"]), "u7"):
        assert native.predict(users_alone, {"k": 60, "exact": True}).equals(unseen)
    with pytest.raises(ValueError, match=r"params has \['K'\], expected some of"):
        native.predict(users, {"K": 3})
    with pytest.raises(ValueError, match=r"got columns \['who'\], expected 'user' or 'history'"):
        native.predict(pd.DataFrame({"who": ["u7"]}))


def test_histories_of_users_who_are_not_known(rec: nw.Recommender, tmp_path: Path) -> None:
    nearwood.mlflow.save_model(rec, tmp_path / "model")
    function = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    histories = [["i1", "i2", "i5"], [], ["i40"]]
    frame = pd.DataFrame({"history": histories})
    table = function.predict(frame, params={"k": 3})
    wanted = [rec.recommend_for(history, k=3)[0].tolist() for history in histories]
    assert table["item"].tolist() == [item for row in wanted for item in row if item]
    assert table["user"].tolist() == [0, 0, 0, 2, 2, 2]  # of nobody nothing is known
    weights = [[9.0, 4.0, 1.0], [], [2.0]]
    named = frame.assign(user=["x", "y", "z"], weights=weights)
    table = function.predict(named, params={"k": 3})
    first, scores = rec.recommend_for(dict(zip(histories[0], weights[0], strict=True)), k=3)
    assert table["item"].tolist()[:3] == first.tolist() and set(table["user"]) == {"x", "z"}
    np.testing.assert_allclose(table["score"][:3], scores, rtol=1e-6)
    native = nearwood.mlflow.RecommenderFunction(rec)
    for bad, text in (
        ({"history": ["i1"]}, "row 0: history is 'i1', expected a list of items"),
        ({"history": [["i1"]], "weights": [[1.0, 2.0]]}, "row 0: got 2 weights for 1 items"),
    ):
        with pytest.raises(ValueError, match=text):
            native.predict(pd.DataFrame(bad))


def test_an_index_answers_for_vectors(labelled: nw.Index) -> None:
    info = nearwood.mlflow.log_model(labelled, name="vectors")
    loaded = nearwood.mlflow.load_model(info.model_uri)
    assert isinstance(loaded, nw.Index) and loaded.to_bytes() == labelled.to_bytes()
    function = mlflow.pyfunc.load_model(info.model_uri)
    queries = clustered(3, 8, seed=5)
    table = function.predict(queries, params={"k": 4, "exact": True})
    ids, distances = labelled.search_exact(queries, k=4)
    assert list(table.columns) == ["query", "rank", "id", "distance", "label"]
    assert table["query"].tolist() == np.repeat(range(3), 4).tolist()
    assert table["id"].tolist() == ids.ravel().tolist()
    assert table["label"].tolist() == [labelled.label(id) for id in ids.ravel()]
    np.testing.assert_array_equal(table["distance"], distances.ravel())
    assert table.equals(function.predict(pd.DataFrame(queries), params={"k": 4, "exact": True}))
    lists = pd.DataFrame({"vector": queries.tolist()})
    assert table.equals(function.predict(lists, params={"k": 4, "exact": True}))
    assert len(function.predict(queries)) == 30
    with pytest.raises(MlflowException, match="float64"):
        function.predict(queries.astype(np.float64))


def test_an_index_without_names_or_schema(
    index: nw.Index, vectors: np.ndarray, tmp_path: Path
) -> None:
    nearwood.mlflow.save_model(index, tmp_path / "model", signature=False)
    function = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert function.metadata.signature is None
    table = function.predict(vectors[:2].astype(np.float64))
    assert list(table.columns) == ["query", "rank", "id", "distance"] and len(table) == 20
    assert table["id"].dtype == np.int64 and table["id"][0] == 0 and table["id"][10] == 1
    one = nearwood.mlflow.IndexFunction(index).predict(vectors[1].tolist(), {"k": 1})
    assert one["id"].tolist() == [1]
    few = nw.Index.build(vectors[:3])
    assert len(nearwood.mlflow.IndexFunction(few).predict(vectors[:2], {"k": 5})) == 6


# Of how MLflow writes an example with pandas 3, and looks whether a folder is empty.
@pytest.mark.filterwarnings(
    "ignore:Operation with range is deprecated", "ignore:unclosed scandir:ResourceWarning"
)
def test_the_folder_is_as_mlflow_wants_it(rec: nw.Recommender, tmp_path: Path) -> None:
    path = tmp_path / "model"
    example = pd.DataFrame({"user": ["u1"]})
    code = tmp_path / "own.py"
    code.write_text("ANSWER = 42\n")
    nearwood.mlflow.save_model(
        rec,
        path,
        input_example=example,
        metadata={"by": "me"},
        code_paths=[str(code)],
        extra_pip_requirements=["pyarrow"],
    )
    model = Model.load(str(path))
    assert model.flavors["python_function"]["loader_module"] == "nearwood.mlflow"
    assert model.metadata == {"by": "me"} and model.load_input_example(str(path)).equals(example)
    assert model.signature == nearwood.mlflow.default_signature(rec)
    requirements = (path / "requirements.txt").read_text().split()
    assert f"nearwood=={nw.__version__}" in requirements and "pyarrow" in requirements
    assert any(line.startswith("mlflow") for line in requirements)
    names = {entry.name for entry in path.iterdir()}
    assert names >= {"MLmodel", "model.nw", "conda.yaml", "python_env.yaml", "code"}
    nw.Recommender.verify(path / "model.nw")
    assert nearwood.mlflow.get_default_conda_env()["channels"]
    nearwood.mlflow.save_model(rec, tmp_path / "own", conda_env={"dependencies": ["python=3.11"]})
    assert "python=3.11" in (tmp_path / "own" / "conda.yaml").read_text()
    with pytest.raises(MlflowException, match="already exists"):
        nearwood.mlflow.save_model(rec, path)


def test_other_things_are_refused(rec: nw.Recommender, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"got a list, expected a nearwood\.Recommender"):
        nearwood.mlflow.save_model([], tmp_path / "no")
    assert not (tmp_path / "no").exists()
    nearwood.mlflow.save_model(rec, tmp_path / "model")
    described = tmp_path / "model" / "MLmodel"
    described.write_text(described.read_text().replace("Recommender", "Oracle"))
    with pytest.raises(ValueError, match="holds a Oracle, this nearwood"):
        nearwood.mlflow.load_model(str(tmp_path / "model"))
    damaged = tmp_path / "model" / "model.nw"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    described.write_text(described.read_text().replace("Oracle", "Recommender"))
    with pytest.raises(nw.FormatError):
        mlflow.pyfunc.load_model(str(tmp_path / "model"))


@pytest.mark.parametrize("named", ["../outside.nw", "..", "/outside.nw", "", "sub/model.nw", "7"])
def test_a_model_opens_no_file_outside_of_its_folder(
    named: str, rec: nw.Recommender, tmp_path: Path
) -> None:
    nearwood.mlflow.save_model(rec, tmp_path / "model")
    rec.save(tmp_path / "outside.nw")
    described = tmp_path / "model" / "MLmodel"
    text = described.read_text()
    if named.startswith("/"):
        named = str(tmp_path / "outside.nw")
    # A 7 without quotes is no string.
    value = named if named == "7" else json.dumps(named)
    changed = text.replace("data: model.nw", f"data: {value}")
    assert changed != text
    described.write_text(changed)
    for load in (nearwood.mlflow.load_model, mlflow.pyfunc.load_model):
        with pytest.raises(ValueError, match="expected the name of a file in that folder"):
            load(str(tmp_path / "model"))


def test_without_mlflow_the_error_says_what_to_install() -> None:
    script = "import sys; sys.modules['mlflow'] = None; import nearwood.mlflow"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("pip install 'nearwood[mlflow]'")


def test_the_page_runs() -> None:
    code = [block.code for block in blocks(PAGE) if block.language == "python"]
    assert len(code) >= 2
    names: dict[str, Any] = {}
    for block in code:
        exec(compile(block, PAGE.name, "exec"), names)
