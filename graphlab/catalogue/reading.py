"""A `Listing` from its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from graphlab.catalogue.data import Listing, Plugin
from graphlab.discovery.owner import Owner
from graphlab.discovery.registry import Broken
from graphlab.hardware import Hardware
from graphlab.report.decoding import decode
from graphlab.rewriting.options import OptionHelp


@dataclass(frozen=True, slots=True)
class _Owner:
    distribution: str
    version: str | None

    @property
    def owner(self) -> Owner:
        return Owner(self.distribution, self.version)


@dataclass(frozen=True, slots=True)
class _Device:
    """What a device has besides, as the JSON has it."""

    memory_bytes: int
    memory_bandwidth: float
    peak_flops: Mapping[str, float]
    sources: Mapping[str, str]
    note: str


@dataclass(frozen=True, slots=True)
class _Plugin:
    """One that works, as the JSON has it."""

    name: str
    kind: str
    help: str
    owner: _Owner
    where: str
    options: tuple[OptionHelp, ...]
    aliases: tuple[str, ...] = ()
    runs: bool | None = None
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class _Broken:
    name: str
    owner: _Owner
    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Listing:
    kind: Literal["passes", "models", "devices", "backends"]
    plugins: tuple[_Plugin, ...]
    broken: tuple[_Broken, ...]


def listing_of(data: dict[str, Any]) -> Listing:
    """What `Listing.to_dict` wrote as `data`; of devices, what is listed of them. ReportFileError for anything else."""
    found = decode(_Listing, data)
    rows = tuple(_plugin(item, found.kind, data["plugins"][at], at) for at, item in enumerate(found.plugins))
    broken = tuple(Broken(item.name, item.owner.owner, item.where, item.reason) for item in found.broken)
    return Listing(found.kind, rows, broken)


def _plugin(item: _Plugin, kind: str, data: dict[str, Any], at: int) -> Plugin:
    return Plugin(
        item.name,
        item.kind,
        item.help,
        item.owner.owner,
        item.where,
        item.options,
        item.aliases,
        _hardware(item, decode(_Device, data, f"plugins[{at}]")) if kind == "devices" else None,
        item.runs,
        item.why_not,
    )


def _hardware(item: _Plugin, device: _Device) -> Hardware:
    return Hardware(
        item.name,
        item.help,
        item.kind,
        device.memory_bytes,
        device.memory_bandwidth,
        device.peak_flops,
        device.sources,
        device.note,
    )
