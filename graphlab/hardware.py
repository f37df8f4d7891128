"""`Hardware`: what a roofline needs to know about a device, read from one TOML file a device.

Base units: bytes, bytes per second, FLOP per second. A shipped file names a source for every number
(`[sources]`, same keys); a user's own file may leave sources out.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, partial
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import ModuleType
from typing import Any

from graphlab.calibration.data import Calibration
from graphlab.calibration.format import calibration_from
from graphlab.discovery.classes import loaded
from graphlab.discovery.contract import name_fault
from graphlab.discovery.owner import GRAPHLAB, Owner, PluginError, reason_of
from graphlab.discovery.points import points
from graphlab.discovery.registry import Broken, Entry, Registry, registry_of
from graphlab.errors import DeviceFileError, UnknownNameError
from graphlab.names import nearest

PEAK_DTYPES = ("float64", "float32", "tf32", "float16", "bfloat16", "float8", "int8")
"""Keys of `[peak_flops]`: torch dtype names, `float8` for every 8-bit float, and `tf32`, the mode in which
tensor cores multiply float32 rounded to 10 bits of mantissa."""

MOST = 2**63 - 1
"""The largest number a device file may hold."""

LEAST = {"memory_bytes": 10**6, "memory_bandwidth": 10**7, "peak_flops": 10**7}
"""The least a device may have of it: what is below is in GB, GB/s or TFLOP/s, not in bytes, byte/s and FLOP/s."""

_UNITS = {"memory_bytes": "bytes", "memory_bandwidth": "bytes per second", "peak_flops": "FLOP per second"}

_KEYS = (
    "title", "kind", "memory_bytes", "memory_bandwidth", "peak_flops", "execution", "calibration", "sources", "note",
)  # fmt: skip
_REQUIRED = ("title", "kind", "memory_bytes", "memory_bandwidth", "peak_flops")
_TABLES = ("peak_flops", "execution", "calibration", "sources")


@dataclass(frozen=True, slots=True)
class Execution:
    """How a GPU runs kernels: its table `[execution]`, every key of which without a default is required where the table
    is there.

    `multiprocessors`: streaming multiprocessors or compute units that are enabled. `l2_bytes`: second-level cache,
    all its parts together. `l1_bytes`: one multiprocessor's first-level data cache and shared memory together.
    `line_bytes`: a cache line. `sector_bytes`: the part of a line that is fetched on its own. `boost_hz`: the
    boost clock, the one behind the published float32 rate of the vector units. `resident_threads`: threads that one
    multiprocessor holds at once.
    """

    multiprocessors: int
    l2_bytes: int
    l1_bytes: int
    line_bytes: int
    sector_bytes: int
    boost_hz: float
    contraction_share: float | None = None
    attention_share: float | None = None
    resident_threads: int = 2048


SHARE_KEYS = ("contraction_share", "attention_share")
"""Optional keys of `[execution]`: the share of the tensor peak that large matrix products, and the products inside a
fused attention, reach on this device where that was measured; the time model has a value for the rest."""

THREADS_KEY = "resident_threads"
"""Optional key of `[execution]`; 2048 without it."""

EXECUTION_KEYS = tuple(item.name for item in fields(Execution) if item.name not in (*SHARE_KEYS, THREADS_KEY))
"""Keys of `[execution]` that it needs."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """One device. `bandwidth` is that of its main memory; `peak_flops` are dense rates with float32 sums.

    `peak_flops["float32"]` is the rate of the vector units, so it also serves elementwise arithmetic.
    `execution` is None where the file has no such table (CPUs, a user's short file). `sources` maps each
    number's key ("memory_bytes", "peak_flops.float16", "execution.l2_bytes") to where it is published.
    """

    name: str
    title: str
    kind: str
    memory_bytes: int
    bandwidth: float
    peak_flops: Mapping[str, float]
    sources: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    execution: Execution | None = None
    calibration: Calibration | None = None

    def peak(self, dtype: str) -> float | None:
        """FLOP per second of contractions in the torch dtype `dtype`; None where the file has no number."""
        return self.peak_flops.get("float8" if dtype.startswith("float8") else dtype)


@cache
def registry() -> Registry[Hardware]:
    """Every device of graphlab and of installed distributions, those whose file is wrong with the reason.

    An entry point of the group `graphlab.devices` names a package: every .toml file in it is a device, called like
    the file in lower case.
    """
    claims: list[Entry[Hardware]] = []
    broken: list[Broken] = []
    packages: list[tuple[str, str, Owner, Callable[[], object]]] = [
        ("graphlab.devices", "graphlab.devices", GRAPHLAB, lambda: import_module("graphlab.devices"))
    ]
    packages += [(p.name, p.where, p.owner, partial(loaded, p)) for p in points("graphlab.devices")]
    for name, place, owner, load in packages:
        try:
            listed = _files(load())
        except PluginError as error:
            broken.append(Broken(name, owner, place, error.message))
            continue
        except Exception as error:  # a module's own __getattr__
            broken.append(Broken(name, owner, place, f"it cannot be read: {reason_of(error)}"))
            continue
        for file, where in listed:
            device = file.name.removesuffix(".toml").lower()
            fault = name_fault(device)
            try:
                if fault is not None:
                    raise DeviceFileError(fault)
                claims.append(Entry(device, parse_device(file.read_bytes(), device, file.name), owner, where))
            except (DeviceFileError, OSError) as error:
                broken.append(Broken(device, owner, where, str(error)))
    return registry_of("device", claims, broken)


def _files(package: object) -> list[tuple[Traversable, str]]:
    """(.toml file, where it is) of a package, sorted; PluginError for what is no package, and one without any."""
    if not isinstance(package, ModuleType) or not hasattr(package, "__path__"):
        raise PluginError("it is no package with .toml files in it")
    found = [item for item in files(package).iterdir() if item.name.endswith(".toml")]
    if not found:
        raise PluginError("it holds no device: there is no .toml file in the package")
    return [(item, f"{package.__name__}/{item.name}") for item in sorted(found, key=lambda item: item.name)]


def device_names() -> list[str]:
    """Names of the devices that are known, sorted."""
    return list(registry().entries)


def load_device(source: str | os.PathLike[str]) -> Hardware:
    """The known device called `source` (case forgiven), or the one in the TOML file at that path.

    Raises UnknownNameError with the nearest name, DeviceFileError naming the key that is wrong, or PluginError for a
    device of a distribution that does not work, or whose name another claims.
    """
    text = os.fspath(source)
    known = registry()
    if text.lower() in {*known.entries, *(item.name for item in known.broken)}:
        return known.find(text.lower()).value
    path = Path(text)
    if path.suffix != ".toml" and not path.is_file():
        raise UnknownNameError(
            f"no device is called {text!r} and no such file exists",
            hint=f"{nearest(text.lower(), device_names())}{known.listed}; a path to a .toml works too",
        )
    return read_device(path)


def read_device(path: Path) -> Hardware:
    """The device in the TOML file `path`; DeviceFileError where it cannot be read, or names the key that is wrong."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DeviceFileError(f"cannot read the device file {path}: {error.strerror or error}") from error
    return parse_device(data, path.stem, str(path))


def parse_device(data: bytes, name: str, path: str) -> Hardware:
    """The device `name` of the TOML text `data`; DeviceFileError, which begins with `path`, names a wrong key."""
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, no TOML, numbers of thousands of digits, deep nesting
        raise DeviceFileError(f"{path} is not a TOML file: {error}") from error
    _check_keys(table, path)
    peaks = {key: _base_unit(value, f"peak_flops.{key}", path) for key, value in table["peak_flops"].items()}
    if "float32" not in peaks:
        raise DeviceFileError(f"{path}: peak_flops.float32 is missing", hint="elementwise arithmetic is timed with it")
    return Hardware(
        name=name,
        title=_text(table["title"], "title", path),
        kind=_kind(table["kind"], path),
        memory_bytes=_whole(_base_unit(table["memory_bytes"], "memory_bytes", path), "memory_bytes", path, "bytes"),
        bandwidth=_base_unit(table["memory_bandwidth"], "memory_bandwidth", path),
        peak_flops={key: peaks[key] for key in PEAK_DTYPES if key in peaks},
        execution=_execution(table["execution"], path) if "execution" in table else None,
        calibration=calibration_from(table["calibration"], path) if "calibration" in table else None,
        sources={key: _text(value, f"sources.{key}", path) for key, value in table.get("sources", {}).items()},
        note=_text(table.get("note", ""), "note", path),
    )


def _check_keys(table: Mapping[str, Any], path: str) -> None:
    for key in _REQUIRED:
        if key not in table:
            raise DeviceFileError(f"{path}: {key} is missing", hint=f"required: {', '.join(_REQUIRED)}")
    for key in table:
        if key not in _KEYS:
            hint = f"{nearest(key, _KEYS)}known: {', '.join(_KEYS)}"
            raise DeviceFileError(f"{path}: unknown key {key!r}", hint=hint)
    for key in _TABLES:
        if not isinstance(table.get(key, {}), dict):
            raise DeviceFileError(f"{path}: {key} is {_kind_of(table[key])}, not a table")
    _check_inner(table, "peak_flops", PEAK_DTYPES, path)
    _check_inner(table, "execution", (*EXECUTION_KEYS, *SHARE_KEYS, THREADS_KEY), path)
    numbers = {"memory_bytes", "memory_bandwidth", *_dotted(table, "peak_flops"), *_dotted(table, "execution")}
    for key in table.get("sources", {}):
        if key not in numbers:
            raise DeviceFileError(f"{path}: sources names {key!r}, which has no number in this file")


def _check_inner(table: Mapping[str, Any], name: str, known: tuple[str, ...], path: str) -> None:
    """Refuses an unknown key of the table `name`."""
    for key in table.get(name, {}):
        if key not in known:
            hint = f"{nearest(key, known)}known: {', '.join(known)}"
            raise DeviceFileError(f"{path}: unknown key '{name}.{key}'", hint=hint)


def _dotted(table: Mapping[str, Any], name: str) -> list[str]:
    """Keys of the inner table `name`, as `[sources]` writes them."""
    return [f"{name}.{key}" for key in table.get(name, {})]


def _execution(table: Mapping[str, Any], path: str) -> Execution:
    for key in EXECUTION_KEYS:
        if key not in table:
            hint = f"an [execution] table needs all of: {', '.join(EXECUTION_KEYS)}"
            raise DeviceFileError(f"{path}: execution.{key} is missing", hint=hint)
    sizes = {key: _whole(table[key], f"execution.{key}", path, "bytes") for key in EXECUTION_KEYS if "bytes" in key}
    if sizes["line_bytes"] % sizes["sector_bytes"]:
        line, sector = sizes["line_bytes"], sizes["sector_bytes"]
        raise DeviceFileError(f"{path}: execution.line_bytes is {line}, not a multiple of sector_bytes, {sector}")
    return Execution(
        multiprocessors=_whole(table["multiprocessors"], "execution.multiprocessors", path, "multiprocessors"),
        boost_hz=_number(table["boost_hz"], "execution.boost_hz", path),
        contraction_share=_share(table, "contraction_share", path),
        attention_share=_share(table, "attention_share", path),
        **(
            {THREADS_KEY: _whole(table[THREADS_KEY], f"execution.{THREADS_KEY}", path, "threads")}
            if THREADS_KEY in table
            else {}
        ),
        **sizes,
    )


def _share(table: Mapping[str, Any], key: str, path: str) -> float | None:
    if key not in table:
        return None
    share = _number(table[key], f"execution.{key}", path)
    if share > 1:
        raise DeviceFileError(f"{path}: execution.{key} is {share}, expected a share of the peak, at most 1")
    return share


def _whole(value: Any, key: str, path: str, unit: str) -> int:
    number = _number(value, key, path)
    if number != int(number):
        raise DeviceFileError(f"{path}: {key} is {number}, not a whole number of {unit}")
    return int(number)


def _number(value: Any, key: str, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DeviceFileError(f"{path}: {key} is {_kind_of(value)}, not a number")
    if not 0 < value <= MOST:
        shown = "too large" if isinstance(value, int) and value > MOST else value
        raise DeviceFileError(f"{path}: {key} is {shown}, expected a finite number above 0")
    return value


def _base_unit(value: Any, key: str, path: str) -> float:
    """`_number`, refused where it can only be in another unit."""
    number, what = _number(value, key, path), key.partition(".")[0]
    if number < LEAST[what]:
        raise DeviceFileError(
            f"{path}: {key} is {number} {_UNITS[what]}, less than any device has",
            hint=f"it is in {_UNITS[what]}: 2.5 T is 2_500_000_000_000",
        )
    return number


def _text(value: Any, key: str, path: str) -> str:
    if not isinstance(value, str):
        raise DeviceFileError(f"{path}: {key} is {_kind_of(value)}, not text")
    return value


def _kind(value: Any, path: str) -> str:
    if value not in ("gpu", "cpu"):
        raise DeviceFileError(f"{path}: kind is {value!r}, expected 'gpu' or 'cpu'")
    return str(value)


def _kind_of(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", dict: "a table", list: "a list"}
    return names.get(type(value), "a date or time")
