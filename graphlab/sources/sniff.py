"""What kind of source a file or folder is, told by its content; the extension is never believed."""

from __future__ import annotations

import codecs
import enum
import json
from pathlib import Path

from graphlab.errors import SourceError, UnsafeSourceError
from graphlab.sources.opcodes import scan_one
from graphlab.sources.pickles import ALLOWED, TORCH_MAGIC
from graphlab.sources.zips import Archive, mapped, open_zip


class SourceKind(enum.Enum):
    """What a path holds; the value is how messages call it."""

    EXPORTED_PROGRAM = "exported program (.pt2)"
    EXPORTED_PROGRAM_OLD = "exported program in the layout before torch 2.8"
    TORCHSCRIPT = "TorchScript archive"
    TORCH_SAVE = "torch.save archive"
    TORCH_SAVE_LEGACY = "torch.save file in the layout before torch 1.6"
    SAFETENSORS = "safetensors file"
    GGUF = "GGUF file"
    ONNX = "ONNX model"
    SHARD_INDEX = "index of a sharded checkpoint"
    PIPELINE_FOLDER = "diffusers pipeline folder"
    MODEL_FOLDER = "model folder with config.json"


STATE_DICTS = frozenset(
    {
        SourceKind.TORCH_SAVE,
        SourceKind.TORCH_SAVE_LEGACY,
        SourceKind.SAFETENSORS,
        SourceKind.GGUF,
        SourceKind.SHARD_INDEX,
    }
)
"""Kinds that `read_state_dict` reads."""

MAX_SAFETENSORS_HEADER = 100_000_000
"""Bytes of header that the safetensors library accepts."""
_FOREIGN = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "gzip-compressed"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\xfd7zXZ\0", "xz-compressed"),
    (b"BZh", "bzip2-compressed"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF"),
    (b"\x7fELF", "a native library"),
)
_SUPPORTED = "graphlab reads .pt2, ONNX, TorchScript, torch.save, safetensors and GGUF files and diffusers folders"
_ONNX_FIELDS = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)
"""Tags of the fields of an ONNX ModelProto that may follow its version."""


