"""An MLflow flavour for :class:`nearwood.Recommender` and :class:`nearwood.Index`.

What is logged is the file that ``save`` writes, so that nothing is pickled and loading maps it. As
a *python function* a model answers in a table: see :class:`RecommenderFunction` and
:class:`IndexFunction`, which any tool of MLflow may ask without knowing nearwood.

The code that was logged with a model (``code_paths``) can be imported once it is loaded, as with
MLflow's own flavours: load models of people you trust.

Use it as MLflow's own flavours are used: ``nearwood.mlflow.log_model(rec, name="music")``, then
``nearwood.mlflow.load_model(uri)`` or ``mlflow.pyfunc.load_model(uri).predict(users)``. More is in
``docs/integrations/mlflow.md``.
"""

# MLflow annotates little of what flavours are made of, pandas and PyYAML nothing.
# mypy: disable-error-code="no-untyped-call,import-untyped"

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nearwood._core import Index, Recommender, __version__

try:
    import pandas as pd
    import yaml
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.models.model import MLMODEL_FILE_NAME
    from mlflow.models.utils import _save_example
    from mlflow.tracking.artifact_utils import _download_artifact_from_uri
    from mlflow.types.schema import (
        Array,
        ColSpec,
        DataType,
        ParamSchema,
        ParamSpec,
        Schema,
        TensorSpec,
    )
    from mlflow.utils import environment
    from mlflow.utils.file_utils import get_total_file_size, write_to
    from mlflow.utils.model_utils import (
        _add_code_from_conf_to_system_path,
        _get_flavor_configuration,
        _validate_and_copy_code_paths,
        _validate_and_prepare_target_save_path,
    )
except ModuleNotFoundError as _error:
    raise ImportError("nearwood.mlflow needs MLflow: pip install 'nearwood[mlflow]'") from _error

if TYPE_CHECKING:
    from mlflow.models.model import ModelInfo

__all__ = [
    "FLAVOR_NAME",
    "IndexFunction",
    "RecommenderFunction",
    "default_signature",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "log_model",
    "save_model",
]

FLAVOR_NAME = "nearwood"
_FILE = "model.nw"
_Model: TypeAlias = Recommender | Index
_KINDS: dict[str, type[Recommender] | type[Index]] = {"Recommender": Recommender, "Index": Index}


class RecommenderFunction:
    """A recommender as a python function."""

    def __init__(self, model: Recommender) -> None:
        self._model = model
        self._label = model.label if model.info()["labels"] else None

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """What each row of ``model_input`` would like next, best first.

        Args:
            model_input: A DataFrame with a column ``user``; or with a column ``history``, each a
                list of item ids, for users who need not be known, and optionally a column
                ``weights``, each a list as long (1 unless given). ``user`` then only names the row;
                without it the row's number does. Anything but a DataFrame is taken for the users.
            params: ``k`` (20 unless given), ``recall`` (0.95), ``exact`` (False: True compares all
                items) and ``include_seen`` (False: what a user has had is left out).

        Returns:
            Columns ``user``, ``rank`` (from 1), ``item``, ``score``, and ``label`` if items have
            names. There are fewer than k rows for a user of whom too little is known.

        Raises:
            nearwood.UnknownIdError: For a user or an item that the model was not trained with.
        """
        options = _options(params, {"k": 20, "recall": None, "exact": False, "include_seen": False})
        frame = _frame(model_input)
        if "history" in frame:
            answers = [
                self._model.recommend_for(history, **options) for history in _histories(frame)
            ]
            users = frame["user"] if "user" in frame else np.arange(len(frame))
        elif "user" in frame:
            users = frame["user"]
            answers = _pairs(self._model.recommend(users.tolist(), **options))
        else:
            raise ValueError(
                f"got columns {list(frame.columns)}, expected 'user' or 'history' among them"
            )
        return _table("user", users, "item", "score", answers, self._label)


class IndexFunction:
    """An index as a python function."""

    def __init__(self, model: Index) -> None:
        self._model = model
        self._label = model.label if model.info()["labels"] else None

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """What is nearest to each row of ``model_input``, nearest first.

        Args:
            model_input: Vectors: an array, lists, or a DataFrame with a column a component or with
                one column of lists. One vector is one row.
            params: ``k`` (10 unless given), ``recall`` (0.95) and ``exact`` (False: True compares
                all vectors).

        Returns:
            Columns ``query`` (the row's number), ``rank`` (from 1), ``id``, ``distance`` (under the
            metric dot the product), and ``label`` if the index has labels.
        """
        options = _options(params, {"k": 10, "recall": None, "exact": False})
        queries = np.atleast_2d(_vectors(model_input))
        exact, k = options.pop("exact"), options["k"]
        search = self._model.search_exact if exact else self._model.search
        answers = _pairs(search(queries, **({"k": k} if exact else options)))
        return _table("query", np.arange(len(queries)), "id", "distance", answers, self._label)


_Answer: TypeAlias = tuple[NDArray[Any], NDArray[np.float32]]


