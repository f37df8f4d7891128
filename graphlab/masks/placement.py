"""Where weight masks sit in a program, several beside each other: by role, attention, block and layer, and as a U."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from graphlab.facts import PlacedWeight
from graphlab.graph import Graph
from graphlab.masks.errors import MaskError
from graphlab.masks.reading import WeightMask, read_mask
from graphlab.passes_base import Analysis
from graphlab.pipeline import Facts
from graphlab.plugins import own_pass
from graphlab.report.figure import Column as Heading
from graphlab.report.figure import Figure, Value
from graphlab.report.markdown import markdown_fields, markdown_table
from graphlab.report.tables import Column, Table

PASS = "mask-placement"
SCHEMA = "graphlab.mask/1"
"""Version of the JSON layout; the number grows when a key changes meaning or disappears."""
GROUPS = ("role", "attention", "block", "layer")
"""What the tables add up by."""
_BLOCK = re.compile(r"(?:^|\.)(down_blocks\.(\d+)|mid_block|up_blocks\.(\d+))(?:\.([a-z_]+)\.(\d+))?(?:\.|$)")


@dataclass(frozen=True, slots=True)
class PlacedMask:
    """A mask `file` and the `rows` of its weights. `log_snr` is the range its scores were taken in, (from, to), in
    which -inf and inf are ends; None where the mask does not say. `score` names what was scored ("abs_sum", ...)."""

    file: str
    rows: tuple[PlacedWeight, ...]
    log_snr: tuple[float, float] | None = None
    score: str | None = None

    @property
    def range(self) -> str:
        """The range in words."""
        if self.log_snr is None:
            return "range not said"
        low, high = self.log_snr
        return f"log SNR {low:g} to {high:g}"


@dataclass(frozen=True, slots=True)
class Cell:
    """Weights taken together: `set_entries` of `entries`, and the mean `score`, None where some have none."""

    entries: int
    set_entries: int
    score: float | None

    @property
    def density(self) -> float:
        """Share of the entries that may change, 0 to 1."""
        return self.set_entries / self.entries if self.entries else 0.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Masks of one program, `source` and `stage`; each has a name of its own in `names`."""

    source: str
    stage: str
    masks: tuple[PlacedMask, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What each mask is called: its range, with its file where ranges are the same."""
        ranges = [mask.range for mask in self.masks]
        return tuple(
            f"{mask.range}, {mask.file}" if ranges.count(mask.range) > 1 else mask.range for mask in self.masks
        )


def placement(source: str, stage: str, graph: Graph, paths: Sequence[Path]) -> Placement:
    """Where the masks at `paths` sit in `graph`. MaskError for no mask and for one given twice, GraphlabError for one
    of another model."""
    if not paths or len({path.resolve() for path in paths}) < len(paths):
        raise MaskError("no mask is given, or one twice", hint="give every mask once")
    facts = Facts(graph, dict(graph.symbols))
    kind = cast("Callable[..., Analysis[tuple[PlacedWeight, ...]]]", own_pass(PASS))
    return Placement(source, stage, tuple(_placed(facts.of(kind(mask=path)), read_mask(path)) for path in paths))


def _placed(rows: tuple[PlacedWeight, ...], mask: WeightMask) -> PlacedMask:
    score = mask.about.get("score")
    return PlacedMask(mask.path.name, rows, _range(mask), score if isinstance(score, str) else None)


def _range(mask: WeightMask) -> tuple[float, float] | None:
    """What `about` says of log SNR: two numbers, or "inf" and "-inf", which JSON cannot write."""
    said = mask.about.get("log_snr")
    if said is None:
        return None
    try:
        low, high = (float(value) for value in said)
    except (TypeError, ValueError) as error:
        raise MaskError(f"{mask.path}: its log_snr is {said!r}, expected two numbers") from error
    return low, high


def group_of(row: PlacedWeight, by: str) -> str:
    """The group of a weight by one of GROUPS."""
    if by == "role":
        return row.role
    if by == "attention":
        return "no attention" if row.kind is None else f"{row.kind}, {row.part}"
    if by == "block":
        found = _BLOCK.search(row.layer)
        return found.group(1) if found else "outside of the blocks"
    return row.layer


def grouped(rows: Iterable[PlacedWeight], by: str) -> dict[str, Cell]:
    """{group: cell} in the order of the rows."""
    together: dict[str, list[PlacedWeight]] = {}
    for row in rows:
        together.setdefault(group_of(row, by), []).append(row)
    return {name: _cell(items) for name, items in together.items()}


def _cell(rows: Sequence[PlacedWeight]) -> Cell:
    entries = sum(row.entries for row in rows)
    scores = [row.score * row.entries for row in rows if row.score is not None]
    score = sum(scores) / entries if entries and len(scores) == len(rows) else None
    return Cell(entries, sum(row.set_entries for row in rows), score)


def tables(found: Placement) -> tuple[Table, ...]:
    """A table for each of GROUPS: density and mean score of every mask."""
    heads = [f"{what}, {name}" for name in found.names for what in ("density", "score")]
    made = []
    for by in GROUPS:
        cells = [grouped(mask.rows, by) for mask in found.masks]
        names = list(dict.fromkeys(name for part in cells for name in part))
        rows = tuple((name, *(text for part in cells for text in _texts(part.get(name)))) for name in names)
        columns = (Column(by, number=False), *map(Column, heads))
        made.append(Table(f"By {by}", columns, rows, note="score: mean over the entries, in the mask's own units"))
    return tuple(made)


def _texts(cell: Cell | None) -> tuple[str, str]:
    if cell is None:
        return "-", "-"
    return f"{cell.density:.1%}", "-" if cell.score is None else f"{cell.score:.3g}"


def to_markdown(found: Placement) -> str:
    """The tables as Markdown."""
    head = markdown_fields([("source", found.source), ("stage", found.stage)])
    return "\n\n".join([head, *map(markdown_table, tables(found))]) + "\n"


def to_json(found: Placement) -> str:
    """Every mask with its range, its groups, and its weights; ends that are infinite are "inf" and "-inf"."""
    said = [{"name": name, **_mask(mask)} for name, mask in zip(found.names, found.masks, strict=True)]
    made = {"schema": SCHEMA, "source": found.source, "stage": found.stage, "masks": said}
    return json.dumps(made, indent=2, allow_nan=False) + "\n"


def _mask(mask: PlacedMask) -> dict[str, Any]:
    ends = None if mask.log_snr is None else [str(end) if abs(end) == float("inf") else end for end in mask.log_snr]
    return {
        "file": mask.file,
        "log_snr": ends,
        "score": mask.score,
        "groups": {by: {n: _plain(c) for n, c in grouped(mask.rows, by).items()} for by in GROUPS},
        "weights": {
            row.key: {
                "layer": row.layer,
                "role": row.role,
                "attention": row.kind,
                "part": row.part,
                **_plain(_cell([row])),
            }
            for row in mask.rows
        },
    }


def _plain(cell: Cell) -> dict[str, Any]:
    return {"entries": cell.entries, "set": cell.set_entries, "density": cell.density, "mean_score": cell.score}


def u_shape(found: Placement) -> Figure:
    """The masks over a U-Net: a panel a mask; blocks go down on the left and up on the right, the middle at the bottom.

    A cell is one resnet, one resampling, or one kind of attention of a block, coloured by density. Without blocks of a
    U-Net there is no chart, and a note says so.
    """
    depth = 1 + max((_level(row) for mask in found.masks for row in mask.rows), default=0)
    placed = [_by_place(mask, depth) for mask in found.masks]
    order = {place: number for number, place in enumerate(sorted({place for cells in placed for place in cells}))}
    rows: list[Mapping[str, Value]] = []
    for name, cells in zip(found.names, placed, strict=True):
        for place in sorted(cells):
            cell, (side, level, _, unit) = cells[place], place
            label = f"{order[place]:02d} {('down', 'mid', 'up')[side]} {unit}"
            values = {"density": cell.density, "score": cell.score, "entries": cell.entries, "set": cell.set_entries}
            rows.append({"mask": name, "place": label, "level": abs(level), **values})
    notes = () if rows else ("no masked weight is in the down, mid or up blocks of a U-Net",)
    return Figure(
        "mask-placement",
        "Where the mask sits",
        "Share of the entries that may change, over the blocks of the U-Net.",
        _HEADINGS,
        tuple(rows),
        _chart() if rows else None,
        notes,
    )


_HEADINGS = (
    Heading("mask", "mask"),
    Heading("place", "place", help="in the order in which they run"),
    Heading("level", "level", help="0 is the full resolution"),
    Heading("density", "density"),
    Heading("score", "mean score"),
    Heading("entries", "entries"),
    Heading("set", "set entries"),
)


def _level(row: PlacedWeight) -> int:
    found = _BLOCK.search(row.layer)
    return int(found.group(2) or found.group(3) or 0) if found else 0


def _by_place(mask: PlacedMask, depth: int) -> dict[tuple[int, int, int, str], Cell]:
    """{place: cell} of the weights in blocks."""
    cells: dict[tuple[int, int, int, str], list[PlacedWeight]] = {}
    for row in mask.rows:
        place = _place(row, depth)
        if place is not None:
            cells.setdefault(place, []).append(row)
    return {place: _cell(rows) for place, rows in cells.items()}


def _place(row: PlacedWeight, depth: int) -> tuple[int, int, int, str] | None:
    """(side, level: rising on the way up, position in the block, what it is) of a weight; None outside of blocks."""
    found = _BLOCK.search(row.layer)
    if found is None:
        return None
    what, number = found.group(4) or "rest", int(found.group(5) or 0)
    kind = "" if not what.startswith("attentions") else f" {row.kind or 'rest'}"
    unit = f"{what.removesuffix('s')} {number}{kind}"
    order = _order(what, number, row.kind)
    if found.group(1) == "mid_block":
        return 1, depth - 1, order, unit
    if found.group(2) is not None:
        return 0, int(found.group(2)), order, f"{found.group(2)} {unit}"
    return 2, int(found.group(3)) - depth + 1, order, f"{found.group(3)} {unit}"


def _order(what: str, number: int, kind: str | None) -> int:
    """Resnets and attentions take turns, self before cross; what changes the resolution comes last.

    In the middle a resnet comes first, too: resnet 0, attention 0, resnet 1.
    """
    if "sampler" in what:
        return 1000
    if not what.startswith("attentions"):
        return 10 * number
    return 10 * number + {"self": 1, "cross": 2}.get(kind or "", 3)


def _chart() -> dict[str, Any]:
    colour = {
        "field": "density", "type": "quantitative", "title": "share that may change",
        "scale": {"domain": [0, 1], "scheme": "viridis"}, "legend": {"format": ".0%"},
    }  # fmt: skip
    return {
        "mark": {"type": "rect", "stroke": "#666666"},
        "width": {"step": 22},
        "height": {"step": 26},
        "encoding": {
            "x": {"field": "place", "type": "nominal", "title": None, "axis": {"labelLimit": 240}},
            "y": {"field": "level", "type": "ordinal", "title": "level"},
            "color": colour,
            "row": {"field": "mask", "type": "nominal", "title": None, "sort": None},
            "tooltip": [{"field": name} for name in ("place", "density", "score", "entries", "set")],
        },
    }
