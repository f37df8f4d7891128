"""A model as files: every weight read, written and forgotten in turn; whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from graphlab.exporting.errors import ExportError

if TYPE_CHECKING:
    from graphlab.exporting.translate import Lowered

MOST_IN_ONE_FILE = 2_000_000_000
"""Bytes of weights up to which a model is one file: protobuf takes no message over 2 GiB."""
ALIGNMENT = 4096
"""Offsets in the file of weights: a page, so that a runtime can map a weight where it lies."""
SMALLEST_OUTSIDE = 1024
"""Bytes below which a weight stays in the model: shapes and axes, which runtimes read before they look elsewhere."""
_SPARE_BYTES = 1 << 20

_GRAPH_FIELD, _INITIALIZER_FIELD, _RAW_FIELD = 7, 5, 9
"""Numbers in onnx.proto: ModelProto.graph, GraphProto.initializer, TensorProto.raw_data."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What was written: the model and, where weights have a file of their own, `data`; sizes in bytes."""

    path: Path
    data: Path | None
    nbytes: int
    weight_bytes: int


def save_model(lowered: Lowered, values: Mapping[str, torch.Tensor], path: Path) -> Saved:
    """Writes `lowered` with `values` to `path`, or leaves it as it is: `write_model` inside `staged`."""
    with staged(path) as folder:
        saved = write_model(lowered, values, folder / path.name)
    return Saved(path, path.parent / saved.data.name if saved.data else None, saved.nbytes, saved.weight_bytes)


def write_model(lowered: Lowered, values: Mapping[str, torch.Tensor], path: Path) -> Saved:
    """Writes `lowered` with `values` ({key: CPU tensor}, asked for once a key) to the new file `path`.

    Weights over MOST_IN_ONE_FILE bytes go to PATH.data. No more than one weight is in memory at a time. ExportError
    for a weight of another shape or dtype, a folder that cannot be written, or a disk that is or gets full.
    """
    specs = _specs(lowered.model)
    weight_bytes = sum(spec.nbytes for spec in specs)
    _check_space(path, weight_bytes)
    data = path.parent / f"{path.name}.data" if weight_bytes > MOST_IN_ONE_FILE else None
    try:
        if data is None:
            _write_one(lowered.model, specs, values, path)
        else:
            _write_two(lowered.model, specs, values, path, data)
        nbytes = sum(item.stat().st_size for item in (path, data) if item is not None)
    except OSError as error:
        raise _unwritable(path, error) from error
    return Saved(path, data, nbytes, weight_bytes)


def add_metadata(path: Path, properties: Mapping[str, str]) -> None:
    """Adds `properties` to metadata_props of the model at `path`: a repeated field may stand anywhere in a message."""
    import onnx

    proto = onnx.ModelProto()
    for key, value in properties.items():
        proto.metadata_props.add(key=key, value=value)
    try:
        with path.open("ab") as file:
            file.write(proto.SerializeToString())
    except OSError as error:
        raise _unwritable(path, error) from error


@dataclass(frozen=True, slots=True)
class _Spec:
    """An initializer: its name, ONNX's number of its dtype, its shape and size.

    A weight of the program has a `key` and a `torch_dtype`; what folding made of constants has its bytes in `folded`.
    """

    name: str
    dtype: int
    dims: tuple[int, ...]
    nbytes: int
    key: str = ""
    torch_dtype: torch.dtype | None = None
    folded: bytes = b""


def _specs(model: Any) -> list[_Spec]:
    found = []
    for name, value in model.graph.initializers.items():
        tensor = value.const_value
        dims, raw = tuple(int(size) for size in tensor.shape), getattr(tensor, "raw", None)
        if isinstance(raw, torch.Tensor):
            size = raw.numel() * raw.element_size()
            found.append(_Spec(name, int(tensor.dtype), dims, size, tensor.meta.get("graphlab.key", name), raw.dtype))
        else:
            folded = tensor.tobytes()
            found.append(_Spec(name, int(tensor.dtype), dims, len(folded), folded=folded))
    return found


def _structure(model: Any) -> Any:
    """`model` as a ModelProto without initializers."""
    import onnx_ir as ir

    held = dict(model.graph.initializers)
    for key in held:
        del model.graph.initializers[key]
    try:
        return ir.serde.serialize_model(model)
    finally:
        for value in held.values():
            model.graph.initializers.add(value)


