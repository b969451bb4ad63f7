"""Draws charts as SVG text: axes and marks. A reader without scripts sees each mark's numbers as its title."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from farebox.components.errors import number
from farebox.components.reporter.page.axis import Axis

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 480, 58, 14, 20, 44
CHARACTER = 7.6  # width of a character of the axes' text


class Chart:
    """An SVG in the making; marks are drawn in the order of the calls."""

    def __init__(self, x: Axis, y: Axis, height: int = 270) -> None:
        self.x, self.y, self.height = x, y, height
        names = max((len(text) for _, text in y.ticks(99 if y.names else 6)), default=0)
        self.left = min(max(LEFT, 36 + names * CHARACTER), 230.0)
        self.marks: list[str] = []

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The pixels of a point."""
        across, up = self.x.share(x), self.y.share(y)
        height = self.height - TOP - BOTTOM
        return (
            round(self.left + min(max(across, -0.02), 1.02) * (WIDTH - self.left - RIGHT), 1),
            round(TOP + (1 - min(max(up, -0.02), 1.02)) * height, 1),
        )

    def dots(self, points: Sequence[tuple[float, float]], style: str = "a", radius: float = 2.0) -> None:
        """Small dots without texts, as one path."""
        steps = (self.at(*point) for point in points)
        size = radius * 2
        path = "".join(f"M{x} {y}h0" for x, y in steps)
        self.marks.append(f'<path class="dots {style}" stroke-width="{size}" d="{path}"/>')

    def dot(self, x: float, y: float, text: str, style: str = "a", radius: float = 4.5) -> None:
        """A dot with a text."""
        px, py = self.at(x, y)
        self._mark(f'<circle class="{style}" cx="{px}" cy="{py}" r="{radius}"', text, "circle")

    def line(self, points: Sequence[tuple[float, float]], style: str = "a") -> None:
        """A line through points."""
        path = " ".join("{},{}".format(*self.at(*point)) for point in points)
        self.marks.append(f'<polyline class="line {style}" points="{path}"/>')

    def rect(self, low: tuple[float, float], high: tuple[float, float], text: str, style: str = "a") -> None:
        """A rectangle between two corners."""
        (x0, y0), (x1, y1) = self.at(*low), self.at(*high)
        left, top, width, height = min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)
        box = f'x="{left:.1f}" y="{top:.1f}" width="{max(width, 0.5):.1f}" height="{max(height, 0.5):.1f}"'
        self._mark(f'<rect class="{style}" {box}', text, "rect")

    def whisker(self, value: float, low: float | None, high: float | None, *, across: bool) -> None:
        """The interval at a band; across: along the x axis."""
        if low is None or high is None:
            return
        (x0, y0), (x1, y1) = (self.at(end, value) if across else self.at(value, end) for end in (low, high))
        self.marks.append(f'<path class="whisker" d="M{x0} {y0}L{x1} {y1}"/>')

    def rule(self, value: float, text: str, *, across: bool = False, style: str = "rule") -> None:
        """A line at a value of the y axis, or of the x axis, from end to end, with a text; across: of the y axis."""
        ends = ((self.x.low, value), (self.x.high, value)) if across else ((value, self.y.low), (value, self.y.high))
        (x0, y0), (x1, y1) = (self.at(*end) for end in ends)
        self.marks.append(f'<path class="{style}" d="M{x0} {y0}L{x1} {y1}"/>')
        if text:
            is_left = not across and x0 > WIDTH * 0.6
            x, y = (WIDTH - RIGHT - 4, y0 - 5) if across else (x0, TOP - 6)
            self.text(x, y, text, "end" if across or is_left else "middle")

    def text(self, x: float, y: float, text: str, anchor: str = "start", style: str = "note") -> None:
        """A text at pixels."""
        self.marks.append(f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def path(self, data: str, style: str) -> None:
        """A path in pixels."""
        self.marks.append(f'<path class="{style}" d="{data}"/>')

    def _mark(self, element: str, text: str, name: str) -> None:
        shown = escape(text)
        self.marks.append(f'{element} data-tip="{shown}"><title>{shown}</title></{name}>' if text else f"{element}/>")

    def svg(self, name: str, *, with_axes: bool = True) -> Markup:
        """The picture with its axes; name: what a screen reader says."""
        head = f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escape(name)}">'
        axes = "".join(self._axes()) if with_axes else ""
        return Markup(head + axes + "".join(self.marks) + "</svg>")

    def _axes(self) -> list[str]:
        parts: list[str] = []
        bottom, height = self.height - BOTTOM, self.height - TOP - BOTTOM
        longest = max((len(text) for _, text in self.x.ticks(99 if self.x.names else 6)), default=1)
        most = max(int((WIDTH - self.left - RIGHT) / (longest * CHARACTER + 26)), 2)
        for value, text in self.x.ticks(min(most, 99 if self.x.names else 7)):
            x, _ = self.at(value, self.y.low)
            grid = "" if self.x.names else f'<path class="grid" d="M{x} {TOP}V{bottom}"/>'
            inside = min(x, WIDTH - 1 - len(text) * CHARACTER / 2)
            place = f'x="{inside:.1f}" y="{bottom + 19}" text-anchor="middle"'
            parts.append(f'{grid}<text class="tick" {place}>{escape(text)}</text>')
        for value, text in self.y.ticks(int(height / 13) if self.y.names else 5):
            _, y = self.at(self.x.low, value)
            grid = "" if self.y.names else f'<path class="grid" d="M{self.left:.0f} {y}H{WIDTH - RIGHT}"/>'
            label = f'<text class="tick" x="{self.left - 6:.0f}" y="{y + 4}" text-anchor="end">{escape(text)}</text>'
            parts.append(grid + label)
        middle = (self.left + WIDTH - RIGHT) / 2
        place = f'x="{middle:.0f}" y="{self.height - 8}" text-anchor="middle"'
        parts.append(f'<text class="axis" {place}>{escape(self.x.label)}</text>')
        if self.y.label:
            up = TOP + height / 2
            parts.append(
                f'<text class="axis" transform="rotate(-90)" x="{-up:.0f}" y="13" text-anchor="middle">'
                f"{escape(self.y.label)}</text>"
            )
        return parts


