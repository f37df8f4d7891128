"""Which pickles may be loaded: the allowlist, and the check of every pickle in an archive before torch sees it.

`torch.export.load` unpickles sample inputs, constants and weights, and falls back to `weights_only=False`,
so whatever it would unpickle is scanned first, and may hold tensors, containers and torch's own rebuild
functions only. A member is taken for a pickle by its content, and by the places torch unpickles from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphlab.errors import SourceError, UnsafeSourceError
from graphlab.sources.opcodes import Call, Constant, GlobalName, Group, Import, NotAPickleError, PickleScan, scan_one
from graphlab.sources.program_json import check_symbols
from graphlab.sources.zips import Archive, mapped, open_zip

TORCH_MAGIC = 0x1950A86A20F9469CFC6C
"""First number of a non-zip torch.save file; four more pickles follow it."""
_LEGACY_PICKLES = 5
_MAX_DEPTH = 4
_MAX_GUESSED_BYTES = 1 << 20
"""Bytes of a member looked at where torch would not unpickle: weights of one repeated byte can read as opcodes."""
_ENCODE: GlobalName = ("_codecs", "encode")
_FAKE_TENSOR: GlobalName = ("torch._export.serde.serialize", "_reconstruct_fake_tensor")

_SCALARS = ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
_STORAGES = [*_SCALARS, "ComplexDouble", "ComplexFloat", "QInt8", "QInt32", "QUInt8", "QUInt4x2", "QUInt2x4"]
_DTYPE_NAMES = (
    "float64 float32 float16 bfloat16 complex32 complex64 complex128 int64 int32 int16 int8 uint8 uint16 uint32 "
    "uint64 bool float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2 qint8 "
    "quint8 qint32 quint4x2 quint2x4 per_tensor_affine per_channel_affine strided"
)
# Left out on purpose: torch.storage._load_from_bytes (unpickles its argument), bytearray (an integer argument
# allocates that much), sparse and nested rebuilds (their indices are not checked), every class of the user's.
ALLOWED: frozenset[GlobalName] = frozenset(
    {
        *(("torch", f"{name}Storage") for name in _STORAGES),
        *(("torch.cuda", f"{name}Storage") for name in _STORAGES),
        *(("torch", name) for name in _DTYPE_NAMES.split()),
        ("torch", "Size"),
        ("torch", "Tensor"),
        ("torch", "device"),
        ("torch.nn.parameter", "Parameter"),
        ("torch.storage", "TypedStorage"),
        ("torch.storage", "UntypedStorage"),
        ("torch._utils", "_rebuild_tensor"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_tensor_v3"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch._utils", "_rebuild_parameter_with_state"),
        ("torch._utils", "_rebuild_meta_tensor_no_storage"),
        ("torch._utils", "_rebuild_qtensor"),
        ("torch.serialization", "_get_layout"),
        ("collections", "OrderedDict"),
        ("builtins", "set"),
        ("builtins", "frozenset"),
        ("builtins", "complex"),
        ("builtins", "slice"),
        ("__builtin__", "set"),
        ("__builtin__", "frozenset"),
        ("__builtin__", "complex"),
        ("__builtin__", "slice"),
        _ENCODE,
        _FAKE_TENSOR,
    }
)


def scan_pickle(data: memoryview | bytes, what: str = "the pickle") -> list[GlobalName]:
    """The (module, name) globals that the pickle at the start of `data` would import, in order, without running it."""
    return list(scan_one(data, what).globals)


def check_pickle(scan: PickleScan, what: str) -> None:
    """UnsafeSourceError unless everything that the pickle imports is on the allowlist and called harmlessly."""
    for module, name in scan.globals:
        if (module, name) not in ALLOWED:
            raise UnsafeSourceError(
                f"{what} holds a pickle that imports {module}.{name}; only tensors and containers may be in it",
                hint="nothing was loaded; export the model again with plain tensors as inputs and constants",
            )
    for call in scan.calls:
        name_called = call.function.name if isinstance(call.function, Import) else None
        if name_called is None:
            raise UnsafeSourceError(f"{what} holds a pickle that calls what another call returned; nothing was loaded")
        if name_called == _ENCODE and _encoded(call) is None:
            raise UnsafeSourceError(f"{what} holds a pickle that recodes text in an unusual way; nothing was loaded")
        if name_called == _FAKE_TENSOR:
            _check_fake_tensor(call, what)


def _encoded(call: Call) -> bytes | None:
    """The bytes that `_codecs.encode(text, "latin1")` makes, as pickle protocols 0 to 2 spell bytes."""
    arguments = call.arguments.items if isinstance(call.arguments, Group) else ()
    if len(arguments) != 2 or not all(isinstance(item, Constant) and isinstance(item.value, str) for item in arguments):
        return None
    if arguments[1].value not in ("latin1", "latin-1"):
        return None
    try:
        return str(arguments[0].value).encode("latin-1")
    except UnicodeEncodeError:
        return None


def _check_fake_tensor(call: Call, what: str) -> None:
    """A fake tensor is rebuilt from JSON whose size expressions torch evaluates: they are checked like a graph's."""
    arguments = call.arguments.items if isinstance(call.arguments, Group) else ()
    first = arguments[0] if arguments else None
    text: Any = first.value if isinstance(first, Constant) else None
    if isinstance(first, Call) and isinstance(first.function, Import) and first.function.name == _ENCODE:
        text = _encoded(first)
    if text is None:
        raise UnsafeSourceError(f"{what} holds a fake tensor whose description cannot be told; nothing was loaded")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnsafeSourceError(
            f"{what} holds a fake tensor whose description is no JSON; nothing was loaded"
        ) from error
    check_symbols(document, what)


