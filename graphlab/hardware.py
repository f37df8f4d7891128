"""`Hardware`: what a roofline needs to know about a device, read from one TOML file a device.

Base units: bytes, bytes per second, FLOP per second. A shipped file names a source for every number
(`[sources]`, same keys); a user's own file may leave sources out.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from graphlab.errors import DeviceFileError, UnknownNameError
from graphlab.names import nearest

PEAK_DTYPES = ("float64", "float32", "tf32", "float16", "bfloat16", "float8", "int8")
"""Keys of `[peak_flops]`: torch dtype names, `float8` for every 8-bit float, and `tf32`, the mode in which
tensor cores multiply float32 rounded to 10 bits of mantissa."""

_KEYS = ("title", "kind", "memory_bytes", "memory_bandwidth", "peak_flops", "sources", "note")
_REQUIRED = ("title", "kind", "memory_bytes", "memory_bandwidth", "peak_flops")


@dataclass(frozen=True, slots=True)
class Hardware:
    """One device. `bandwidth` is that of its main memory; `peak_flops` are dense rates with float32 sums.

    `peak_flops["float32"]` is the rate of the vector units, so it also serves elementwise arithmetic.
    `sources` maps each number's key ("memory_bytes", "peak_flops.float16") to where it is published.
    """

    name: str
    title: str
    kind: str
    memory_bytes: int
    bandwidth: float
    peak_flops: Mapping[str, float]
    sources: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def peak(self, dtype: str) -> float | None:
        """FLOP per second of contractions in the torch dtype `dtype`; None where the file has no number."""
        return self.peak_flops.get("float8" if dtype.startswith("float8") else dtype)


def device_names() -> list[str]:
    """Names of the shipped devices, sorted."""
    found = (item.name for item in files("graphlab.devices").iterdir())
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))


def load_device(source: str | os.PathLike[str]) -> Hardware:
    """The shipped device called `source` (case forgiven), or the one in the TOML file at that path.

    Raises UnknownNameError with the nearest name, or DeviceFileError naming the key that is wrong.
    """
    text = os.fspath(source)
    if text.lower() in device_names():
        return _parse(files("graphlab.devices").joinpath(f"{text.lower()}.toml").read_bytes(), text.lower(), text)
    path = Path(text)
    if path.suffix != ".toml" and not path.is_file():
        raise UnknownNameError(
            f"no device is called {text!r} and no such file exists",
            hint=f"{nearest(text.lower(), device_names())}`graphlab devices` lists them; a path to a .toml works too",
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DeviceFileError(f"cannot read the device file {text}: {error.strerror or error}") from error
    return _parse(data, path.stem, text)


def _parse(data: bytes, name: str, path: str) -> Hardware:
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeviceFileError(f"{path} is not a TOML file: {error}") from error
    _check_keys(table, path)
    peaks = {key: _number(value, f"peak_flops.{key}", path) for key, value in table["peak_flops"].items()}
    if "float32" not in peaks:
        raise DeviceFileError(f"{path}: peak_flops.float32 is missing", hint="elementwise arithmetic is timed with it")
    memory = _number(table["memory_bytes"], "memory_bytes", path)
    if memory != int(memory):
        raise DeviceFileError(f"{path}: memory_bytes is {memory}, not a whole number of bytes")
    return Hardware(
        name=name,
        title=_text(table["title"], "title", path),
        kind=_kind(table["kind"], path),
        memory_bytes=int(memory),
        bandwidth=_number(table["memory_bandwidth"], "memory_bandwidth", path),
        peak_flops={key: peaks[key] for key in PEAK_DTYPES if key in peaks},
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
    for key in ("peak_flops", "sources"):
        if not isinstance(table.get(key, {}), dict):
            raise DeviceFileError(f"{path}: {key} is {_kind_of(table[key])}, not a table")
    for key in table["peak_flops"]:
        if key not in PEAK_DTYPES:
            hint = f"{nearest(key, PEAK_DTYPES)}known: {', '.join(PEAK_DTYPES)}"
            raise DeviceFileError(f"{path}: unknown key 'peak_flops.{key}'", hint=hint)
    numbers = {"memory_bytes", "memory_bandwidth", *(f"peak_flops.{key}" for key in table["peak_flops"])}
    for key in table.get("sources", {}):
        if key not in numbers:
            raise DeviceFileError(f"{path}: sources names {key!r}, which has no number in this file")


def _number(value: Any, key: str, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DeviceFileError(f"{path}: {key} is {_kind_of(value)}, not a number")
    if not math.isfinite(value) or value <= 0:
        raise DeviceFileError(f"{path}: {key} is {value}, expected a finite number above 0")
    return value


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
