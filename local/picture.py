"""Terminal output as an SVG, for a document. It brings no font and asks no server for one."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rich.console import RenderableType

WIDTH = 116  # characters; wider, and the text is too small where a README is read
# Rich's own format without its web font: each piece of text has its length, so that any monospaced font fits.
FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
  <style>
    .{unique_id}-matrix {{
      font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
      font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width;
    }}
    .{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, sans-serif; }}
    {styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
  </defs>
  {chrome}
  <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
  </g>
</svg>
"""


def save(shown: Iterable[RenderableType], title: str, path: Path) -> None:
    """Write what a terminal of WIDTH characters would show, in a window named `title`."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor", highlight=False
    )
    for one in shown:
        console.print(one)
    svg = console.export_svg(title=title, code_format=FORMAT, unique_id="demo")
    # Rich pads each row to the console's width.
    path.write_text("\n".join(row.rstrip() for row in svg.splitlines()) + "\n", encoding="utf-8")
