"""`.pt2` archives to an ExportedProgram, without ever running what is pickled or written in them."""

from __future__ import annotations

import io
import json
import logging
import math
import operator
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphlab.errors import GraphlabError, SourceError, UnsafeSourceError
from graphlab.sources.pickles import check_archive
from graphlab.sources.program_json import check_program
from graphlab.sources.sniff import SourceKind, sniff_zip
from graphlab.sources.tensors import ITEM_BITS
from graphlab.sources.zips import Archive, Window, mapped, open_zip

if TYPE_CHECKING:
    from torch.export import ExportedProgram

MAX_PROGRAM_BYTES = 1 << 30
"""Bytes of graph JSON that are read; SDXL's U-Net with all metadata has 20 MB."""
MAX_UNSTORED_BYTES = 1 << 40
"""Bytes of weights that a file may declare without holding them (programs exported from fake tensors)."""
_MAX_ZIP_VERSION = 10
"""Largest torch zip format version that torch's reader takes (kMaxSupportedFileFormatVersion)."""


def load_exported_program(path: Path) -> ExportedProgram:
    """The exported program in `path`, a file of `torch.export.save`.

    Every pickle and the graph's JSON are checked before torch opens the file. The program carries guards as
    text of the file's author: never call its `module()`, which would execute them. SourceError when the file
    is damaged, of another kind or version; UnsafeSourceError when loading it would run code.
    """
    with mapped(path) as view:
        if bytes(view[:4]) != b"PK\x03\x04":
            raise SourceError(f"{path} is no exported program: it does not start like a zip archive")
        archive = open_zip(view, str(path))
        kind = sniff_zip(archive)
        if kind not in (SourceKind.EXPORTED_PROGRAM, SourceKind.EXPORTED_PROGRAM_OLD):
            raise SourceError(f"{path} is a {kind.value}, not an exported program")
        check_archive(archive)
        unstored: frozenset[str] = frozenset()
        if kind is SourceKind.EXPORTED_PROGRAM:
            unstored = _check_layout(archive)
        else:
            _check_old_layout(archive)
        # torch gets the file that was checked, not its path: another could be put there in between.
        program = _load(io.BufferedReader(Window(view)), str(path))
    _drop_unused_results(program)
    _part_weights(program, unstored)
    return program


def _load(stream: io.BufferedReader, what: str) -> ExportedProgram:
    import torch

    logger = logging.getLogger("torch.export")
    level = logger.level
    try:
        logger.setLevel(logging.CRITICAL)  # torch logs the traceback of what is raised as one line below
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.load(stream)
    except GraphlabError:
        raise
    except Exception as error:  # torch raises assertion, key, type and runtime errors for bad files
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        hint = "was it saved with operators of another library? import that library first"
        raise SourceError(f"torch cannot read {what}: {detail}", hint=hint) from error
    finally:
        logger.setLevel(level)


def _drop_unused_results(program: ExportedProgram) -> None:
    """Erase the nodes torch makes for results that nobody reads; the program that was saved had none."""
    for node in program.graph.find_nodes(op="call_function", target=operator.getitem):
        if not node.users and node.name.endswith(f"_unused_{node.args[1]}"):
            program.graph.erase_node(node)


def _part_weights(program: ExportedProgram, unstored: frozenset[str]) -> None:
    """Give each weight saved without its values (meta and fake tensors) its own storage, on the meta device.

    torch saves all of them as views of one empty payload, as if they were tied. What was tied is told from the
    graph: torch leads every use of a tied weight to one name, so an unused one of the shape of an embedding
    table that is used was tied to it. Other ties cannot be told from the file.
    """
    import torch

    weights = {key: tensor for key, tensor in program.state_dict.items() if key in unstored}
    if not weights:
        return
    signature = program.graph_signature
    targets = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    nodes = {targets[node.name]: node for node in program.graph.find_nodes(op="placeholder") if node.name in targets}
    parted: dict[str, torch.Tensor] = {}
    tables: dict[tuple[object, ...], str] = {}
    for key, tensor in weights.items():
        fresh = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
        trained = isinstance(tensor, torch.nn.Parameter)
        parted[key] = torch.nn.Parameter(fresh, requires_grad=tensor.requires_grad) if trained else fresh
        if key in nodes and any(str(user.target) == "aten.embedding.default" for user in nodes[key].users):
            tables.setdefault((tensor.shape, tensor.dtype), key)
    for key, tensor in weights.items():
        table = tables.get((tensor.shape, tensor.dtype))
        tied = table is not None and key in nodes and not nodes[key].users
        program.state_dict[key] = parted[table] if tied and table is not None else parted[key]


def _check_layout(archive: Archive) -> frozenset[str]:
    """Versions, JSON and sizes of the layout torch writes since 2.8; names of the weights saved without values."""
    roots = {name.partition("/")[0] for name in archive.members}
    if len(roots) != 1:
        raise UnsafeSourceError(f"{archive.what}: its members lie in {len(roots)} folders, torch writes one")
    root = roots.pop()
    version = _text(archive, f"{root}/archive_version")
    if version != "0":
        raise _newer(archive.what, f"archive version {version}", "archive version 0")
    zip_version = _text(archive, f"{root}/.data/version") if f"{root}/.data/version" in archive.members else "0"
    if not zip_version.isdecimal() or int(zip_version) > _MAX_ZIP_VERSION:
        raise _newer(archive.what, f"zip format version {zip_version}", f"up to {_MAX_ZIP_VERSION}")
    unstored: set[str] = set()
    for name in archive.members:
        inner = name.partition("/")[2]
        if inner.startswith("models/"):
            _check_document(archive, name)
        elif inner.startswith(("data/weights/", "data/constants/")) and inner.endswith("_config.json"):
            unstored |= _check_payloads(archive, name)
    return frozenset(unstored)


