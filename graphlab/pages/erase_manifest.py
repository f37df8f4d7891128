"""The pages of `graphlab erase saliency`, `train` and `fuse`: what was asked, how it went, what was written."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from graphlab.erase.jobs.manifests import FuseManifest, Manifest, SaliencyManifest, TrainManifest
from graphlab.erase.jobs.tables import changed_role_table, fusion_table, role_table
from graphlab.figures.charts import colour, picks, quantity, tooltip
from graphlab.report.figure import Column, Figure, Value
from graphlab.report.html import Document, PlainTable, Section, plain

MOST_POINTS = 500
"""Iterations a line of losses shows one by one; of more it shows means of several in a row."""

CURVE_COLUMNS = (
    Column("maps", "maps"),
    Column("kept", "entries kept"),
    Column("share", "share of all entries"),
)
LOSS_COLUMNS = (
    Column("iteration", "iteration", help="the last of those a row is the mean of"),
    Column("term", "term"),
    Column("loss", "loss", help="mean squared error of predictions, without the weight of the term"),
)


def saliency_document(made: SaliencyManifest) -> Document:
    """How much every further map left, and where what is kept lies; whether it was drawn at random instead."""
    found, drawn = made.results, made.seeds.get("random")
    kept, entries = sum(row.kept for row in found.roles), sum(row.entries for row in found.roles)
    return Document(
        title=f"{'Saliency' if drawn is None else 'Random'} mask of {made.source}",
        subtitle=_subtitle(made, found.prompts),
        sections=(
            Section(
                "Mask",
                (
                    f"{kept:,} of {entries:,} entries are kept.",
                    f"They are what {len(found.kept_after)} maps leave."
                    if drawn is None
                    else f"They were drawn at random (seed {drawn}), as many in every weight as the maps leave there.",
                ),
                figures=(curve_figure(found.kept_after, entries),),
                tables=(plain(role_table(found.roles)),),
            ),
            *_made_of(made, {"training"}),
        ),
    )


def train_document(made: TrainManifest) -> Document:
    """The losses of every term, and which weights changed."""
    found = made.results
    lines = [f"{sum(row.changed for row in found.roles):,} entries have other bits than before."]
    outside = [row.outside for row in found.roles if row.outside is not None]
    lines.append(f"{sum(outside):,} entries changed outside the mask." if outside else "There was no mask.")
    terms = (figure,) if (figure := losses_figure(found.losses)).rows else ()
    asked = made.config.get("concepts"), made.config.get("prompts")
    named = [str(text) for texts in asked if isinstance(texts, list) for text in texts]
    return Document(
        title=f"Training of {made.source}",
        subtitle=_subtitle(made, named),
        sections=(
            Section(
                "Training",
                (
                    f"{len(found.losses):,} iterations: {found.evaluations:,} samples evaluated with gradient, "
                    f"{found.other_evaluations:,} without.",
                ),
                figures=terms,
            ),
            Section("Weights", tuple(lines), tables=(plain(changed_role_table(found.roles)),)),
            *_made_of(made, {"maps", "random"}),
        ),
    )


def fuse_document(made: FuseManifest) -> Document:
    """What became of every edit."""
    found = made.results
    return Document(
        title=f"Fusion into {made.source}",
        subtitle=_subtitle(made, found.prompts),
        sections=(
            Section(
                "Edits",
                (f"{found.kept_tokens:,} tokens of captions were to stay.",),
                tables=(plain(fusion_table(found.edits, made.loras)),),
            ),
            *_made_of(made, ()),
        ),
    )


def curve_figure(kept_after: Sequence[int], entries: int) -> Figure:
    """The share of `entries` that is kept after every map, as they are combined."""
    rows: tuple[dict[str, Value], ...] = tuple(
        {"maps": maps, "kept": kept, "share": kept / entries} for maps, kept in enumerate(kept_after, 1)
    )
    return Figure(
        name="kept",
        title="Entries kept, map by map",
        caption="What is left of all entries after every further map.",
        columns=CURVE_COLUMNS,
        rows=rows,
        chart={
            "description": "Line: share of the entries kept over the number of maps.",
            "mark": {"type": "line", "point": True},
            "height": 200,
            "encoding": {
                "x": quantity("maps", "maps", format="d"),
                "y": quantity("share", "share of all entries", format="%"),
                "tooltip": tooltip(CURVE_COLUMNS, "maps", "kept", "share"),
            },
        },
    )


def losses_figure(losses: Sequence[Mapping[str, float]]) -> Figure:
    """The loss of every term over the iterations; of more than MOST_POINTS, means of as many in a row as it takes."""
    step = max(1, -(-len(losses) // MOST_POINTS))
    rows = tuple(_loss_rows(losses, step))
    thinned = f" A point is the mean of {step} iterations." if step > 1 else ""
    return Figure(
        name="losses",
        title="Losses",
        caption=f"Mean squared error of predictions, term by term, without weights.{thinned}",
        columns=LOSS_COLUMNS,
        rows=rows,
        chart={
            "description": "Lines: losses over iterations, a line a term.",
            "params": picks("term"),
            "mark": {"type": "line", "point": len(rows) < MOST_POINTS // 5},
            "height": 260,
            "encoding": {
                "x": quantity("iteration", "iteration", format="d"),
                "y": quantity("loss", "mean squared error", format=".2~g"),
                "color": colour("term"),
                "opacity": {"condition": {"param": "pick", "value": 1}, "value": 0.12},
                "tooltip": tooltip(LOSS_COLUMNS, "iteration", "term", "loss"),
            },
        },
    )


def _loss_rows(losses: Sequence[Mapping[str, float]], step: int) -> Iterator[dict[str, Value]]:
    for start in range(0, len(losses), step):
        part = losses[start : start + step]
        for term in dict.fromkeys(name for item in part for name in item):
            values = [item[term] for item in part if term in item]
            yield {"iteration": start + len(part), "term": term, "loss": sum(values) / len(values)}


def _subtitle(made: Manifest, prompts: Sequence[str]) -> tuple[str, ...]:
    return (f"weights of the source: SHA-256 {made.base_sha256}", f"concept: {', '.join(prompts)}")


def _made_of(made: Manifest, unused: Collection[str]) -> Iterator[Section]:
    """What decided the result: settings but for those that are `unused`, seeds, what went in and what came out."""
    config = {key: value for key, value in made.config.items() if key not in unused}
    settings = [*_flat("", config), *_flat("seeds", made.seeds), ("threads", str(made.threads))]
    yield Section("Settings", tables=(PlainTable("Settings", ("what", "value"), tuple(settings)),))
    files = [
        (way, name or "(the empty prompt)", sha256)
        for way, hashes in (("in", made.inputs_sha256), ("out", made.outputs_sha256))
        for name, sha256 in hashes.items()
    ]
    yield Section(
        "What went in and what came out",
        tables=(
            PlainTable("Prompts and files", ("way", "name", "SHA-256"), tuple(files)),
            PlainTable("Versions", ("package", "version"), tuple(made.versions.items())),
        ),
    )


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Settings by their paths: ("training.path.batch", "8")."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), inner)
    else:
        yield name, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    return value if isinstance(value, str) else json.dumps(value)