def _options(params: dict[str, Any] | None, defaults: dict[str, Any]) -> dict[str, Any]:
    given = params or {}
    if unknown := given.keys() - defaults.keys():
        raise ValueError(f"params has {sorted(unknown)}, expected some of {list(defaults)}")
    options = {**defaults, **given}
    if options["exact"]:
        # A signature fills in the recall that is not wanted then.
        options["recall"] = None
    return options


def _frame(model_input: Any) -> pd.DataFrame:
    if isinstance(model_input, pd.DataFrame):
        return model_input
    if isinstance(model_input, dict):
        return pd.DataFrame(model_input)
    return pd.DataFrame({"user": np.atleast_1d(model_input)})


def _histories(frame: pd.DataFrame) -> list[list[Any]]:
    """A list of items or of (item, weight) for each row."""
    weights = frame["weights"] if "weights" in frame else [None] * len(frame)
    return [
        _history(row, items, weight)
        for row, (items, weight) in enumerate(zip(frame["history"], weights, strict=True))
    ]


def _history(row: int, items: Any, weights: Any) -> list[Any]:
    if not isinstance(items, (list, tuple, np.ndarray)):
        raise ValueError(f"row {row}: history is {items!r}, expected a list of items")
    if weights is None:
        return list(items)
    if len(weights) != len(items):
        raise ValueError(f"row {row}: got {len(weights)} weights for {len(items)} items")
    return list(zip(items, weights, strict=True))


def _vectors(model_input: Any) -> NDArray[Any]:
    if not isinstance(model_input, pd.DataFrame):
        return np.asarray(model_input)
    if model_input.shape[1] == 1 and model_input.dtypes.iloc[0].kind == "O":
        return np.asarray(model_input.iloc[:, 0].tolist())
    return np.asarray(model_input)


def _pairs(answer: tuple[NDArray[Any], NDArray[np.float32]]) -> list[_Answer]:
    return list(zip(*answer, strict=True))


def _table(
    name: str, names: Any, item: str, score: str, answers: Sequence[_Answer], label: Any
) -> pd.DataFrame:
    """One row for each that was found; what an answer was filled up with is left out."""
    found = [(ids[np.isfinite(scores)], scores[np.isfinite(scores)]) for ids, scores in answers]
    counts = [len(ids) for ids, _ in found]
    columns: dict[str, Any] = {
        name: np.repeat(np.asarray(names), counts),
        "rank": _joined([np.arange(1, count + 1) for count in counts], np.int64),
        item: _joined([ids for ids, _ in found], object),
        score: _joined([scores for _, scores in found], np.float32),
    }
    if label is not None:
        columns["label"] = [label(id) for id in columns[item]]
    return pd.DataFrame(columns)


def _joined(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype)


def _type(ids: NDArray[Any]) -> DataType:
    return DataType.string if ids.dtype == object else DataType.long


def default_signature(model: _Model) -> ModelSignature:
    """Which columns, or which vectors, a model takes and gives, with the params it knows."""
    params = [
        ParamSpec("k", DataType.long, 20 if isinstance(model, Recommender) else 10),
        ParamSpec("recall", DataType.double, 0.95),
        ParamSpec("exact", DataType.boolean, False),
    ]
    label = [ColSpec(DataType.string, "label")] if model.info()["labels"] else []
    if isinstance(model, Index):
        inputs = Schema([TensorSpec(np.dtype(np.float32), (-1, model.dim))])
        answer = [("query", DataType.long), ("rank", DataType.long), ("id", _type(model.ids))]
        outputs = [*answer, ("distance", DataType.float)]
    else:
        user, item = _type(model.users), _type(model.items)
        inputs = Schema(
            [
                ColSpec(user, "user", required=False),
                ColSpec(Array(item), "history", required=False),
                ColSpec(Array(DataType.double), "weights", required=False),
            ]
        )
        outputs = [("user", user), ("rank", DataType.long), ("item", item)]
        outputs.append(("score", DataType.float))
        params.append(ParamSpec("include_seen", DataType.boolean, False))
    named = [ColSpec(type, name) for name, type in outputs]
    return ModelSignature(inputs, Schema([*named, *label]), ParamSchema(params))


def get_default_pip_requirements() -> list[str]:
    """What a logged model needs beside MLflow."""
    return [f"nearwood=={__version__}", f"pandas=={pd.__version__}"]


def get_default_conda_env() -> dict[str, Any]:
    """The Conda environment of models that are logged without one."""
    env: dict[str, Any] = environment._mlflow_conda_env(
        additional_pip_deps=get_default_pip_requirements()
    )
    return env