def scan_torch_pickles(data: memoryview, what: str) -> Iterator[PickleScan]:
    """Scans of the pickle at the start of `data` and, behind torch's magic number, of the four that follow it."""
    scan = scan_one(data, what)
    yield scan
    if scan.number == TORCH_MAGIC:
        at = scan.end
        for _ in range(_LEGACY_PICKLES - 1):
            scan = scan_one(data[at:], what)
            yield scan
            at += scan.end


def check_archive_pickles(path: Path) -> None:
    """UnsafeSourceError naming member and global when a pickle in the archive at `path` is not allowed.

    Nested archives are entered. SourceError for a damaged archive, or for no archive at all.
    """
    with mapped(path) as view:
        check_archive(open_zip(view, str(path)))


def check_archive(archive: Archive, depth: int = 0) -> None:
    """As `check_archive_pickles`, of an archive already opened."""
    if depth > _MAX_DEPTH:
        raise UnsafeSourceError(f"{archive.what}: archives nested more than {_MAX_DEPTH} deep; nothing was loaded")
    unpickled = _unpickled_members(archive) if depth == 0 else _data_pickles(archive)
    for name in archive.members:
        _check_member(archive, name, must=name in unpickled, depth=depth)


def _data_pickles(archive: Archive) -> set[str]:
    return {name for name in archive.members if name.casefold().endswith("data.pkl")}


def _check_member(archive: Archive, name: str, *, must: bool, depth: int) -> None:
    view, what = archive.stored(name), f"{archive.what}: {name}"
    if bytes(view[:4]) == b"PK\x03\x04":
        try:
            nested = open_zip(view, what)
        except UnsafeSourceError:
            raise
        except SourceError as error:
            if not must:
                return  # weights whose first bytes happen to look like a zip; torch reads them as numbers
            raise UnsafeSourceError(f"{error.message}; nothing was loaded") from error
        if any(member.casefold().rsplit("/", 1)[-1] == "constants.pkl" for member in nested.members):
            raise UnsafeSourceError(f"{what} hides a TorchScript program, which torch would load as code")
        check_archive(nested, depth + 1)
    elif len(view) or (must and depth):
        _check_bytes(view, what, must=must)


def _check_bytes(view: memoryview, what: str, *, must: bool) -> None:
    try:
        for scan in scan_torch_pickles(view if must else view[:_MAX_GUESSED_BYTES], what):
            check_pickle(scan, what)
    except NotAPickleError as error:
        if must:
            raise UnsafeSourceError(
                f"{what} should hold tensors, but its pickle cannot be read to the end ({error.message})",
                hint="nothing was loaded; save the file again",
            ) from error
        # not a pickle and in no place that torch unpickles from


def _unpickled_members(archive: Archive) -> set[str]:
    """Members that torch would unpickle by where they are: known folders, and the payloads marked `use_pickle`."""
    found: set[str] = set()
    for name in archive.members:
        # torch's reader finds members without regard to case.
        _, _, inner = name.casefold().partition("/")
        folder, _, file = inner.rpartition("/")
        if folder == "data/sample_inputs" or file.startswith(("custom_obj_", "opaque_obj_")):
            found.add(name)
        elif folder in ("data/weights", "data/constants"):
            if file.endswith(".pt"):
                found.add(name)
            elif file.endswith("_config.json"):
                payloads = {f"{folder}/{payload}".casefold() for payload in _pickled_payloads(archive, name)}
                found |= {member for member in archive.members if member.casefold().partition("/")[2] in payloads}
        elif name.casefold() in _LEGACY_MEMBERS:
            found.add(name)
    return found


_LEGACY_MEMBERS = frozenset(
    f"serialized_{part}.{ending}" for part in ("state_dict", "constants", "example_inputs") for ending in ("pt", "json")
)


def _pickled_payloads(archive: Archive, name: str) -> set[str]:
    try:
        config = json.loads(archive.read(name))["config"]
        return {str(entry["path_name"]) for entry in config.values() if entry["use_pickle"] is not False}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SourceError(f"{archive.what}: {name} is not the list of tensors torch writes ({error!r})") from error
