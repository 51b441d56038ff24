"""Draws recall against queries a second as an SVG file that is read in light and dark.

Written by hand, since a plotting library's SVG has its colours fixed and its text as outlines. The
recall axis is even in the logarithm of what is missed, so that 0.9, 0.99 and 0.999 are as far apart
as they are hard to reach; the other is logarithmic too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

#: Ends of the recall axis, and what is written beside it.
LOW, HIGH = 0.8, 0.999
TICKS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
PANEL_WIDTH, PANEL_HEIGHT = 370, 340
LEFT, TOP, GAP, LEGEND = 64, 64, 64, 170
#: Ours are drawn thick, in these; the peers in those, by the order in which they come.
OWN = ("#d1242f", "#d1242f", "#e8590c", "#a61e4d")
PEERS = (
    *("#2f81f7", "#1a9850", "#8250df", "#b08800", "#0a9396"),
    *("#d63384", "#7d8590", "#6f8f00", "#a0522d", "#4b6bdc"),
)
STYLE = """
.ground { fill: #ffffff } text { fill: #24292f; font: 12px system-ui, sans-serif }
.axis { stroke: #8c959f; fill: none } .grid { stroke: #8c959f; stroke-opacity: .25 }
@media (prefers-color-scheme: dark) { .ground { fill: #0d1117 } text { fill: #e6edf3 } }
"""


@dataclass
class Series:
    """One line: (recall, queries a second) in the order of recall."""

    name: str
    points: list[tuple[float, float]]
    own: bool
    joined: bool = True


def picture(title: str, panels: dict[str, list[Series]]) -> str:
    """The file's text: panels side by side with the same axes, and one legend."""
    shown = {name: lines for name, lines in panels.items() if lines}
    every = [line for lines in shown.values() for line in lines]
    colours = _colours(every)
    rates = [rate for line in every for recall, rate in line.points if recall >= LOW] or [1.0]
    low, high = math.log10(min(rates) * 0.9), math.log10(max(rates) * 1.15)
    width = LEFT + len(shown) * (PANEL_WIDTH + GAP) - GAP + 16 + LEGEND
    height = TOP + PANEL_HEIGHT + 52
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}: recall@10 against queries a second</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{width}" height="{height}"/>',
        f'<text x="{LEFT}" y="22" style="font-size:15px;font-weight:bold">{escape(title)}</text>',
    ]
    for at, (name, lines) in enumerate(shown.items()):
        coloured = [(line, colours[line.name]) for line in lines]
        parts += _panel(LEFT + at * (PANEL_WIDTH + GAP), name, coloured, low, high)
    named = {line.name: (line, colours[line.name]) for line in every}
    parts += _legend(width - LEGEND, list(named.values()))
    return "\n".join([*parts, "</svg>\n"])


def _colours(lines: list[Series]) -> dict[str, str]:
    """The same for a name in every panel."""
    own, peers = iter(OWN * 9), iter(PEERS * 9)
    kinds = {line.name: line.own for line in lines}
    return {name: next(own if is_own else peers) for name, is_own in kinds.items()}


def _steps(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between two logarithms."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    steps = [math.log10(m) + p for p in powers for m in (1, 2, 5)]
    return [step for step in steps if low <= step <= high]


def _across(recall: float) -> float:
    """Where a recall stands, in pixels from the panel's left edge."""
    hard = lambda r: -math.log10(1 - min(r, 0.9999))  # noqa: E731
    return (hard(recall) - hard(LOW)) / (hard(HIGH) - hard(LOW)) * PANEL_WIDTH


def _panel(left: float, name: str, lines: list, low: float, high: float) -> list[str]:
    bottom = TOP + PANEL_HEIGHT

    def up(rate: float) -> float:
        return bottom - (math.log10(rate) - low) / (high - low) * PANEL_HEIGHT

    parts = [f'<text x="{left}" y="{TOP - 12}">queries/s, {escape(name)}</text>']
    for tick in TICKS:
        x = left + _across(tick)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick}</text>')
    for step in _steps(low, high):
        y = up(10**step)
        parts.append(f'<path class="grid" d="M{left} {y:.1f}H{left + PANEL_WIDTH}"/>')
        told = f"{10**step:,.0f}"
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{told}</text>')
    middle = left + PANEL_WIDTH / 2
    parts.append(f'<text x="{middle}" y="{bottom + 38}" text-anchor="middle">recall@10</text>')
    box = f'x="{left}" y="{TOP}" width="{PANEL_WIDTH}" height="{PANEL_HEIGHT}"'
    parts.append(f'<rect class="axis" {box}/>')
    parts.append(f'<clipPath id="panel{left:.0f}"><rect {box}/></clipPath>')
    parts.append(f'<g clip-path="url(#panel{left:.0f})">')
    # Ours last, above the others.
    for line, colour in sorted(lines, key=lambda pair: pair[0].own):
        parts += _drawn(line, colour, [(left + _across(r), up(rate)) for r, rate in line.points])
    return [*parts, "</g>"]


def _drawn(line: Series, colour: str, places: list[tuple[float, float]]) -> list[str]:
    size = 3.5 if line.own else 2.2
    parts = []
    if line.joined:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        wide = 2.8 if line.own else 1.5
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{wide}"/>'
        )
    for x, y in places:
        if line.joined:
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}"/>')
        else:
            diamond = f"M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"
            parts.append(f'<path d="{diamond}" class="ground" stroke="{colour}" stroke-width="2"/>')
    return parts


def _legend(left: float, named: list[tuple[Series, str]]) -> list[str]:
    parts = []
    for at, (line, colour) in enumerate(named):
        y = TOP + 8 + 20 * at
        parts += _drawn(
            line, colour, [(left, y), (left + 18, y)] if line.joined else [(left + 9, y)]
        )
        parts.append(f'<text x="{left + 26}" y="{y + 4}">{escape(line.name)}</text>')
    return parts
