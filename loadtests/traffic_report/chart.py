"""One picture with two axes as SVG text, readable alone and within a page.

Knows: lines, points, bars, labels. Must not know: what they mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from loadtests.traffic_report.scales import Scale, label

LEFT, RIGHT, TOP, BOTTOM = 62, 18, 58, 48
COLOURS = ("#4477aa", "#ee6677", "#228833", "#aa3377", "#ccbb44", "#66ccee", "#777777", "#dd8833")
MOST_IN_A_LINE = 6  # names of categories
INK, FAINT = "#333333", "#dddddd"


class Chart:
    """Drawn upon until `svg` is asked for. Scales map numbers to places in it."""

    def __init__(self, title: str, width: int = 640, height: int = 340) -> None:
        self._title, self.width, self.height = title, width, height
        self._parts: list[str] = []
        self._legend: list[tuple[str, str, str]] = []

    @property
    def across(self) -> tuple[float, float]:
        """Where a horizontal scale begins and ends."""
        return LEFT, self.width - RIGHT

    @property
    def upwards(self) -> tuple[float, float]:
        """Where a vertical scale begins and ends."""
        return self.height - BOTTOM, TOP

    def axis_x(self, scale: Scale, name: str) -> None:
        for value in scale.ticks():
            self._tick(scale.place(value), label(value))
        self._name_x(name)

    def axis_categories(self, names: Sequence[str]) -> Scale:
        """A place for each name; in two lines where there are many."""
        scale = Scale(-0.5, len(names) - 0.5, *self.across)
        for number, name in enumerate(names):
            lower = 13 if len(names) > MOST_IN_A_LINE and number % 2 else 0
            self.text(scale.place(number), self.height - BOTTOM + 16 + lower, name, anchor="middle", size=11)
        return scale

    def axis_y(self, scale: Scale, name: str) -> None:
        for value in scale.ticks():
            y = scale.place(value)
            self._line(LEFT, y, self.width - RIGHT, y, FAINT)
            self.text(LEFT - 6, y + 4, label(value), anchor="end", size=11)
        x, y = 14, (TOP + self.height - BOTTOM) / 2
        self._parts.append(
            f'<text transform="translate({x},{y:.0f}) rotate(-90)" text-anchor="middle" font-size="12" '
            f'fill="{INK}">{escape(name)}</text>'
        )

    def line(
        self, points: Sequence[tuple[float, float]], colour: str, name: str = "", dash: str = "",
        has_marks: bool = True,
    ) -> None:  # fmt: skip
        """Through places; what is no number leaves a gap."""
        known = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in known)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>'
        )
        for x, y in known if has_marks else ():
            self.mark(x, y, colour)
        if name:
            self._legend.append((name, colour, dash))

    def mark(self, x: float, y: float, colour: str, is_hollow: bool = False, title: str = "") -> None:
        fill = "white" if is_hollow else colour
        told = f"<title>{escape(title)}</title>" if title else ""
        self._parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{colour}" stroke-width="2">'
            f"{told}</circle>"
        )

    def bar(self, left: float, right: float, low: float, high: float, colour: str, title: str = "") -> None:
        self._parts.append(
            f'<rect x="{left:.1f}" y="{min(low, high):.1f}" width="{right - left:.1f}" '
            f'height="{abs(high - low):.1f}" fill="{colour}"><title>{escape(title)}</title></rect>'
        )

    def horizontal(self, y: float, name: str) -> None:
        """A bound, across the whole picture."""
        self._line(LEFT, y, self.width - RIGHT, y, INK, dash="4 3")
        self.text(self.width - RIGHT, y - 4, name, anchor="end", size=11)

    def stretch(self, left: float, right: float, name: str) -> None:
        """A shaded part of the horizontal axis, with its name at the top."""
        self._parts.append(
            f'<rect x="{left:.1f}" y="{TOP}" width="{max(0.5, right - left):.1f}" '
            f'height="{self.height - TOP - BOTTOM}" fill="#4477aa" fill-opacity="0.07">'
            f"<title>{escape(name)}</title></rect>"
        )

    def key(self, name: str, colour: str, dash: str = "") -> None:
        """A line of the legend for what was drawn otherwise."""
        self._legend.append((name, colour, dash))

    def text(
        self, x: float, y: float, text: str, anchor: str = "start", size: int = 12, colour: str = INK
    ) -> None:
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">'
            f"{escape(text)}</text>"
        )

    def svg(self) -> str:
        """The whole picture."""
        title = escape(self._title)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{title}" font-family="system-ui, sans-serif">',
            f'<rect width="{self.width}" height="{self.height}" fill="white"/>',
            f'<text x="{LEFT}" y="18" font-size="14" font-weight="600" fill="{INK}">{title}</text>',
            *self._parts,
            *self._legend_parts(),
            "</svg>",
        ]
        return "".join(parts)

    def _legend_parts(self) -> list[str]:
        """In one line above the picture, or in two."""
        parts, x, y = [], float(LEFT), 32
        for name, colour, dash in self._legend:
            wide = 40 + 6.2 * len(name)
            if x + wide > self.width and y == 32:
                x, y = float(LEFT), 46
            dashed = f' stroke-dasharray="{dash}"' if dash else ""
            parts.append(
                f'<line x1="{x:.0f}" y1="{y}" x2="{x + 20:.0f}" y2="{y}" stroke="{colour}" stroke-width="3"'
                f"{dashed}/>"
                f'<text x="{x + 25:.0f}" y="{y + 4}" font-size="11" fill="{INK}">{escape(name)}</text>'
            )
            x += wide
        return parts

    def _tick(self, x: float, text: str) -> None:
        self._line(x, self.height - BOTTOM, x, self.height - BOTTOM + 4, INK)
        self.text(x, self.height - BOTTOM + 17, text, anchor="middle", size=11)

    def _name_x(self, name: str) -> None:
        self._line(LEFT, self.height - BOTTOM, self.width - RIGHT, self.height - BOTTOM, INK)
        self.text((LEFT + self.width - RIGHT) / 2, self.height - 10, name, anchor="middle")

    def _line(self, x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "") -> None:
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dashed}/>'
        )
