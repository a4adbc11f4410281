"""Draw the rooms of the code and which imports which, as docs/rooms.svg: `python -m tests.support.draw_rooms`.

The rooms are the packages and top-level modules of paddle_ft, and the converter. The picture follows from their imports. An arrow
that follows from others is left out: training imports data, but it does so through tasks as well.
"""

from __future__ import annotations

import ast
import re
import textwrap
from xml.sax.saxutils import escape

from tests.support.import_graph import parse, room_imports
from tests.support.paths import ROOT

PICTURE = ROOT / "docs" / "rooms.svg"
WIDTH, HEIGHT = 256, 66  # of a box, in pixels
COLUMN, ROW = 290, 90  # distance from one column or row to the next
MARGIN = 20
COLUMNS = (0, 1, -1, 2, -2, 3, -3, 4, -4)  # the longest chain of imports is in column 0, the other rooms beside it
LINE_LENGTH = 40  # characters of a description in a line of a box

Graph = dict[str, set[str]]


def reachable(graph: Graph, room: str) -> set[str]:
    """Return all rooms that a room imports, also indirectly."""
    found: set[str] = set()
    rooms = [room]
    while rooms:
        new = graph[rooms.pop()] - found
        found |= new
        rooms += new
    return found


def without_shortcuts(graph: Graph) -> Graph:
    """Return the graph without the imports that follow from others."""
    return {
        room: {other for other in imported if not any(other in reachable(graph, between) for between in imported - {other})}
        for room, imported in graph.items()
    }


def chain_below(graph: Graph, room: str) -> list[str]:
    """Return the longest chain of imports that begins with a room; the alphabet decides between equal ones."""
    chains = [chain_below(graph, other) for other in sorted(graph[room])]
    return [room, *max(chains, key=len, default=[])]


def place(graph: Graph) -> dict[str, tuple[int, int]]:
    """Return room -> (column, row). Every room is below those that import it, and no two arrows share a piece of a column."""
    chain = max((chain_below(graph, room) for room in sorted(graph)), key=len)
    importers = {room: [other for other in graph if room in graph[other]] for room in graph}
    rows: dict[str, int] = {}
    for room in sorted(graph, key=lambda room: len(reachable(graph, room)), reverse=True):  # who imports a room reaches more
        rows[room] = max((rows[other] + 1 for other in importers[room]), default=0)
    spans = []
    for room in sorted(set(graph) - set(chain)):
        linked = [rows[other] for other in [room, *importers[room], *graph[room]]]
        spans.append((min(linked), max(linked), room))
    columns, taken = dict.fromkeys(chain, 0), {column: [] for column in COLUMNS[1:]}
    for first, last, room in sorted(spans, key=lambda span: (span[1] - span[0], span)):
        column = next(column for column, others in taken.items() if all(last < a or first > b for a, b in others))
        taken[column].append((first, last))
        columns[room] = column
    return {room: (columns[room], rows[room]) for room in sorted(graph)}


def description(room: str) -> str:
    """Return the first sentence of a room's docstring."""
    places = [f"{room}/__init__.py"] if room == "convert" else [f"paddle_ft/{room}/__init__.py", f"paddle_ft/{room}.py"]
    path = next(path for path in (ROOT / name for name in places) if path.is_file())
    paragraph = (ast.get_docstring(parse(path)) or "").split("\n\n")[0]
    return re.split(r"(?<=\.)\s", " ".join(paragraph.replace("`", "").split()))[0]


def draw(graph: Graph) -> str:
    """Return the picture as SVG."""
    cells = place(graph)
    left, top = (min(cell[axis] for cell in cells.values()) for axis in (0, 1))
    corners = {room: (MARGIN + (column - left) * COLUMN, MARGIN + (row - top) * ROW) for room, (column, row) in cells.items()}
    width, height = (max(corner[axis] for corner in corners.values()) + size + MARGIN for axis, size in enumerate((WIDTH, HEIGHT)))
    arrows = [
        _arrow(corners[room], corners[other], outward=abs(cells[other][0]) > abs(cells[room][0]))
        for room, imported in sorted(without_shortcuts(graph).items()) for other in sorted(imported)
    ]  # fmt: skip
    boxes = [_box(room, *corner) for room, corner in corners.items()]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
        ' aria-labelledby="title" font-family="system-ui, sans-serif">',
        '<title id="title">The rooms of the code; an arrow leads from a room to what it imports</title>',
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#59636e"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *arrows, *boxes, "</svg>", "",
    ])  # fmt: skip


def _arrow(start: tuple[int, int], end: tuple[int, int], outward: bool) -> str:
    """Return an arrow from a box to one below it: straight down in the same column, else with one corner.

    Args:
        start, end: the upper left corners of the boxes.
        outward: whether the arrow leads away from the chain in the middle. Then it goes across first, and otherwise down first.
    """
    (x, y), (end_x, end_y) = start, end
    if x == end_x:
        path = f"M{x + WIDTH // 2},{y + HEIGHT} V{end_y}"
    elif outward:
        path = f"M{x + WIDTH if end_x > x else x},{y + HEIGHT // 2} H{end_x + WIDTH // 2} V{end_y}"
    else:
        path = f"M{x + WIDTH // 2},{y + HEIGHT} V{end_y + HEIGHT // 2} H{end_x if end_x > x else end_x + WIDTH}"
    return f'<path d="{path}" fill="none" stroke="#59636e" stroke-width="1.5" marker-end="url(#head)"/>'


def _box(room: str, x: int, y: int) -> str:
    """Return the box of a room with its name and description."""
    name = "convert/" if room == "convert" else f"paddle_ft/{room}" + ("/" if (ROOT / "paddle_ft" / room).is_dir() else ".py")
    fill = "#eaf5ea" if room == "convert" else "#eaf2fb"
    lines = textwrap.wrap(description(room), LINE_LENGTH, max_lines=3, placeholder=" ...")
    texts = [f'<text x="{x + 10}" y="{y + 33 + 13 * number}" font-size="11" fill="#1f2328">{escape(line)}</text>'
             for number, line in enumerate(lines)]  # fmt: skip
    return "\n".join([
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{fill}" stroke="#0b62a8"/>',
        f'<text x="{x + 10}" y="{y + 18}" font-size="13" font-weight="600" fill="#0b62a8">{name}</text>', *texts,
    ])  # fmt: skip


if __name__ == "__main__":
    PICTURE.write_text(draw(room_imports()), encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)} written")
