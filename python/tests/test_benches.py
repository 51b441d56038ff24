"""The benches run, and what they measure comes to stand where it belongs on the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BENCHES = ROOT / "benches"

PAGE = """# A page

Written by hand, with trailing spaces   and a | pipe.

<!-- made by benches/page.py: machine -->
an older machine
<!-- end of machine -->

### cats

<!-- made by benches/page.py: index cats -->
older tables
<!-- end of index cats -->

### dogs, of which the run says nothing

<!-- made by benches/page.py: index dogs -->
dogs stay
<!-- end of index dogs -->

<!-- made by benches/page.py: other sets -->
<!-- end of other sets -->

<!-- made by benches/page.py: not run -->
<!-- end of not run -->

The end, by hand.
"""


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that renews pages."""
    monkeypatch.syspath_prepend(str(BENCHES))
    import page

    return page


def point(family: str, name: str, recall: float, rate: float, data: str = "cats") -> dict:
    figures = {
        "recall": recall,
        "per_second": rate,
        "rounds": [0.98 * rate, rate, 1.04 * rate],
        "cpu_by_wall": 1.0,
    }
    cost = {"cpu": 2.5, "wall": 2.6, "file_bytes": 12_000_000, "peak_bytes": None, "load": 0.1}
    build = cost | {"measured": "2026-01-02T03:04", "version": "7.1"}
    about = {"family": family, "name": name, "setting": f"budget={rate:.0f}", "build": build}
    return {"kind": "point", "data": data, **about, "one": figures, "many": figures}


def recorded() -> list[dict]:
    """A run of one set of vectors and one of interactions, with a peer that failed."""
    when = {"date": "2026-01-02T03:04", "processor": "Abacus 9"}
    limit = {"reading in order, 1,200 MiB": {"unit": "GB/s", "rounds": [10.0, 11.0, 12.0]}}
    system = {"caches": {"L2": "512K"}, "flags": ["avx2"], "system": "Linux 6", "python": "3.11"}
    machine = {"quick": False, "cores": 2, "memory_bytes": 2**34, "numpy": "2.0", "limits": limit}
    epoch = {"data": "plays", "factors": 64, "threads": 1, "version": "1.2", "share": 0.8}
    loss = {"data": "plays", "factors": 256, "version": "1.2", "seconds": 1.0, "least": -5.0}
    reached = {"reached": {"0.02": 3.25, "0.01": 4.5, "0.005": None}}
    cats = {"title": "cats (9 x 4)", "queries": 7, "rounds": 3}
    training = {"kind": "training", "data": "plays", **when, "load": 0.1}
    return [
        {"kind": "machine", **when, **system, **machine},
        {"kind": "data", "data": "cats", **cats, **when},
        point("nearwood", "nearwood", 0.96, 3000.0),
        point("nearwood", "nearwood", 0.992, 2000.0),
        point("peer", "peer, M=16", 0.955, 1500.0),
        point("other", "other, R=8, bytes", 0.5, 50.0),
        point("other", "other, R=8, halves", 0.5, 40.0),
        training | {"what": "speed"},
        {"kind": "epoch", **epoch, "trainer": "nearwood cholesky", "seconds": 0.5, "rounds": [0.5]},
        {"kind": "epoch", **epoch, "trainer": "peer cg", "seconds": 1.25, "rounds": [1.25]},
        training | {"what": "loss"},
        {"kind": "loss", **loss, **reached, "trainer": "nearwood cg"},
        {"kind": "absent", "data": "cats", "label": "glass", "reason": "not\n<installed>"},
        {
            "kind": "absent",
            "data": "this run",
            "label": "epochs of plays",
            "reason": "ended with 1",
        },
        {"kind": "step", "name": "epochs of plays"},
        *table("old rooms", 1.0),
        *table("new rooms", 2.5),
    ]


def table(way: str, rate: float) -> list[dict]:
    """One measurement of a table, of one row."""
    when = {"date": "2026-01-02T03:04", "processor": "Abacus 9"}
    figures = {"way": way, "threads": 1, "rate": rate, "recall": 0.5, "users": 1000}
    return [
        {"kind": "table", "table": "everybody", "about": "Of all.", **when},
        {"kind": "row", "table": "everybody", **figures},
    ]


def written(page: ModuleType, folder: Path, lines: list[dict]) -> str:
    target = folder / "page.md"
    target.write_text(PAGE)
    page.write(lines, target, folder / "pictures")
    return target.read_text()


def region(text: str, name: str) -> str:
    begin, end = f"<!-- made by benches/page.py: {name} -->\n", f"<!-- end of {name} -->"
    return text.partition(begin)[2].partition(end)[0]


def outside(page: ModuleType, text: str) -> str:
    return page.MARK.sub(lambda match: match["begin"] + match["end"], text)


