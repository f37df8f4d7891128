"""The tables of a listing, as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphlab.catalogue.data import Listing, Plugin
from graphlab.report.tables import Column, Table
from graphlab.units import format_bytes, format_count

SHOWN = ("float32", "bfloat16", "float16", "float8")
"""Peaks that the table of devices shows."""

_DEVICES = "FLOP/s, dense, with float32 sums; - is not published. --device also takes a .toml file of your own"
_PASSES = "--pass NAME[,OPTION=VALUE]..., of `graphlab analyze` for analyses, of `graphlab rewrite` for rewrites; "
_NOTES = {
    "passes": _PASSES + "or path/file.py:CLASS",
    "models": "`graphlab analyze NAME`; or path/file.py:FUNCTION",
    "devices": _DEVICES,
    "backends": "`graphlab bench SOURCE --backend NAME[,OPTION=VALUE]...`; or path/file.py:CLASS",
}


def listing_tables(listing: Listing) -> Iterator[Table]:
    """The plug-ins, their options (of models: what `--set` takes), and those that do not work."""
    yield _plugins(listing)
    if listing.kind in ("passes", "backends"):
        yield _options(listing)
    if listing.kind == "models":
        yield _variables(listing)
    if listing.broken:
        yield _broken(listing)


def device_lines(listing: Listing) -> tuple[list[str], list[str]]:
    """(where the numbers of each device are published, what else there is to know of it), a line a device."""
    known = [item.hardware for item in listing.plugins if item.hardware is not None]
    sources = [f"{item.name}: {', '.join(_urls(item.sources.values()))}" for item in known if item.sources]
    return sources, [f"{item.name}: {item.note}" for item in known if item.note]


def _urls(sources: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(url for source in sources for url in source.split(" and "))


def _plugins(listing: Listing) -> Table:
    heads, cells = _COLUMNS[listing.kind]
    columns = (Column("name", number=False, whole=True), *heads, Column("from", number=False))
    rows = tuple((item.name, *cells(item), str(item.owner)) for item in listing.plugins)
    return Table(listing.kind.capitalize(), columns, rows, note=_NOTES[listing.kind])


def _text(head: str, *, whole: bool = False) -> Column:
    return Column(head, number=False, whole=whole)


def _pass_cells(item: Plugin) -> tuple[str, ...]:
    return item.kind, item.help


def _model_cells(item: Plugin) -> tuple[str, ...]:
    return item.kind, item.help, ", ".join(item.aliases)


def _device_cells(item: Plugin) -> tuple[str, ...]:
    hardware = item.hardware
    assert hardware is not None
    peaks = [hardware.peak(dtype) for dtype in SHOWN]
    shown = (format_count(peak) if peak is not None else "-" for peak in peaks)
    return (format_bytes(hardware.memory_bytes), format_count(hardware.bandwidth), *shown)


def _backend_cells(item: Plugin) -> tuple[str, ...]:
    here = {True: "yes", False: "no", None: "depends"}[item.runs]
    return here if item.why_not is None else f"{here}: {item.why_not}", item.help


_COLUMNS = {
    "passes": ((_text("kind", whole=True), _text("what it does")), _pass_cells),
    "models": (tuple(map(_text, ("kind", "what it is", "also called"))), _model_cells),
    "devices": (tuple(Column(head) for head in ("memory", "byte/s", *SHOWN)), _device_cells),
    "backends": ((_text("runs here"), _text("what it does")), _backend_cells),
}


def _options(listing: Listing) -> Table:
    columns = (
        *(_text(head, whole=True) for head in ("option of", "option")),
        *map(_text, ("values", "default", "what for")),
    )
    rows = tuple(
        (
            item.name,
            option.name,
            option.values,
            "must be given" if option.default is None else option.default,
            option.help,
        )
        for item in listing.plugins
        for option in item.options
    )
    return Table("Options", columns, rows)


def _variables(listing: Listing) -> Table:
    """Models that take the same variables in one row; ranges are in the JSON."""
    together: dict[str, list[str]] = {}
    for item in listing.plugins:
        together.setdefault(" ".join(option.name for option in item.options), []).append(item.name)
    rows = tuple((names or "nothing", ", ".join(models)) for names, models in together.items())
    return Table("Options", (_text("--set takes"), _text("of")), rows, note="--json has defaults and ranges")


def _broken(listing: Listing) -> Table:
    columns = (_text("name"), _text("from"), _text("where"), _text("why"))
    rows = tuple((item.name, str(item.owner), item.where, item.reason) for item in listing.broken)
    return Table(
        "Do not work", columns, rows, note="everything else does; one of these is an error when it is asked for"
    )
