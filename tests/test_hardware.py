"""Device files: every shipped number has a source, every bad file is refused by the name of its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphlab.errors import DeviceFileError, UnknownNameError
from graphlab.hardware import EXECUTION_KEYS, SHARE_KEYS, THREADS_KEY, Execution, device_names, load_device

GOOD = """
title = "Mine"
kind = "gpu"
memory_bytes = 1_000_000
memory_bandwidth = 1e9
[peak_flops]
float32 = 1e12
"""

GOOD_EXECUTION = """
[execution]
multiprocessors = 10
l2_bytes = 1000
l1_bytes = 100
line_bytes = 128
sector_bytes = 32
boost_hz = 1e9
"""

GPUS = [name for name in device_names() if load_device(name).kind == "gpu"]


@pytest.mark.parametrize("name", device_names())
def test_every_number_of_a_shipped_device_has_a_source(name: str) -> None:
    device = load_device(name)
    numbers = {"memory_bytes", "memory_bandwidth", *(f"peak_flops.{key}" for key in device.peak_flops)}
    if device.execution is not None:
        numbers.update(f"execution.{key}" for key in EXECUTION_KEYS)
        shares = (key for key in SHARE_KEYS if getattr(device.execution, key) is not None)
        numbers.update(f"execution.{key}" for key in shares)
        if device.execution.resident_threads != Execution.__dataclass_fields__[THREADS_KEY].default:
            numbers.add(f"execution.{THREADS_KEY}")
    assert set(device.sources) - {f"execution.{THREADS_KEY}"} == numbers - {f"execution.{THREADS_KEY}"}
    assert numbers <= set(device.sources)
    assert all(source.startswith("https://") for source in device.sources.values())
    assert device.name == name
    assert device.title
    assert device.note


def test_the_promised_devices_are_there() -> None:
    assert {"a100-80gb", "h100-sxm", "rtx-4090", "h200", "l4", "l20", "l40", "l40s", "mi300x"} <= set(device_names())
    assert {"rtx-3060", "rtx-3090"} <= set(device_names())
    assert any(load_device(name).kind == "cpu" for name in device_names())


def test_published_numbers() -> None:
    a100, h100, ada = (load_device(name) for name in ("a100-80gb", "h100-sxm", "rtx-4090"))
    assert (a100.peak("float16"), a100.peak("float32"), a100.bandwidth) == (312e12, 19.5e12, 2039e9)
    assert (h100.peak("bfloat16"), h100.peak("float8_e4m3fn"), h100.bandwidth) == (989.5e12, 1979e12, 3350e9)
    assert (ada.peak("float16"), ada.peak("float32"), ada.bandwidth) == (165.2e12, 82.6e12, 1008e9)
    assert a100.memory_bytes == 80 * 2**30
    assert a100.peak("float8_e5m2") is None


@pytest.mark.parametrize("name", device_names())
def test_every_gpu_says_how_it_runs_kernels_and_no_cpu_does(name: str) -> None:
    device = load_device(name)
    assert (device.execution is not None) == (device.kind == "gpu")


@pytest.mark.parametrize("name", GPUS)
def test_multiprocessors_and_clock_give_the_published_float32_rate(name: str) -> None:
    """A multiprocessor has 64 float32 lanes (A100) or 128, a compute unit of the MI300X 128: 2 FLOP a cycle each."""
    device = load_device(name)
    assert device.execution is not None
    a_cycle = device.peak_flops["float32"] / (device.execution.multiprocessors * device.execution.boost_hz)
    assert a_cycle == pytest.approx(128 if name == "a100-80gb" else 256, rel=0.005)


def test_published_execution_numbers() -> None:
    a100, amd, small = (load_device(name).execution for name in ("a100-80gb", "mi300x", "rtx-3060"))
    assert a100 == Execution(108, 40 * 2**20, 192 * 2**10, 128, 32, 1.41e9, contraction_share=0.869)
    assert amd == Execution(304, 8 * 4 * 2**20, (32 + 64) * 2**10, 128, 128, 2.1e9, contraction_share=0.514)
    assert small == Execution(28, 3 * 2**20, 128 * 2**10, 128, 32, 1.777e9, resident_threads=1536)


def test_geforce_tensor_rates_are_those_with_float32_sums() -> None:
    """Of one generation, so float16 over float32 is the same 2; the L20 is limited to the L40's 2 as well."""
    for name in ("rtx-3060", "rtx-3090", "rtx-4090", "l20", "l40"):
        peaks = load_device(name).peak_flops
        assert peaks["float16"] / peaks["float32"] == pytest.approx(2, rel=0.01)
        assert peaks["bfloat16"] == peaks["float16"]


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
        ("memory_bytes = 1_000_000", "", "memory_bytes is missing"),
        ("memory_bytes = 1_000_000", "memory_bytes = -1", "memory_bytes is -1"),
        ("memory_bytes = 1_000_000", "memory_bytes = 0", "memory_bytes is 0"),
        ("memory_bytes = 1_000_000", "memory_bytes = 1000000.5", "memory_bytes is 1000000.5, not a whole number"),
        ("memory_bytes = 1_000_000", "memory_bytes = true", "memory_bytes is true or false, not a number"),
        ("memory_bytes = 1_000_000", "memory_bytes = 80", "memory_bytes is 80 bytes, less than any device has"),
        ("memory_bandwidth = 1e9", "memory_bandwidth = 2039", "is 2039 bytes per second, less .*2.5 T is 2_500_0"),
        ("memory_bandwidth = 1e9", "memory_bandwidth = 1e-320", "memory_bandwidth is 1e-320 bytes per second, less"),
        ("float32 = 1e12", "float32 = 19.5", "peak_flops.float32 is 19.5 FLOP per second, less than any device"),
        ("float32 = 1e12", "float32 = 1e12\nfloat16 = 312", "peak_flops.float16 is 312 FLOP per second, less than"),
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


