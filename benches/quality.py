"""How well models rank what people went to next, on the LightGCN split of gowalla.

    python benches/quality.py [--out run.jsonl]

Every item but those of a user's training is ranked for every user of the test. The parameters were
found by `nearwood tune` on a tenth of the training held out, as docs/benchmarks.md tells; here each
model is trained on all of it and measured on the test.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from lines import Lines
from tables import Rows
from truth import DATA

import nearwood as nw

SEED = 4
NAMES = ("factors", "weighting", "unobserved_weight", "regularization", "regularization_scaling")
NAMES += ("iterations",)
MODELS = (
    (64, "normalized:0.25", 0.0271, 0.47, 0.0152, 5),
    (256, "normalized:0.35", 0.42, 0.0436, 0.0756, 5),
    (512, "normalized:0.35", 0.24, 0.00432, 0.332, 4),
    (1024, "normalized:0.35", 0.42, 0.0436, 0.0756, 3),
)


def measure(rows: Rows) -> None:
    train, test = (
        nw.Interactions.read(DATA / "gowalla" / f"{part}.txt.gz", format="lists")
        for part in ("train", "test")
    )
    for values in MODELS:
        model = dict(zip(NAMES, values, strict=True))
        start, epochs = time.perf_counter(), []
        rec = nw.Recommender.fit(
            train,
            **model,
            random_state=SEED,
            progress=False,
            callback=lambda *_: epochs.append(time.perf_counter()),  # noqa: B023
        )
        found = nw.evaluate(rec, train, test, 20, exact=True)
        recall, ndcg = (found[f"{metric}@20"] for metric in ("recall", "ndcg"))
        rows.add(**model, recall=recall, ndcg=ndcg, seconds=epochs[-1] - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a file of JSON lines to add to")
    lines = Lines(parser.parse_args().out)
    if not (DATA / "gowalla" / "test.txt.gz").is_file():
        lines.absent("gowalla", "the set", "quality: gowalla/test.txt.gz is not in NEARWOOD_DATA")
        sys.exit()
    measure(Rows("quality", lines))


if __name__ == "__main__":
    main()