def _check_old_layout(archive: Archive) -> None:
    """Version and JSON of the layout before torch 2.8, which has no folders but the user's extra files."""
    inner = next((name for name in archive.members if "/" in name and not name.startswith("extra_files/")), None)
    if inner is not None:
        raise UnsafeSourceError(f"{archive.what}: {inner} has no place in the layout before torch 2.8")
    version = _text(archive, "version") if "version" in archive.members else "nothing"
    from torch._export.serde.schema import SCHEMA_VERSION

    if version.split(".")[0] != str(SCHEMA_VERSION[0]):
        raise _newer(archive.what, f"schema version {version}", f"schema version {_dotted(SCHEMA_VERSION)}")
    _check_document(archive, "serialized_exported_program.json")


def _text(archive: Archive, name: str) -> str:
    return archive.read(name, 64).decode("utf-8", "replace").strip()


def _dotted(version: Any) -> str:
    return ".".join(str(part) for part in version)


def _newer(what: str, got: str, expected: str) -> SourceError:
    import torch

    return SourceError(
        f"{what} has {got}; torch {torch.__version__} here reads {expected}",
        hint="install the torch that wrote it, or save it again with this one",
    )


def _check_document(archive: Archive, name: str) -> None:
    if archive.members[name].nbytes > MAX_PROGRAM_BYTES:
        raise SourceError(f"{archive.what}: {name} has {archive.members[name].nbytes} bytes of graph, too many to read")
    document = _json(archive, name)
    version = document.get("schema_version")
    from torch._export.serde.schema import SCHEMA_VERSION

    major = version.get("major") if isinstance(version, dict) else None
    if not isinstance(version, dict) or not isinstance(major, int) or major != SCHEMA_VERSION[0]:
        got = f"{major}.{version.get('minor')}" if isinstance(version, dict) else "of no number"
        writer = document.get("torch_version")
        got += f" (written by torch {writer})" if isinstance(writer, str) else ""
        raise _newer(archive.what, f"schema version {got}", f"schema version {_dotted(SCHEMA_VERSION)}")
    check_program(document, f"{archive.what}: {name}")


def _json(archive: Archive, name: str) -> dict[str, Any]:
    try:
        document = json.loads(archive.read(name).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{archive.what}: {name} is not JSON ({error})", hint="fetch the file again") from error
    if not isinstance(document, dict):
        raise SourceError(f"{archive.what}: {name} holds a JSON {type(document).__name__}, expected an object")
    return document


def _check_payloads(archive: Archive, name: str) -> set[str]:
    """Every raw tensor lies inside the bytes stored for it. Returns the names of those without bytes, bounded."""
    folder, unstored, names = name.rpartition("/")[0], 0, set()
    config = _json(archive, name).get("config")
    for key, entry in config.items() if isinstance(config, dict) else ():
        file = entry.get("path_name") if isinstance(entry, dict) else None
        payload = f"{folder}/{file}"
        if "/" in str(file) or payload not in archive.members:
            raise SourceError(f"{archive.what}: the bytes of {key} are missing ({payload})", hint="fetch it again")
        if entry.get("use_pickle") is not False:
            continue
        _check_device(entry.get("tensor_meta"), archive.what)
        span = _span_bytes(entry.get("tensor_meta"), f"{archive.what}: {key}")
        stored = archive.members[payload].nbytes
        if stored and span > stored:
            raise SourceError(f"{archive.what}: {key} needs {span} bytes, {stored} are stored for it")
        if span and not stored:
            unstored += span
            names.add(key)
    if unstored > MAX_UNSTORED_BYTES:
        raise SourceError(f"{archive.what} declares {unstored} bytes of weights that it does not hold")
    return names


def _check_device(meta: Any, what: str) -> None:
    """SourceError when weights were saved on an accelerator that is not here: torch would put them back on it."""
    import torch

    device = meta.get("device", {}).get("type") if isinstance(meta, dict) else None
    if device == "cuda" and not torch.cuda.is_available():
        raise SourceError(
            f"{what} was saved with weights on {device}, and this machine has none",
            hint="export and save it from the CPU, or open it on a machine with a GPU",
        )


def _span_bytes(meta: Any, what: str) -> int:
    """Bytes from the start of its storage to the last element of a tensor as torch's schema describes it."""
    try:
        sizes, strides = (_integers(meta[key]) for key in ("sizes", "strides"))
        offset = int(meta["storage_offset"]["as_int"])
        item = _item_bytes(int(meta["dtype"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(f"{what} has a damaged description ({error!r})", hint="save the program again") from error
    if min([offset, *sizes, *strides], default=0) < 0 or len(sizes) != len(strides):
        raise SourceError(f"{what} has negative or mismatched sizes", hint="save the program again")
    if math.prod(sizes) == 0:
        return 0
    last = sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    return (offset + last + 1) * item


def _integers(entries: list[Mapping[str, Any]]) -> list[int]:
    return [int(entry["as_int"]) for entry in entries]


def _item_bytes(scalar_type: int) -> int:
    from torch._export.serde.serialize import _SERIALIZE_TO_TORCH_DTYPE

    name = str(_SERIALIZE_TO_TORCH_DTYPE[scalar_type]).removeprefix("torch.")
    return ITEM_BITS.get(name, 8) // 8