def bars(
    names: Sequence[str],
    label: str,
    rows: Sequence[tuple[float, float | None, float | None, str]],
    *,
    name: str,
    row_label: str = "",
    style: str = "a",
    rule: tuple[float, str] | None = None,
) -> Markup:
    """Horizontal bars with intervals, the first on top.

    rows: value, lower, upper and text of each; rule: a value to mark, and its text.
    """
    values = [end for value, low, high, _ in rows for end in (value, low, high) if end is not None]
    x = Axis.over(label, [*values, 0.0, *([rule[0]] if rule else [])], zero=True)
    order = list(range(len(names)))[::-1]
    chart = Chart(x, Axis.of(row_label, [names[each] for each in order]), TOP + BOTTOM + max(21 * len(names), 60))
    for place, each in enumerate(order):
        value, low, high, text = rows[each]
        chart.rect((0.0, place - 0.34), (value, place + 0.34), text, style)
        chart.whisker(place, low, high, across=True)
    if rule:
        chart.rule(rule[0], rule[1])
    return chart.svg(name)


def columns(
    names: Sequence[str],
    y_label: str,
    parts: Sequence[tuple[str, str, Sequence[float | None]]],
    *,
    name: str,
    x_label: str = "",
    height: int = 190,
    intervals: Sequence[tuple[float | None, float | None]] = (),
) -> Markup:
    """Vertical bars of several parts side by side; parts: name, style and a value per name, None for a gap; intervals:
    per name."""
    everything = [value for _, _, values in parts for value in values if value is not None]
    everything += [end for pair in intervals for end in pair if end is not None]
    chart = Chart(Axis.of(x_label, names), Axis.over(y_label, [*everything, 0.0], zero=True), height)
    width = 0.8 / max(len(parts), 1)
    for place, (part, style, values) in enumerate(parts):
        for index, value in enumerate(values):
            if value is None:
                continue
            low = index - 0.4 + place * width
            chart.rect((low, 0.0), (low + width, value), f"{names[index]}, {part}: {number(value)}", style)
    for index, (low_end, high_end) in enumerate(intervals):
        chart.whisker(index, low_end, high_end, across=False)
    return chart.svg(name)


def shade(share: float) -> str:
    """The style of a heat map's cell: one of ten steps, 0 to 9."""
    return f"h{min(max(int(share * 10), 0), 9)}"