def save_model(
    model: _Model,
    path: str | os.PathLike[str],
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: list[str] | str | None = None,
    extra_pip_requirements: list[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Writes a folder as MLflow wants it.

    Args:
        model: A :class:`nearwood.Recommender` or a :class:`nearwood.Index`.
        path: The folder, which must not exist or be empty.
        signature: Instead of :func:`default_signature`; False for none (params are not passed on
            then).
        conda_env, code_paths, mlflow_model, input_example, pip_requirements,
            extra_pip_requirements, metadata: As in MLflow's own flavours. Requirements are not
            inferred: they are :func:`get_default_pip_requirements`.

    Raises:
        TypeError: For another type of model.
    """
    if not isinstance(model, (Recommender, Index)):
        raise TypeError(
            f"got a {type(model).__name__}, expected a nearwood.Recommender or a nearwood.Index"
        )
    environment._validate_env_arguments(conda_env, pip_requirements, extra_pip_requirements)
    folder = Path(path).absolute()
    _validate_and_prepare_target_save_path(str(folder))
    code = _validate_and_copy_code_paths(code_paths, str(folder))
    mlflow_model = mlflow_model or Model()
    _save_example(mlflow_model, input_example, str(folder))
    if signature is not False:
        mlflow_model.signature = signature or default_signature(model)
    if metadata is not None:
        mlflow_model.metadata = metadata
    model.save(folder / _FILE)
    _write_mlmodel(mlflow_model, folder, type(model).__name__, code)
    _write_environment(folder, conda_env, pip_requirements, extra_pip_requirements)


def _write_mlmodel(mlflow_model: Model, folder: Path, kind: str, code: str | None) -> None:
    pyfunc.add_to_model(
        mlflow_model,
        loader_module=__name__,
        conda_env=environment._CONDA_ENV_FILE_NAME,
        python_env=environment._PYTHON_ENV_FILE_NAME,
        code=code,
    )
    mlflow_model.add_flavor(
        FLAVOR_NAME, nearwood_version=__version__, model_type=kind, data=_FILE, code=code
    )
    mlflow_model.model_size_bytes = get_total_file_size(str(folder))
    mlflow_model.save(str(folder / MLMODEL_FILE_NAME))


def _write_environment(folder: Path, conda_env: Any, requirements: Any, extra: Any) -> None:
    if conda_env is None:
        processed = environment._process_pip_requirements(
            get_default_pip_requirements(), requirements, extra
        )
    else:
        processed = environment._process_conda_env(conda_env)
    conda_env, requirements, constraints = processed
    with (folder / environment._CONDA_ENV_FILE_NAME).open("w") as file:
        yaml.safe_dump(conda_env, stream=file, default_flow_style=False)
    if constraints:
        write_to(str(folder / environment._CONSTRAINTS_FILE_NAME), "\n".join(constraints))
    write_to(str(folder / environment._REQUIREMENTS_FILE_NAME), "\n".join(requirements))
    environment._PythonEnv.current().to_yaml(str(folder / environment._PYTHON_ENV_FILE_NAME))


def log_model(
    model: _Model,
    name: str | None = None,
    *,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: list[str] | str | None = None,
    extra_pip_requirements: list[str] | str | None = None,
    metadata: dict[str, Any] | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Logs a model to the active run, or to a new one; see :func:`save_model`.

    Args:
        name: What MLflow calls the model.
        registered_model_name: Makes it a version of this registered model as well.
        **kwargs: Whatever else ``mlflow.models.Model.log`` takes (``params``, ``tags``, ``step``).

    Returns:
        MLflow's ``ModelInfo``, whose ``model_uri`` loads it.
    """
    info: ModelInfo = Model.log(
        artifact_path=None,
        name=name,
        flavor=sys.modules[__name__],
        model=model,
        conda_env=conda_env,
        code_paths=code_paths,
        registered_model_name=registered_model_name,
        signature=signature,
        input_example=input_example,
        pip_requirements=pip_requirements,
        extra_pip_requirements=extra_pip_requirements,
        metadata=metadata,
        **kwargs,
    )
    return info


def load_model(model_uri: str, dst_path: str | None = None) -> Recommender | Index:
    """The model as it was logged, its file mapped.

    Args:
        model_uri: "models:/name/1", "runs:/.../music", a folder, whatever MLflow resolves.
        dst_path: Where to download it to, if it lies elsewhere; unless told, a temporary folder.
    """
    folder = _download_artifact_from_uri(artifact_uri=str(model_uri), output_path=dst_path)
    return _open(folder)


def _open(folder: str) -> Recommender | Index:
    conf = _get_flavor_configuration(model_path=folder, flavor_name=FLAVOR_NAME)
    _add_code_from_conf_to_system_path(folder, conf)
    kind = _KINDS.get(conf["model_type"])
    if kind is None:
        raise ValueError(
            f"{folder} holds a {conf['model_type']}, this nearwood {__version__} knows "
            f"{' and '.join(_KINDS)}: it was logged by {conf['nearwood_version']}"
        )
    data = conf.get("data")
    # Anyone may have written the folder: it must not make us open files outside of it.
    if not isinstance(data, str) or data in ("", ".", "..") or {"/", "\\", "\0"} & set(data):
        raise ValueError(
            f"{folder} names {data!r} as its file, expected the name of a file in that folder: the "
            "MLmodel was changed; log the model again"
        )
    try:
        return kind.open(Path(folder) / data)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        # The file system does not map files.
        return kind.open(Path(folder) / data, in_memory=True)


def _load_pyfunc(path: str) -> RecommenderFunction | IndexFunction:
    """Called by ``mlflow.pyfunc.load_model``."""
    model = _open(path)
    return RecommenderFunction(model) if isinstance(model, Recommender) else IndexFunction(model)
