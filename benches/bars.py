"""Draws bars beside one another as an SVG file that is read in light and dark.

Every panel has a scale of its own that begins at nothing, and every bar its figure at its end, so
that short ones beside long ones can be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from peers_picture import OWN, PEERS, STYLE

NAMES, LENGTH, FIGURE = 250, 230, 76
ROW, TOP = 22, 44
#: Panels beside one another before a new line of them begins.
ACROSS = 2


@dataclass
class Bar:
    """One figure; ours are drawn in another colour."""

    name: str
    value: float
    own: bool


@dataclass
class Panel:
    """Bars of one unit, from the least to the most."""

    title: str
    bars: list[Bar]

    def height(self) -> int:
        return ROW * (len(self.bars) + 2)


def picture(title: str, panels: list[Panel]) -> str:
    """The file's text."""
    shown = [panel for panel in panels if panel.bars]
    lines = [shown[at : at + ACROSS] for at in range(0, len(shown), ACROSS)]
    across = NAMES + LENGTH + FIGURE
    width = across * min(ACROSS, len(shown)) + 16
    height = TOP + sum(max(p.height() for p in line) for line in lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}: {escape('; '.join(p.title for p in shown))}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{width}" height="{height}"/>',
        f'<text x="16" y="26" style="font-size:15px;font-weight:bold">{escape(title)}</text>',
    ]
    top = TOP
    for line in lines:
        for at, panel in enumerate(line):
            parts += _panel(panel, at * across, top)
        top += max(p.height() for p in line)
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel, left: int, top: int) -> list[str]:
    start = left + NAMES
    most = max(bar.value for bar in panel.bars) or 1.0
    parts = [f'<text x="{start}" y="{top + 14}">{escape(panel.title)}</text>']
    for at, bar in enumerate(sorted(panel.bars, key=lambda bar: bar.value)):
        y = top + ROW * (at + 1)
        long = max(1.0, bar.value / most * LENGTH)
        colour = OWN[0] if bar.own else PEERS[0]
        parts.append(
            f'<text x="{start - 8}" y="{y + 14}" text-anchor="end">{escape(bar.name)}</text>'
        )
        parts.append(
            f'<rect x="{start}" y="{y + 3}" width="{long:.1f}" height="{ROW - 7}" fill="{colour}"/>'
        )
        parts.append(f'<text x="{start + long + 6:.1f}" y="{y + 14}">{figure(bar.value)}</text>')
    bottom = top + ROW * (len(panel.bars) + 1)
    parts.append(f'<path class="axis" d="M{start} {top + ROW}V{bottom}"/>')
    return parts


def figure(value: float) -> str:
    """Three digits that count, and no more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
