"""Where a bar is drawn, and by what."""

from __future__ import annotations

import io
import sys
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

import nearwood as nw
from nearwood import _progress

VECTORS = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Tqdm:
    """What the bars of tqdm are used for."""

    made: ClassVar[list[Tqdm]] = []

    def __init__(self, *, total: int, desc: str, leave: bool) -> None:
        assert leave
        self.total, self.desc, self.n, self.closed = total, desc, 0, False
        Tqdm.made.append(self)

    def update(self, n: int) -> None:
        assert not self.closed
        self.n += n

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def with_tqdm(monkeypatch: pytest.MonkeyPatch) -> list[Tqdm]:
    module = ModuleType("tqdm.auto")
    module.tqdm = Tqdm  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tqdm", ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", module)
    Tqdm.made = []
    return Tqdm.made


@pytest.fixture
def without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)


@pytest.fixture
def in_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)


def test_text_on_a_terminal(without_tqdm: None, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    nw.Index.build(VECTORS, progress=True)
    last = terminal.getvalue().split("\r")[-1]
    assert last.startswith("building [##############################] 100/100 [00:")
    assert last.endswith("\n")


def test_text_in_a_notebook(
    without_tqdm: None, in_notebook: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    nw.Index.build(VECTORS, progress=True)
    assert "100/100" in stream.getvalue()


def test_tqdm_where_it_is(
    with_tqdm: list[Tqdm], in_notebook: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    nw.Index.build(VECTORS, progress=True)
    [bar] = with_tqdm
    assert (bar.n, bar.total, bar.desc, bar.closed) == (100, 100, "building", True)
    assert stream.getvalue() == ""


def test_a_bar_that_is_not_full_is_closed(
    with_tqdm: list[Tqdm], in_notebook: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = _progress.bar("training")
    assert draw is not None
    draw(3, 10)
    del draw
    [bar] = with_tqdm
    assert (bar.n, bar.closed) == (3, True)


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_nothing_where_nobody_sees_it(
    with_tqdm: list[Tqdm], stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    nw.Index.build(VECTORS, progress=True)
    nw.Index.build(VECTORS, progress=False)
    assert with_tqdm == []
    assert stream is None or stream.getvalue() == ""


def test_a_closed_stream_is_no_terminal() -> None:
    stream = io.StringIO()
    stream.close()
    assert not _progress.is_terminal(stream)


def test_the_time_left_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    draw = _progress.TextBar(stream, "tuning")
    now[0] = 10.0
    draw(1, 4)
    assert (
        stream.getvalue().strip() == "tuning [#######                       ] 1/4 [00:10 < 00:30]"
    )
    # Drawn no more often than can be seen.
    now[0] = 10.05
    draw(2, 4)
    assert stream.getvalue().count("\r") == 1
    now[0] = 4000.0
    draw(4, 4)
    assert stream.getvalue().endswith("\n")
    assert "4/4 [1:06:40]" in stream.getvalue()
