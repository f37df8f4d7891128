"""Device files: every shipped number has a source, every bad file is refused by the name of its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphlab.errors import DeviceFileError, UnknownNameError
from graphlab.hardware import device_names, load_device

GOOD = """
title = "Mine"
kind = "gpu"
memory_bytes = 1000
memory_bandwidth = 1e9
[peak_flops]
float32 = 1e12
"""


@pytest.mark.parametrize("name", device_names())
def test_every_number_of_a_shipped_device_has_a_source(name: str) -> None:
    device = load_device(name)
    numbers = {"memory_bytes", "memory_bandwidth", *(f"peak_flops.{key}" for key in device.peak_flops)}
    assert set(device.sources) == numbers
    assert all(source.startswith("https://") for source in device.sources.values())
    assert device.name == name
    assert device.title
    assert device.note


def test_the_promised_devices_are_there() -> None:
    assert {"a100-80gb", "h100-sxm", "rtx-4090", "h200", "l4", "l40", "l40s", "mi300x"} <= set(device_names())
    assert any(load_device(name).kind == "cpu" for name in device_names())


def test_published_numbers() -> None:
    a100, h100, ada = (load_device(name) for name in ("a100-80gb", "h100-sxm", "rtx-4090"))
    assert (a100.peak("float16"), a100.peak("float32"), a100.bandwidth) == (312e12, 19.5e12, 2039e9)
    assert (h100.peak("bfloat16"), h100.peak("float8_e4m3fn"), h100.bandwidth) == (989.5e12, 1979e12, 3350e9)
    assert (ada.peak("float16"), ada.peak("float32"), ada.bandwidth) == (165.2e12, 82.6e12, 1008e9)
    assert a100.memory_bytes == 80 * 2**30
    assert a100.peak("float8_e5m2") is None


def test_cpu_peak_is_derived_as_its_note_says() -> None:
    cpu = load_device("epyc-9654")
    assert cpu.peak("float32") == 96 * 2.4e9 * 32
    assert cpu.bandwidth == 12 * 4800e6 * 8


def test_a_path_and_a_name_in_capitals(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert load_device(path).name == "mine"
    assert load_device(path).sources == {}
    assert load_device("A100-80GB").name == "a100-80gb"


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'h100-sxm'"):
        load_device("h100-smx")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("memory_bytes = 1000", "", "memory_bytes is missing"),
        ("memory_bytes = 1000", "memory_bytes = -1", "memory_bytes is -1"),
        ("memory_bytes = 1000", "memory_bytes = 0", "memory_bytes is 0"),
        ("memory_bytes = 1000", "memory_bytes = 1.5", "memory_bytes is 1.5, not a whole number"),
        ("memory_bytes = 1000", "memory_bytes = true", "memory_bytes is true or false, not a number"),
        ("memory_bandwidth = 1e9", "memory_bandwidth = nan", "memory_bandwidth is nan"),
        ("memory_bandwidth = 1e9", "memory_bandwidth = inf", "memory_bandwidth is inf"),
        ("memory_bandwidth = 1e9", 'memory_bandwidth = "fast"', "memory_bandwidth is text, not a number"),
        ("float32 = 1e12", "float16 = 1e12", "peak_flops.float32 is missing"),
        ("float32 = 1e12", "float32 = 0", "peak_flops.float32 is 0"),
        ("float32 = 1e12", "float32 = 1e12\nfloat17 = 1", "unknown key 'peak_flops.float17' .did you mean 'float16'"),
        ('kind = "gpu"', 'kind = "tpu"', "kind is 'tpu'"),
        ('kind = "gpu"', 'kind = ["gpu"]', "kind is .'gpu'."),
        ('title = "Mine"', "title = 3", "title is a number, not text"),
        ('title = "Mine"', 'titel = "Mine"', "title is missing"),
        ('title = "Mine"', 'title = "Mine"\nwatts = 300', "unknown key 'watts'"),
        ("[peak_flops]\nfloat32 = 1e12", "peak_flops = 1e12", "peak_flops is a number, not a table"),
        ("float32 = 1e12", 'float32 = 1e12\n[sources]\nfloat8 = "x"', "sources names 'float8'"),
        ("float32 = 1e12", "float32 = 1e12\n[sources]\nmemory_bytes = 1", "sources.memory_bytes is a number"),
        ("float32 = 1e12", "float32 = ", "is not a TOML file"),
    ],
)
def test_a_bad_file_is_refused_by_its_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = tmp_path / "bad.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(DeviceFileError, match=message):
        load_device(path)


def test_no_text_no_file_a_folder(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.toml").mkdir()
    for name, message in (("binary", "is not a TOML file"), ("gone", "cannot read"), ("folder", "cannot read")):
        with pytest.raises(DeviceFileError, match=message):
            load_device(tmp_path / f"{name}.toml")