def _write_one(model: Any, specs: list[_Spec], values: Mapping[str, torch.Tensor], path: Path) -> None:
    """One protobuf message, its length worked out before: the weights pass through in turn."""
    proto = _structure(model)
    graph = proto.graph.SerializeToString()
    proto.ClearField("graph")
    heads = [_head(spec) for spec in specs]
    sizes = [
        len(head) + len(_tag(_RAW_FIELD, spec.nbytes)) + spec.nbytes for head, spec in zip(heads, specs, strict=True)
    ]
    total = len(graph) + sum(len(_tag(_INITIALIZER_FIELD, size)) + size for size in sizes)
    with path.open("wb") as file:
        file.write(proto.SerializeToString())
        file.write(_tag(_GRAPH_FIELD, total))
        file.write(graph)
        for spec, head, size in zip(specs, heads, sizes, strict=True):
            file.write(_tag(_INITIALIZER_FIELD, size) + head + _tag(_RAW_FIELD, spec.nbytes))
            file.write(_bytes(spec, values))


def _write_two(model: Any, specs: list[_Spec], values: Mapping[str, torch.Tensor], path: Path, data: Path) -> None:
    import onnx

    proto = _structure(model)
    with data.open("wb") as file:
        for spec in specs:
            tensor = proto.graph.initializer.add(name=spec.name, data_type=spec.dtype, dims=spec.dims)
            if spec.nbytes < SMALLEST_OUTSIDE:
                tensor.raw_data = _bytes(spec, values).tobytes()
                continue
            file.write(b"\0" * (-file.tell() % ALIGNMENT))
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in (("location", data.name), ("offset", file.tell()), ("length", spec.nbytes)):
                tensor.external_data.add(key=key, value=str(value))
            file.write(_bytes(spec, values))
    path.write_bytes(proto.SerializeToString())


def _head(spec: _Spec) -> bytes:
    import onnx

    return bytes(onnx.TensorProto(name=spec.name, data_type=spec.dtype, dims=spec.dims).SerializeToString())


def _tag(field: int, length: int) -> bytes:
    """What stands before a field of `length` bytes."""
    return _varint(field << 3 | 2) + _varint(length)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _bytes(spec: _Spec, values: Mapping[str, torch.Tensor]) -> memoryview:
    """The bytes of an initializer, in the order ONNX has them."""
    if spec.torch_dtype is None:
        return memoryview(spec.folded)
    try:
        value = values[spec.key]
    except KeyError:
        raise ExportError(
            f"weight {spec.key} has no value", hint="pass --weights PATH or --weights random:SEED"
        ) from None
    if value.is_complex():  # ONNX has no complex numbers: torch's translations read pairs
        value = torch.view_as_real(value.resolve_conj())
    if tuple(value.shape) != spec.dims or value.dtype != spec.torch_dtype:
        raise ExportError(
            f"weight {spec.key} is {tuple(value.shape)} {value.dtype}, the model has {spec.dims} {spec.torch_dtype}"
        )
    if not spec.nbytes:
        return memoryview(b"")
    flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return flat.numpy().data


def _check_space(path: Path, nbytes: int) -> None:
    folder = next((item for item in (path.parent, *path.parent.parents) if item.is_dir()), path.parent)
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error
    if free < nbytes + _SPARE_BYTES:
        raise ExportError(
            f"cannot write {path}: {nbytes / 1e9:.1f} GB of weights, {free / 1e9:.1f} GB free",
            hint="name another place",
        )


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A folder next to `path`; what lies in it when the block ends without an error takes its place beside `path`.

    The file called like `path` is moved last: whoever sees it sees all of it. ExportError where files cannot be made.
    """
    made: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        yield made
        for item in sorted(made.iterdir(), key=lambda item: (item.name == path.name, item.name)):
            os.replace(item, path.parent / item.name)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """A new folder whose files take their places below `folder` when the block ends without an error; else none does.

    What `folder` holds besides stays. ExportError where files cannot be made.
    """
    made: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        yield made
        for item in sorted(path for path in made.rglob("*") if path.is_file()):
            place = folder / item.relative_to(made)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(item, place)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


def _unwritable(path: Path, error: OSError) -> ExportError:
    return ExportError(f"cannot write {path}: {error.strerror or error}", hint="nothing was written")
