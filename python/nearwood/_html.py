"""What notebooks show of an object: a small table. The classes call :func:`table`."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any, TypeAlias

_Rows: TypeAlias = dict[str, object]

#: How many of the last losses are shown.
LOSSES = 3


def table(shown: Any, sizes: dict[str, int]) -> str:
    """An object of one of the package's classes as HTML; `sizes` are what it knows beside."""
    name = type(shown).__name__
    return _table(name, _ROWS[name](shown, sizes))


def _table(name: str, rows: _Rows) -> str:
    cell = '<tr><th style="text-align:left">{}</th><td style="text-align:left">{}</td></tr>'
    body = "".join(cell.format(escape(key), escape(_text(value))) for key, value in rows.items())
    return f"<table><caption>nearwood.{escape(name)}</caption><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _index(index: Any, _: dict[str, int]) -> _Rows:
    info = index.info()
    return {
        "vectors": info["n"],
        "dimension": info["dim"],
        "metric": info["metric"],
        "storage": info["storage"],
        "trees": f"{info['n_trees']:,}, with {info['n_leaves']:,} leaves",
        "graph": info["graph"],
        "ids": "strings" if info["string_ids"] else "integers",
        "labels": info["labels"],
        "size": _size(info),
    }


def _interactions(data: Any, sizes: dict[str, int]) -> _Rows:
    users, items = data.shape
    share = data.nnz / max(users * items, 1)
    rows: _Rows = {
        "users": users,
        "items": items,
        "interactions": data.nnz,
        "density": f"{100 * share:.3g} %",
        "times": sizes["times"] > 0,
    }
    return rows | ({"rows passed over": data.n_skipped} if data.n_skipped else {})


def _als(model: Any, sizes: dict[str, int]) -> _Rows:
    losses = _losses(model.loss_history) if sizes else {"trained": False}
    return {**sizes, **_params(model), **losses}


def _recommender(rec: Any, _: dict[str, int]) -> _Rows:
    info = rec.info()
    return {
        "users": info["n_users"],
        "items": info["n"],
        "labels": info["labels"],
        **_params(rec),
        **_losses(rec.loss_history),
        "size": _size(info),
    }


def _params(model: Any) -> _Rows:
    """What a result depends on, which the number of threads is not."""
    return {name: value for name, value in model.params.items() if name != "n_threads"}


def _losses(history: list[float]) -> _Rows:
    if not history:
        return {}
    last = ", ".join(f"{loss:,.6g}" for loss in history[-LOSSES:])
    return {f"loss after {len(history)} epochs": last}


def _size(info: dict[str, Any]) -> str:
    """Bytes as people read them, and where they are."""
    size, units = float(info["bytes"]), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    number = f"{size:.0f}" if units[0] == "bytes" else f"{size:.1f}"
    return f"{number} {units[0]}, {'mapped' if info['mapped'] else 'in memory'}"


_ROWS: dict[str, Callable[[Any, dict[str, int]], _Rows]] = {
    "Index": _index,
    "Interactions": _interactions,
    "AlternatingLeastSquares": _als,
    "Recommender": _recommender,
}
