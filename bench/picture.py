"""Charts as SVG: bars with their intervals, and lines over time. Two kinds do not earn a plotting library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 720, 60, 20, 40, 60
LINE_HEIGHT, PLOT_HEIGHT, BAR_HEIGHT, BAR_LABELS = 18, 260, 22, 260
INKS = ("#2f6fb0", "#d1602a", "#3a8f4d", "#8a5fb5", "#7a7a7a")  # told apart by most colour-blind people too
PALE, DARK = "#cccccc", "#222222"

Interval = tuple[float, float]
Points = Sequence[tuple[float, float]]


def bars(title: str, unit: str, values: Sequence[tuple[str, float, Interval]]) -> str:
    """Horizontal bars: (label, value, where its interval begins and ends). All values at least 0."""
    height = TOP + len(values) * (BAR_HEIGHT + 8) + BOTTOM - 20
    svg = _paper(title, height)
    top = nice_top(max(high for _, _, (_, high) in values))
    scale = (WIDTH - BAR_LABELS - RIGHT - 70) / top
    for number, (label, value, (low, high)) in enumerate(values):
        y = TOP + number * (BAR_HEIGHT + 8)
        middle = y + BAR_HEIGHT / 2
        _text(svg, label, BAR_LABELS - 8, middle + 4, "end")
        _rectangle(svg, BAR_LABELS, y, value * scale, BAR_HEIGHT, INKS[number % len(INKS)])
        _line(svg, BAR_LABELS + low * scale, middle, BAR_LABELS + high * scale, middle, DARK)
        _text(svg, f"{value:,.4g} {unit}", BAR_LABELS + high * scale + 6, middle + 4)
    return _drawn(svg)


def lines(
    title: str,
    x_label: str,
    y_label: str,
    series: Sequence[tuple[str, Points]],
    levels: Sequence[tuple[str, float]] = (),
) -> str:
    """Lines through (x, y) points, both at least 0, and dashed levels such as a quota."""
    height = TOP + PLOT_HEIGHT + BOTTOM + LINE_HEIGHT * (len(series) + len(levels))
    svg = _paper(title, height)
    right = nice_top(max(x for _, points in series for x, _ in points))
    top = nice_top(max([y for _, points in series for _, y in points] + [level for _, level in levels]))
    floor = TOP + PLOT_HEIGHT

    def at(x: float, y: float) -> tuple[float, float]:
        return LEFT + x / right * (WIDTH - LEFT - RIGHT), floor - y / top * PLOT_HEIGHT

    for step in range(6):
        x, y = at(right * step / 5, top * step / 5)
        _line(svg, LEFT, y, WIDTH - RIGHT, y, PALE)
        _text(svg, f"{top * step / 5:,g}", LEFT - 6, y + 4, "end")
        _text(svg, f"{right * step / 5:,g}", x, floor + 18, "middle")
    _text(svg, x_label, WIDTH - RIGHT, floor + 36, "end")
    _text(svg, y_label, LEFT, TOP - 6)
    legend = floor + BOTTOM - 8
    for number, (label, points) in enumerate(series):
        ink = INKS[number % len(INKS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
        SubElement(svg, "polyline", {"points": path, "fill": "none", "stroke": ink, "stroke-width": "1.5"})
        _key(svg, label, legend + number * LINE_HEIGHT, ink)
    for number, (label, level) in enumerate(levels):
        _, y = at(0, level)
        ink = INKS[-1 - number % len(INKS)]
        _line(svg, LEFT, y, WIDTH - RIGHT, y, ink, dashed=True)
        _key(svg, label, legend + (len(series) + number) * LINE_HEIGHT, ink, dashed=True)
    return _drawn(svg)


def nice_top(most: float) -> float:
    """The end of an axis: the next of 1, 2, 2.5 or 5 times a power of ten."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= most)


def _paper(title: str, height: float) -> Element:
    size = {"width": f"{WIDTH}", "height": f"{height}", "viewBox": f"0 0 {WIDTH} {height}"}
    font = {"font-family": "sans-serif", "font-size": "12", "fill": DARK}
    svg = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", **size, **font})
    SubElement(svg, "title").text = title
    _rectangle(svg, 0, 0, WIDTH, height, "#ffffff")
    _text(svg, title, WIDTH / 2, 18, "middle")
    return svg


def _rectangle(svg: Element, x: float, y: float, width: float, height: float, ink: str) -> None:
    sides = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}"}
    SubElement(svg, "rect", {**sides, "fill": ink})


def _line(svg: Element, x1: float, y1: float, x2: float, y2: float, ink: str, *, dashed: bool = False) -> None:
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    SubElement(svg, "line", {**ends, "stroke": ink, **({"stroke-dasharray": "6 4"} if dashed else {})})


def _text(svg: Element, text: str, x: float, y: float, anchor: str = "start") -> None:
    SubElement(svg, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}).text = text


def _key(svg: Element, label: str, y: float, ink: str, *, dashed: bool = False) -> None:
    _line(svg, LEFT, y - 4, LEFT + 24, y - 4, ink, dashed=dashed)
    _text(svg, label, LEFT + 30, y)


def _drawn(svg: Element) -> str:
    indent(svg)
    return tostring(svg, encoding="unicode") + "\n"
