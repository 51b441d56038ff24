"""The notebooks run from top to bottom, and show what is kept in them.

Their cells are run here, in this process: a Jupyter kernel would be forty packages more to install,
which takes as long as all the pages take to run, and the cells use nothing of it.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_happens(
    path: Path, real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEARWOOD_DATA", str(real_data))
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = json.loads(path.read_text("utf-8"))["cells"]
    shown = 0
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            kept = "\n".join(text(output) for output in cell["outputs"])
            got, value = run("".join(cell["source"]), f"{path.name}, cell {number}", names)
            assert words(got) == words(kept), f"cell {number}:\n{got}\nand not\n{kept}"
            if type(value).__module__.startswith("nearwood"):
                (table,) = (output["data"]["text/html"] for output in cell["outputs"])
                assert "".join(table) == value._repr_html_()
            shown += bool(kept)
    assert shown >= 5


def run(source: str, where: str, names: dict[str, Any]) -> tuple[str, Any]:
    """What a cell shows, and the value of the expression that it ends with."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(tree, where, "exec"), names)
        value = eval(compile(ast.Expression(last.value), where, "eval"), names) if last else None
    return out.getvalue() + ("" if value is None else repr(value)), value


def text(output: dict[str, Any]) -> str:
    return "".join(output.get("text") or output["data"]["text/plain"])


def words(shown: str) -> list[str]:
    """Names and numbers, these to four digits: how a frame is drawn is its library's affair."""
    found = re.findall(r"[^\W\d]\w*|-?\d+(?:\.\d+)?", shown)
    return [f"{float(each):.4g}" if each[-1].isdigit() and "." in each else each for each in found]
