"""Pickled state dicts as shapes: classes of strangers become inert stand-ins, storages are never read.

The unpickler below resolves no name by importing: a handful of containers and torch's rebuild functions
have stand-ins here, everything else becomes an `Inert` object that remembers its class's name.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphlab.errors import SourceError
from graphlab.sources.opcodes import scan_one
from graphlab.sources.tensors import ITEM_BITS, TensorMeta

MAX_DIMENSIONS = 64


@dataclass(frozen=True, slots=True)
class StorageMeta:
    """One storage of a torch.save file: its key, torch's name of its dtype (uint8 when untyped), its elements."""

    key: str
    dtype: str
    elements: int


@dataclass(frozen=True, slots=True)
class InertTensor:
    """A tensor of a torch.save file without its data; `stride` and `offset` in elements; `storage` None on meta."""

    meta: TensorMeta
    stride: tuple[int, ...]
    offset: int
    storage: StorageMeta | None


@dataclass(frozen=True, slots=True)
class DtypeName:
    """`torch.float16` and the like, by name."""

    name: str

    def __call__(self, *_arguments: Any) -> Any:
        return self


@dataclass(frozen=True, slots=True)
class StorageType:
    """`torch.HalfStorage` and the like."""

    dtype: str

    def __call__(self, *_arguments: Any) -> Any:
        return self


class Inert:
    """An object of a class that was not imported; `state` and `items` hold what the pickle put into it."""

    class_name = "?"

    def __new__(cls, *_arguments: Any, **_keywords: Any) -> Inert:
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **_keywords: Any) -> None:
        self.state: Any = None
        self.items: dict[Any, Any] = {}
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self._items()[key] = value

    def _items(self) -> dict[Any, Any]:
        # NEWOBJ makes the object without __init__.
        return vars(self).setdefault("items", {})  # type: ignore[no-any-return]  # vars() is untyped

    def append(self, _value: Any) -> None:
        return None

    def extend(self, _values: Any) -> None:
        return None

    def add(self, _value: Any) -> None:
        return None

    def __call__(self, *_arguments: Any, **_keywords: Any) -> Inert:
        return Inert()

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


_SCALAR_DTYPES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64",
    "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
    "ComplexDouble": "complex128", "ComplexFloat": "complex64", "QInt8": "qint8", "QUInt8": "quint8",
    "QInt32": "qint32", "Untyped": "uint8",
}  # fmt: skip
_CONTAINERS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): lambda *_arguments: {},
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "list"): list,
    ("builtins", "dict"): dict,
    ("builtins", "tuple"): tuple,
    ("__builtin__", "set"): set,
    ("__builtin__", "frozenset"): frozenset,
    ("__builtin__", "list"): list,
    ("__builtin__", "dict"): dict,
    ("__builtin__", "tuple"): tuple,
    ("torch", "Size"): tuple,
}


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_rest: Any, dtype: str | None = None) -> InertTensor:
    if not isinstance(storage, StorageMeta):
        raise SourceError(f"a tensor is built on {type(storage).__name__}, expected a storage")
    name = dtype or storage.dtype
    meta = _meta(size, name)
    stride = _sizes(stride)
    span = 1 + sum((n - 1) * s for n, s in zip(meta.shape, stride, strict=True)) if meta.values else 0
    held = storage.elements * ITEM_BITS[storage.dtype]
    if not isinstance(offset, int) or offset < 0 or (offset + span) * ITEM_BITS[name] > held:
        raise SourceError(
            f"a tensor of shape {list(meta.shape)} lies outside its storage of {storage.elements} elements"
        )
    return InertTensor(meta, stride, offset, storage)


def _meta(size: Any, dtype: str) -> TensorMeta:
    shape = _sizes(size)
    if dtype not in ITEM_BITS:
        raise SourceError(f"a tensor has dtype {dtype}, which graphlab does not know")
    meta = TensorMeta(shape, dtype, 0)
    return TensorMeta(shape, dtype, meta.values * ITEM_BITS[dtype] // 8)


def _sizes(value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple | list) or len(value) > MAX_DIMENSIONS:
        raise SourceError("a tensor has a shape that is no short list of integers")
    if not all(isinstance(item, int) and 0 <= item < 1 << 62 for item in value):
        raise SourceError(f"a tensor has the impossible shape or stride {list(value)[:8]}")
    return tuple(int(item) for item in value)


def _tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_rest: Any
) -> Any:
    return _tensor(storage, offset, size, stride, dtype=dtype.name if isinstance(dtype, DtypeName) else None)


def _meta_tensor(dtype: Any, size: Any, stride: Any, *_rest: Any) -> InertTensor:
    name = dtype.name if isinstance(dtype, DtypeName) else "?"
    return InertTensor(_meta(size, name), _sizes(stride), 0, None)


def _first(value: Any, *_rest: Any) -> Any:
    return value


def _from_type(function: Any, _kind: Any, arguments: Any, _state: Any) -> Any:
    return function(*arguments) if function in _REBUILDS.values() else Inert()


_REBUILDS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
    ("torch._utils", "_rebuild_qtensor"): _tensor,
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): _meta_tensor,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch._utils", "_rebuild_parameter_with_state"): _first,
    ("torch._tensor", "_rebuild_from_type_v2"): _from_type,
    ("torch.nn.parameter", "Parameter"): _first,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = _CONTAINERS.get((module, name)) or _REBUILDS.get((module, name))
        if known is not None:
            return known
        if module in ("torch", "torch.cuda", "torch.storage") and name.endswith("Storage"):
            dtype = _SCALAR_DTYPES.get(name.removesuffix("Storage"))
            return StorageType(dtype) if dtype else _stub(module, name)
        if module == "torch" and name in ITEM_BITS:
            return DtypeName(name)
        return _stub(module, name)

    def persistent_load(self, pid: Any) -> Any:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] not in ("storage", b"storage"):
            return pid[1] if isinstance(pid, tuple) and len(pid) > 1 else Inert()
        kind, key, elements = pid[1], pid[2], pid[4]
        dtype = kind.dtype if isinstance(kind, StorageType) else None
        if dtype is None or not isinstance(elements, int) or not 0 <= elements < 1 << 62:
            raise SourceError(f"a storage has the impossible size {elements!r} or an unknown type")
        if len(pid) > 5 and pid[5] is not None:  # a view of a storage, in files of torch before 0.4
            elements = pid[5][2] if isinstance(pid[5], tuple) and isinstance(pid[5][2], int) else elements
        return StorageMeta(str(key), dtype, elements)


def _stub(module: str, name: str) -> type[Inert]:
    return type("Inert", (Inert,), {"class_name": f"{module}.{name}"})


def load_inert(data: memoryview, what: str) -> tuple[Any, int]:
    """(object, bytes read) of the pickle at the start of `data`, with stand-ins for everything but containers.

    The opcodes are scanned first, so that lying sizes never reach the unpickler. SourceError in one line for
    whatever is wrong; nothing is imported or called but the stand-ins here.
    """
    end = scan_one(data, what).end
    try:
        return _Unpickler(io.BytesIO(data[:end])).load(), end
    except SourceError as error:
        raise SourceError(f"{what}: {error.message}", hint="fetch or save the file again") from error
    except Exception as error:  # a pickle may raise anything, RecursionError and MemoryError among it
        detail = f"{type(error).__name__}: {error}"[:160]
        raise SourceError(f"{what} is a damaged pickle ({detail})", hint="fetch or save the file again") from error