def test_regions_are_renewed_and_nothing_else(page: ModuleType, tmp_path: Path) -> None:
    text = written(page, tmp_path, recorded())
    assert outside(page, text) == outside(page, PAGE)
    assert region(text, "index dogs") == "dogs stay\n"
    assert "older" not in text
    assert "| processor | Abacus 9 |" in region(text, "machine")
    assert "| reading in order, 1,200 MiB | 11.0 GB/s | 10.0 to 12.0 | 9.1% |" in text


def test_a_second_run_changes_nothing_more(page: ModuleType, tmp_path: Path) -> None:
    once = written(page, tmp_path, recorded())
    assert page.renewed(once, page.regions(recorded(), "pictures")) == once


def test_the_tables_of_a_set(page: ModuleType, tmp_path: Path) -> None:
    cats = region(written(page, tmp_path, recorded()), "index cats")
    assert "| 0.95 | 3,000 | peer, M=16 | 1,500 | 2.00 x | peer, M=16 | 2.00 x |" in cats
    assert "| 0.99 | 2,000 | none | - | - | none | - |" in cats
    row = "| peer, M=16 | budget=1500 | 0.9550 | 1,500 | 2.00 x | 1,500 | 0.9550 | 2.00 x |"
    assert row in cats
    assert "| peer, M=16 | 7.1 | 2.50 | 12 |  | 2026-01-02 |" in cats
    assert cats.count("| other, R=8 | 7.1 |") == 1, "built once, searched in two ways"
    assert "peer stops at 0.9550." in cats
    assert "a round lies 2.0% from the median" in cats


def test_trainers_and_what_has_no_region(page: ModuleType, tmp_path: Path) -> None:
    others = region(written(page, tmp_path, recorded()), "other sets")
    assert "| 64 | 1 | peer cg | 1.25 | 2.50 | 0.80 |" in others
    assert "| 256 | nearwood cg | 1 | 3.25 | 4.5 | - |" in others
    assert "cats" not in others


def test_a_table_is_of_its_last_measurement(page: ModuleType, tmp_path: Path) -> None:
    others = region(written(page, tmp_path, recorded()), "other sets")
    assert "Of all.\n\n| way | threads | users/s |" in others
    assert "| new rooms | 1 | 2 | 0.5000 | 1,000 |\n\nMeasured on 2026-01-02, Abacus 9." in others
    assert "old rooms" not in others


def test_what_did_not_run_is_named(page: ModuleType, tmp_path: Path) -> None:
    named = region(written(page, tmp_path, recorded()), "not run")
    # The step that a resumed run brought to its end is not.
    assert named.strip() == "- cats: glass: not &lt;installed>"


def test_two_runs_are_compared_by_their_ratios(
    page: ModuleType,
) -> None:
    import compare

    earlier = recorded()
    slower = json.loads(json.dumps(earlier))
    for line in slower:
        if line["kind"] == "point":
            for mode in ("one", "many"):
                line[mode]["per_second"] /= 2
    rows, far = compare.table(compare.ratios(earlier), compare.ratios(slower))
    assert far == 0 and len(rows) == 5
    assert rows[0] == "| cats, 0.9, one query at a time | 2.00 x | 2.00 x | 1.00 | 16.0% |  |"
    assert "plays, 64 factors, 1 threads, peer cg | 2.50 x | 2.50 x" in rows[-1]
    better = point("peer", "peer, M=16", 0.955, 2000.0)
    rows, far = compare.table(compare.ratios(earlier), compare.ratios([*earlier, better]))
    assert far == 4 and rows[2].endswith("| 2.00 x | 1.50 x | 0.75 | 16.0% | beyond |")


def test_pictures_are_drawn(page: ModuleType, tmp_path: Path) -> None:
    text = written(page, tmp_path, recorded())
    drawn = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert drawn == ["cats-builds.svg", "cats.svg", "plays-epochs.svg"]
    for name in drawn:
        assert f"(pictures/{name})" in text
        shown = "".join(ElementTree.parse(tmp_path / "pictures" / name).getroot().itertext())
        assert "peer" in shown and "nearwood" in shown


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("<!-- end of index cats -->", "", "'index cats' has no"),
        ("page.py: other sets", "page.py: others", "'others' has no"),
        (
            "<!-- made by benches/page.py: other sets -->\n<!-- end of other sets -->",
            "",
            "no region for 'epochs plays'",
        ),
    ],
)
def test_a_page_with_wrong_marks_is_refused(
    page: ModuleType, old: str, new: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        page.renewed(PAGE.replace(old, new), page.regions(recorded(), "pictures"))


def test_the_real_page_has_a_place_for_all(page: ModuleType) -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert page.renewed(text, {}) == text
    marked = [match["name"] for match in page.MARK.finditer(text)]
    assert {
        "machine",
        "index photosift",
        "epochs gowalla",
        "builds",
        "quality",
        "other sets",
        "not run",
    } <= {*marked}


def test_generated_sets_are_as_their_names_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHES))
    import generated

    for name, (metric, n, make) in generated.VECTORS.items():
        assert name.startswith("generated-") and n >= 10_000
        few = make(500, 1)
        assert few.dtype == np.float32 and np.isfinite(few).all()
        assert (few == make(500, 1)).all()
        assert metric in ("euclidean", "angular", "dot")
    lengths = np.linalg.norm(generated.VECTORS["generated-factors"][2](5000, 1), axis=1)
    assert lengths.max() > 5 * np.median(lengths)
    tiny = generated.plays("generated-tiny")
    assert tiny.shape == (300, 200) and (tiny.data == 1).all()
    assert {*generated.STAND_INS.values()} <= {*generated.VECTORS, *generated.PLAYS}