def sniff(path: Path) -> SourceKind:
    """The kind of `path`; SourceError in one line when it is missing, damaged, foreign or not a model.

    UnsafeSourceError when its zip archive is built to read differently in different programs.
    """
    try:
        if path.is_dir():
            return _sniff_folder(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {error}", hint="check the path") from error
    with mapped(path) as view:
        return sniff_bytes(view, str(path))


def _sniff_folder(path: Path) -> SourceKind:
    if (path / "model_index.json").is_file():
        return SourceKind.PIPELINE_FOLDER
    if (path / "config.json").is_file():
        return SourceKind.MODEL_FOLDER
    raise SourceError(
        f"{path} holds neither model_index.json nor config.json",
        hint="name a diffusers or transformers folder, or one file in this folder",
    )


def sniff_bytes(view: memoryview, what: str) -> SourceKind:
    """As `sniff`, of the bytes of a file that messages call `what`."""
    head = bytes(view[:512])
    if head[:4] == b"PK\x03\x04":
        return sniff_zip(open_zip(view, what))
    if head[:4] in (b"PK\x05\x06", b"PK\x07\x08"):
        raise SourceError(f"{what} is an empty or split zip archive", hint="fetch or save the file again")
    if head[:4] == b"GGUF":
        return SourceKind.GGUF
    if head[8:9] == b"{" and _is_safetensors(head, len(view), what):
        return SourceKind.SAFETENSORS
    if _is_torch_pickle(view, head, what):
        return SourceKind.TORCH_SAVE_LEGACY
    if head[:1] == b"\x08" and b"\0" < head[1:2] < b"\x20" and head[2:3] and head[2] in _ONNX_FIELDS:
        return SourceKind.ONNX
    _refuse_foreign(head, what)
    if head.lstrip()[:1] in (b"{", b"["):
        return _sniff_json(view, what)
    _refuse_text(view, head, what)
    raise SourceError(f"{what} is of an unknown kind (first bytes {head[:8].hex(' ')})", hint=_SUPPORTED)


def _is_safetensors(head: bytes, size: int, what: str) -> bool:
    header = int.from_bytes(head[:8], "little")
    if header > MAX_SAFETENSORS_HEADER:
        return False  # a number this large is more likely text; safetensors itself refuses such a header
    if header + 8 > size:
        raise SourceError(
            f"{what} is a truncated safetensors file: its header has {header} bytes, the file {size}",
            hint="fetch the file again",
        )
    return True


def _is_torch_pickle(view: memoryview, head: bytes, what: str) -> bool:
    if head[:1] not in (b"\x80", b"L", b"\x8a", b"I"):
        return False
    try:
        scan = scan_one(view[: 1 << 20], what)
    except UnsafeSourceError:
        raise
    except SourceError as error:
        if head[:1] != b"\x80" or len(head) < 2 or head[1] > 5:
            return False
        raise SourceError(
            f"{what} starts like a pickle, and torch.save did not write it, or it is damaged",
            hint="save it with torch.save or as safetensors",
        ) from error
    if scan.number == TORCH_MAGIC and not scan.globals:
        return True
    if head[:1] != b"\x80":
        return False
    foreign = [".".join(name) for name in scan.globals if name not in ALLOWED]
    if foreign:
        raise UnsafeSourceError(
            f"{what} is a pickle that imports {', '.join(foreign[:3])}; nothing was loaded", hint=_SUPPORTED
        )
    raise SourceError(f"{what} is a pickle, but not one of torch.save", hint="save it with torch.save")


def _refuse_foreign(head: bytes, what: str) -> None:
    for magic, name in _FOREIGN:
        if head.startswith(magic):
            raise SourceError(f"{what} is {name}, not a PyTorch model", hint=_SUPPORTED)
    if head[257:262] == b"ustar":
        raise SourceError(f"{what} is a tar archive (torch before 0.1.10 wrote such)", hint="unpack or save it again")
    if head[4:8] == b"ORTM":
        raise SourceError(
            f"{what} is a model in ONNX Runtime's own format (.ort), optimised for one machine",
            hint="give the .onnx file it was made from",
        )


def _sniff_json(view: memoryview, what: str) -> SourceKind:
    try:
        document = json.loads(bytes(view).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{what} is a text file, not a model ({error})", hint=_SUPPORTED) from error
    if isinstance(document, dict) and isinstance(document.get("weight_map"), dict):
        return SourceKind.SHARD_INDEX
    if isinstance(document, dict) and ("_class_name" in document or "architectures" in document):
        raise SourceError(f"{what} is a configuration", hint="name the folder that holds it")
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, str) and schema.startswith("graphlab."):
        raise SourceError(
            f"{what} is a report of graphlab ({schema[:40]!r}), not a model",
            hint="`graphlab report` makes a page of it, `graphlab diff` compares it; here, name what it was made from",
        )
    raise SourceError(f"{what} is JSON, but no index of a sharded checkpoint", hint=_SUPPORTED)


def _refuse_text(view: memoryview, head: bytes, what: str) -> None:
    start = head.lstrip().lower()
    if head.startswith(b"version https://git-lfs"):
        raise SourceError(f"{what} is a Git LFS pointer, not the file it stands for", hint="run `git lfs pull`")
    if start.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head")):
        raise SourceError(f"{what} is a web page, not a model", hint="the download hit a login or error page")
    if start.startswith(b"ir_version") or b"onnx" in start[:64]:
        raise SourceError(f"{what} looks like an ONNX model in text form", hint=_SUPPORTED)
    sample = bytes(view[:4096])
    printable = all(byte >= 32 or byte in b"\t\n\r\f\x1b" for byte in sample)
    if printable and codecs.getincrementaldecoder("utf-8")("replace").decode(sample).count("\ufffd") == 0:
        raise SourceError(f"{what} is a text file, not a model (it starts {sample[:24]!r})", hint=_SUPPORTED)


def sniff_zip(archive: Archive) -> SourceKind:
    """The kind of an opened zip archive; SourceError for AOTInductor packages and several programs in one."""
    names, what = list(archive.members), archive.what
    inner = [name.partition("/")[2] for name in names]
    programs = sorted(name[len("models/") : -len(".json")] for name in inner if _is_program(name))
    compiled = any(name.startswith("data/aotinductor/") for name in inner)
    if compiled or any(name.endswith((".so", ".cubin", ".pyd")) for name in names):
        raise SourceError(
            f"{what} is an AOTInductor package: compiled code without a graph" + (" beside a program" * bool(programs)),
            hint="give the .pt2 that torch.export.save wrote before compiling",
        )
    if len(programs) > 1:
        raise SourceError(
            f"{what} holds several programs ({', '.join(programs[:8])}); one at a time can be analysed",
            hint="save each with torch.export.save",
        )
    if programs:
        return SourceKind.EXPORTED_PROGRAM
    if "serialized_exported_program.json" in names:
        return SourceKind.EXPORTED_PROGRAM_OLD
    if "constants.pkl" in inner and any(name.startswith("code/") for name in inner):
        return SourceKind.TORCHSCRIPT
    if "data.pkl" in inner:
        return SourceKind.TORCH_SAVE
    if "archive_format" in inner:
        raise SourceError(f"{what} is a .pt2 archive without a program in it", hint="save it with torch.export.save")
    shown = ", ".join(names[:3])
    raise SourceError(f"{what} is a zip archive, but not one of torch (it holds {shown})", hint=_SUPPORTED)


def _is_program(inner: str) -> bool:
    return inner.startswith("models/") and inner.endswith(".json")