def test_a_file_may_leave_execution_out(tmp_path: Path) -> None:
    short, long = tmp_path / "short.toml", tmp_path / "long.toml"
    short.write_text(GOOD)
    long.write_text(GOOD + GOOD_EXECUTION)
    assert load_device(short).execution is None
    assert load_device(long).execution == Execution(10, 1000, 100, 128, 32, 1e9)
    assert isinstance(getattr(load_device(long).execution, "multiprocessors", None), int)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        *((f"{key} = ", f"# {key} = ", f"execution.{key} is missing") for key in EXECUTION_KEYS),
        (
            "l2_bytes = 1000",
            "l2_bytes = 1000\nl3_bytes = 1",
            "unknown key 'execution.l3_bytes' .did you mean 'l2_bytes'",
        ),
        ("l2_bytes = 1000", "l2_bytes = -1", "execution.l2_bytes is -1"),
        ("l1_bytes = 100", "l1_bytes = 0", "execution.l1_bytes is 0"),
        ("l1_bytes = 100", "l1_bytes = 0.5", "execution.l1_bytes is 0.5, not a whole number of bytes"),
        ("multiprocessors = 10", "multiprocessors = 10.5", "execution.multiprocessors is 10.5, not a whole number"),
        ("multiprocessors = 10", "multiprocessors = true", "execution.multiprocessors is true or false, not a number"),
        ("boost_hz = 1e9", 'boost_hz = "fast"', "execution.boost_hz is text, not a number"),
        ("boost_hz = 1e9", "boost_hz = inf", "execution.boost_hz is inf"),
        ("sector_bytes = 32", "sector_bytes = 48", "line_bytes is 128, not a multiple of sector_bytes, 48"),
        ("boost_hz = 1e9", "boost_hz = 1e9\n[sources]\n'execution.l9' = 'x'", "sources names 'execution.l9'"),
    ],
)
def test_a_bad_execution_table_is_refused_by_its_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD_EXECUTION
    path = tmp_path / "bad.toml"
    path.write_text(GOOD + GOOD_EXECUTION.replace(old, new))
    with pytest.raises(DeviceFileError, match=message):
        load_device(path)


def test_execution_is_a_table_and_sources_need_it(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(GOOD.replace("[peak_flops]", "execution = 3\n[peak_flops]"))
    with pytest.raises(DeviceFileError, match="execution is a number, not a table"):
        load_device(path)
    path.write_text(GOOD + "[sources]\n'execution.l2_bytes' = 'x'")
    with pytest.raises(DeviceFileError, match=r"sources names 'execution\.l2_bytes'"):
        load_device(path)


def test_no_text_no_file_a_folder(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.toml").mkdir()
    for name, message in (("binary", "is not a TOML file"), ("gone", "cannot read"), ("folder", "cannot read")):
        with pytest.raises(DeviceFileError, match=message):
            load_device(tmp_path / f"{name}.toml")


@pytest.mark.parametrize(
    "text",
    ["memory_bytes = " + "9" * 400, "memory_bytes = " + "9" * 5000, "title = " + "[" * 3000 + "]" * 3000],
    ids=["400 digits", "5000 digits", "nested"],
)
def test_absurd_files_are_named_errors(text: str, tmp_path: Path) -> None:
    rest = 'title = "x"\nkind = "gpu"\nmemory_bandwidth = 1\n[peak_flops]\nfloat32 = 1\n'
    file = tmp_path / "absurd.toml"
    file.write_text(f"{text}\n{rest}")
    with pytest.raises(DeviceFileError, match=r"absurd\.toml"):
        load_device(file)
