"""A `Listing`: the plug-ins of one kind, those that work and those that do not; `to_dict` is what `--json` writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from graphlab.discovery.blame import blamed
from graphlab.discovery.owner import Owner
from graphlab.discovery.registry import Broken, Entry, Registry
from graphlab.errors import GraphlabError
from graphlab.hardware import Hardware
from graphlab.rewriting.options import OptionHelp

T = TypeVar("T")

SCHEMA = "graphlab.plugins/1"
"""Version of the JSON layout; the number grows when a key changes meaning or disappears."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One that works: its name, what it is, a line of help, who it comes from, and the options it takes.

    `kind` is "analysis", "rewrite" or "stage rewrite" of a pass, what a model makes, "gpu" or "cpu" of a device.
    `aliases` are other names of a model, `hardware` the numbers of a device. `runs` says whether a backend can run
    here; `why_not` what is in the way. The options of a model are what `--set` takes.
    """

    name: str
    kind: str
    help: str
    owner: Owner
    where: str
    options: tuple[OptionHelp, ...] = ()
    aliases: tuple[str, ...] = ()
    hardware: Hardware | None = None
    runs: bool | None = None
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Every plug-in of one kind: "passes", "models", "devices" or "backends". Both parts are sorted by name."""

    kind: str
    plugins: tuple[Plugin, ...]
    broken: tuple[Broken, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The listing as JSON values; docs/json_schema.md documents every key."""
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "plugins": [_plugin(item, self.kind) for item in self.plugins],
            "broken": [
                {"name": item.name, "owner": _owner(item.owner), "where": item.where, "reason": item.reason}
                for item in self.broken
            ],
        }


def help_of(kind: type) -> str:
    """The first line of the class' own docstring; "" where it has none but the signature a dataclass writes."""
    text = (vars(kind).get("__doc__") or "").strip().split("\n", 1)[0].strip()
    return "" if text.startswith(f"{kind.__name__}(") else text


def listing_of(kind: str, known: Registry[T], row: Callable[[Entry[T]], Plugin | None]) -> Listing:
    """The listing of `known`: what `row` makes of each entry; one it raises for is among those that do not work."""
    rows: list[Plugin] = []
    broken: list[Broken] = list(known.broken)
    for item in known.entries.values():
        who = f"{known.noun} {item.name} of {item.owner}"
        try:
            with blamed(who, "cannot be listed"):
                made = row(item)
        except GraphlabError as error:
            reason = error.message.removeprefix(who).removeprefix(":").strip()
            broken.append(Broken(item.name, item.owner, item.where, reason))
        else:
            rows += [made] if made is not None else []
    order = sorted(broken, key=lambda item: (item.name, item.owner, item.where, item.reason))
    return Listing(kind, tuple(rows), tuple(order))


def _plugin(item: Plugin, kind: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": item.name,
        "kind": item.kind,
        "help": item.help,
        "owner": _owner(item.owner),
        "where": item.where,
        "options": [_option(option) for option in item.options],
    }
    if kind == "models":
        made["aliases"] = list(item.aliases)
    if kind == "backends":
        made |= {"runs": item.runs, "why_not": item.why_not}
    if item.hardware is not None:
        made |= _device(item.hardware)
    return made


def _owner(owner: Owner) -> dict[str, str | None]:
    return {"distribution": owner.name, "version": owner.version}


def _option(item: OptionHelp) -> dict[str, Any]:
    return {
        "name": item.name,
        "type": item.type,
        "values": item.values,
        "default": item.default,
        "minimum": item.minimum,
        "maximum": item.maximum,
        "choices": list(item.choices),
        "help": item.help,
    }


def _device(item: Hardware) -> dict[str, Any]:
    return {
        "memory_bytes": item.memory_bytes,
        "memory_bandwidth": item.bandwidth,
        "peak_flops": dict(item.peak_flops),
        "sources": dict(item.sources),
        "note": item.note,
    }