#: A search and a trainer that fail at their third turn, beside others; and sets that are absent.
FAILING = """
import contestants, numpy as np, peers, trainers, truth
from lines import Lines

def search(query, left=[0] * 4):
    left.pop()
    return np.arange(10)

good, bad = (contestants.Contestant("f", name, None, []) for name in ("good", "bad"))
queries = np.zeros((2, 3), np.float32)
entries = [
    peers.Entry(good, contestants.Setting("s", lambda query: np.arange(10)), {}),
    peers.Entry(bad, contestants.Setting("s", search), {}),
]
peers.race(entries, queries, "one", 3)
print([len(entry.rounds["one"]) for entry in entries], [entry.failed for entry in entries])

def train(left=[0, 0]):
    return left.pop()

lines = Lines(None)
field = trainers.Field({"bad": train, "good": lambda: 1}, "plays", lines)
print([len(list(field.turn())) for _ in range(4)])
print(truth.with_stand_ins(["gloss", "ml-1m", "gowalla", "generated-tiny"], lines))
print([line["label"] for line in lines.kept])
"""


def test_what_fails_or_is_absent_ends_nothing(tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(BENCHES), "NEARWOOD_DATA": str(tmp_path)}
    command = [sys.executable, "-c", FAILING]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.stdout.splitlines() == [
        "[3, 1] ['', 'IndexError: pop from empty list']",
        "[2, 2, 1, 1]",
        "['generated-angular', 'generated-plays', 'generated-tiny']",
        "['bad', 'the set', 'the set', 'the set']",
    ], done.stderr


def test_one_run_of_all(tmp_path: Path) -> None:
    """A folder of vectors, with two peers, and all tables; a set that is nowhere is named and ends
    nothing."""
    random = np.random.default_rng(0)
    (tmp_path / "mine").mkdir()
    for name, n in (("base", 400), ("queries", 20)):
        np.save(tmp_path / "mine" / f"{name}.npy", random.normal(size=(n, 8)).astype(np.float32))
    (tmp_path / "page.md").write_text(PAGE)
    paths = {"out": "run.jsonl", "page": "page.md", "pictures": "pictures", "cache": "cache"}
    into = [word for key, name in paths.items() for word in (f"--{key}", str(tmp_path / name))]
    given = [str(tmp_path / "mine"), "nowhere", "--metric", "angular"]
    # With the peers that tests have installed.
    given += [word for library in ("nearwood", "annoy", "implicit") for word in ("--only", library)]
    trainers = ["--trainers", "generated-tiny no-such-set"]
    trainers += ["--more", "builds batches filters larger everybody"]
    command = [sys.executable, str(BENCHES / "everything.py"), "--quick", *given, *trainers, *into]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "page.md").read_text()
    assert "### mine (400 x 8, angular)" in text
    assert "| 8 | 1 | nearwood cg |" in text and "| 8 | 1 | implicit cholesky |" in text
    assert "| annoy, 200 trees | 1.17.3 |" in text
    assert "none of this run's figures is a measurement" in text
    assert "- nowhere: the set: no base.npy and queries.npy" in region(text, "not run")
    assert "epochs of no-such-set: the process ended with 2" in region(text, "not run")
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert {"machine", "data", "build", "point", "epoch", "product", "loss", "step"} <= {*kinds}
    others = region(text, "other sets")
    for row in (
        "| mine | nearwood, no graph | 1 |",
        "| mine | budget=400 | 1.0000 |",
        "| mine | near | 10.00% |",
        "| clusters 5,000 x 32, euclidean, without a graph |",
        "| numpy, blocks of 128 |",
    ):
        assert row in others


def test_more_that_is_not_there_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHES / "everything.py"), "--more", "soup"]
    (tmp_path / "page.md").write_text(PAGE)
    done = subprocess.run(
        [*command, "--page", str(tmp_path / "page.md"), "--out", str(tmp_path / "run.jsonl")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("--more soup: expected some of builds,")


def test_a_run_that_measured_nothing_leaves_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHES))
    import everything

    (tmp_path / "page.md").write_text(PAGE)
    paths = [f"--out={tmp_path / 'run.jsonl'}", f"--page={tmp_path / 'page.md'}"]
    monkeypatch.setattr(sys, "argv", ["everything.py", "nowhere", "--trainers=", *paths])
    monkeypatch.setattr(everything, "run", lambda step, out, lines: lines.add("step", name="one"))
    with pytest.raises(SystemExit, match="nothing was measured"):
        everything.main()
    assert (tmp_path / "page.md").read_text() == PAGE
