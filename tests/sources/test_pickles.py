"""The opcode scan: every way to import is seen, nothing runs, and no bytes make it fail in another way."""

from __future__ import annotations

import collections
import contextlib
import pickle
import pickletools
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphlab.errors import SourceError, UnsafeSourceError
from graphlab.sources.opcodes import NotAPickleError, scan_one
from graphlab.sources.pickles import ALLOWED, check_pickle, scan_pickle

from . import payloads


@pytest.mark.parametrize("protocol", range(6))
def test_sees_the_global_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    found = scan_pickle(payloads.pickled(tmp_path / "trap", protocol))
    assert ("builtins" if protocol > 2 else "__builtin__", "eval") in found
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("GLOBAL", b"cos\nsystem\n.", ("os", "system")),
        ("INST", b"(S'x'\nios\nsystem\n.", ("os", "system")),
        ("OBJ", b"(cos\nsystem\nS'x'\no.", ("os", "system")),
        ("STACK_GLOBAL", b"\x80\x04\x8c\x02os\x8c\x06system\x93.", ("os", "system")),
        ("STACK_GLOBAL from the memo", b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94000h\x00h\x01\x93.", None),
        ("memo read twice", b"\x80\x04\x8c\x02os\x94\x8c\x06system\x9400h\x00h\x01\x93.", ("os", "system")),
        ("memo by PUT and GET", b"X\x02\x00\x00\x00osp0\n0X\x06\x00\x00\x00systemp1\n0g0\ng1\n\x93.", ("os", "system")),
        ("names as bytes strings", b"\x80\x04U\x02osU\x06system\x93.", ("os", "system")),
        ("dup", b"\x80\x04\x8c\x02os2\x93.", ("os", "os")),
        ("dotted", b"\x80\x04\x8c\x05torch\x8c\x09os.system\x93.", ("torch", "os.system")),
        ("in a list that is popped", b"(cos\nsystem\nl0N.", ("os", "system")),
        ("behind POP_MARK", b"N(cos\nsystem\n1.", ("os", "system")),
    ],
)
def test_opcodes_that_import(name: str, data: bytes, expected: tuple[str, str] | None) -> None:
    if expected is None:
        with pytest.raises(NotAPickleError):
            scan_pickle(data)
    else:
        assert scan_pickle(data) == [expected], name


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02\x82\x01.",  # EXT1
        b"\x80\x02\x83\x01\x00.",  # EXT2
        b"\x80\x02\x84\x01\x00\x00\x00.",  # EXT4
        b"\x80\x04N\x8c\x06system\x93.",  # a module that is no text
        b"\x80\x04\x8c\x02os\x85\x8c\x06system\x93.",  # a module in a tuple
        b"\x80\x04cbuiltins\nstr\n\x8c\x02os\x85R\x8c\x06system\x93.",  # a module computed by a call
    ],
)
def test_imports_that_cannot_be_told_are_unsafe(data: bytes) -> None:
    with pytest.raises(UnsafeSourceError):
        scan_pickle(data)


@pytest.mark.parametrize(
    "data",
    [
        b"", b".", b"N", b"0.", b"R.", b"h\x05.", b"NN.", b"t.", b"\x93.", b"\xff\xff", b"l.", b"u.", b"b.",
        b"Nr\xff\xff\xff\x7f.",  # a memo of 2 ** 31 entries: CPython would allocate it
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f.", b"I" + b"9" * 100_000, b"N" * 3, b"c" + b"a" * 70_000,
    ],
)  # fmt: skip
def test_bytes_that_are_no_pickle(data: bytes) -> None:
    with pytest.raises(NotAPickleError):
        scan_one(data, "x")


def test_tensors_and_containers_pass(tmp_path: Path) -> None:
    value = {
        "a": torch.ones(2, dtype=torch.bfloat16), "b": torch.nn.Parameter(torch.ones(1)), "s": {1, 2},
        "o": collections.OrderedDict(x=1), "m": torch.ones(2, device="meta"), "d": torch.float16, "c": 1j,
        "z": torch.Size([2]),
    }  # fmt: skip
    for protocol in range(2, 6):
        file = tmp_path / "x.pt"
        torch.save(value, file, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
        data = file.read_bytes()
        end = 0
        for _ in range(5):
            scan = scan_one(data[end:], "x")
            check_pickle(scan, "x")
            end += scan.end


@pytest.mark.parametrize(
    "data",
    [
        b"ctorch.storage\n_load_from_bytes\n(C\x01xtR.",
        b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tR.",
        b"ccollections\nOrderedDict\n)R)R.",  # calls what a call returned
        b"ctorch\nload\n.",
        b"cbuiltins\ngetattr\n.",
        b"ctorch._dynamo.guards\nCheckFunctionManager\n.",
    ],
)
def test_what_the_allowlist_leaves_out(data: bytes) -> None:
    with pytest.raises(UnsafeSourceError):
        check_pickle(scan_one(data, "x"), "x")


def test_allowlist_exists_in_torch_or_python() -> None:
    import importlib

    for module, name in sorted(ALLOWED):
        if module not in ("__builtin__", "torch.cuda"):
            assert hasattr(importlib.import_module(module), name), (module, name)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_scan_of_any_bytes(data: bytes) -> None:
    try:
        scan = scan_one(data, "x")
    except SourceError:
        return
    assert 0 < scan.end <= len(data)


_VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner) | st.frozensets(st.text())
    ),
    max_leaves=12,
)


@given(_VALUES, st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_scan_agrees_with_pickletools(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    scan = scan_one(data + b"rest", "x")
    assert scan.end == len(data)
    named = {a.replace(" ", ".") for o, a, _ in pickletools.genops(data) if o.name == "GLOBAL"}
    if protocol < 4:
        assert {".".join(name) for name in scan.globals} == named


@given(_VALUES, st.integers(0, 5), st.integers(0, 10_000), st.binary(min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_scan_of_mutated_pickles(value: Any, protocol: int, place: int, noise: bytes) -> None:
    data = pickle.dumps(value, protocol)
    at = place % len(data)
    with contextlib.suppress(SourceError):
        scan_one(data[:at] + noise + data[at + 1 :], "x")
