"""The objective ``confidence="spark"``, held against Spark's own ALS on Java.

Spark's start cannot be set, so what is held are half-steps and the point where its training comes
to rest. Spark multiplies lambda by a row's count of positive ratings; ours is one lambda for all.
Both are the same where all rows have one count: here everybody has `EACH` items and every item as
many users.

Run by ``make test-spark``, which installs pyspark; it needs Java.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import nearwood as nw

if shutil.which("java") is None:
    pytest.skip("NOT RUN: Spark needs java, and there is none", allow_module_level=True)
pyspark = pytest.importorskip(
    "pyspark", reason="NOT RUN: no pyspark; `make test-spark` installs it"
)

N, EACH, RANK, LAMBDA, ALPHA = 60, 6, 4, 0.05, 3.0


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.shuffle.partitions", "1").config(
        "spark.driver.bindAddress", "127.0.0.1"
    )
    session = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
    # Without it the history of every epoch is kept, until Java's stack overflows.
    session.sparkContext.setCheckpointDir(str(tmp_path_factory.mktemp("spark")))
    yield session
    session.stop()


def plays(negative: bool = False) -> sp.csr_matrix:
    """N users x N items, EACH positive in every row and every column; negative ones beside them."""
    rng = np.random.default_rng(0)
    shifts = rng.choice(N, EACH + 2, replace=False)
    user = np.repeat(np.arange(N), EACH + 2)
    item = (user + np.tile(shifts, N)) % N
    weight = rng.integers(1, 6, size=user.size).astype(np.float32)
    below = np.tile(np.arange(EACH + 2) >= EACH, N)
    weight[below] *= -1
    keep = np.ones(user.size, dtype=bool) if negative else ~below
    return sp.csr_matrix((weight[keep], (user[keep], item[keep])), shape=(N, N))


def spark_factors(spark: Any, matrix: sp.csr_matrix, iterations: int) -> tuple[Any, Any]:
    """What Spark trains: (users, items)."""
    from pyspark.ml.recommendation import ALS

    coo = matrix.tocoo()
    columns = zip(coo.row.tolist(), coo.col.tolist(), coo.data.tolist(), strict=True)
    table = spark.createDataFrame(list(columns), ["user", "item", "rating"])
    trainer = ALS(
        rank=RANK,
        maxIter=iterations,
        regParam=LAMBDA,
        alpha=ALPHA,
        implicitPrefs=True,
        seed=5,
        numUserBlocks=1,
        numItemBlocks=1,
    )
    model = trainer.fit(table)
    sides = []
    for side in (model.userFactors, model.itemFactors):
        rows = sorted((row["id"], row["features"]) for row in side.collect())
        assert [number for number, _ in rows] == list(range(N))
        sides.append(np.array([vector for _, vector in rows], dtype=np.float32))
    return sides[0], sides[1]


def ours(**options: Any) -> nw.AlternatingLeastSquares:
    # Every row has EACH positive ratings, by which Spark multiplies lambda.
    return nw.AlternatingLeastSquares(
        RANK, confidence="spark", alpha=ALPHA, regularization=LAMBDA * EACH, **options
    )


def near(got: Any, expected: Any, tolerance: float) -> None:
    scale = float(np.abs(expected).max())
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("negative", [False, True])
def test_a_half_step_is_sparks(spark: Any, negative: bool) -> None:
    """Spark solves the items from the users and ends with the users, as we do."""
    matrix = plays(negative)
    users, items = spark_factors(spark, matrix, 3)
    model = ours().set_factors(users, items)
    near(model.fold_in(matrix), users, 1e-3)


def test_a_training_of_sparks_at_rest_is_at_rest_in_ours(spark: Any) -> None:
    matrix = plays()
    users, items = spark_factors(spark, matrix, 25)
    for solver in nw.SOLVERS:
        model = ours(iterations=1, solver=solver).set_factors(users, items)
        near(model.fold_in_items(matrix.T.tocsr()), items, 0.02)
        model.fit(matrix, progress=False, warm_start=True)
        near(model.user_factors @ model.item_factors.T, users @ items.T, 0.02)
