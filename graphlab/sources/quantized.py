"""Quantised checkpoints: companion tensors put with the weights they belong to, so that bytes add up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from graphlab.errors import UnknownArchitectureError
from graphlab.sources.tensors import StateDictIndex, TensorMeta

# What each library writes beside `<name>.weight`, and how messages call it.
_COMPANIONS = (
    (
        r"(.*\.weight)\.(?:absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.bitsandbytes__(?:nf4|fp4))",
        "bnb4",
    ),
    (r"(.*)\.(?:SCB|weight_format)", "bnb8"),
    (r"(.*)\.(?:scale_weight|scale_input|weight_scale|input_scale)", "scaled"),
)
_MARKERS = frozenset({"scaled_fp8"})
_REFUSED = re.compile(r".*\.(qweight|qzeros|g_idx|weight_packed|weight_zero_point|_packed_params.*)")
_NAMES = {"bnb4": "bitsandbytes 4-bit", "bnb8": "bitsandbytes int8", "scaled": "scaled 8-bit"}
_FLOATS = ("float64", "float32", "float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class Separated:
    """`tensors`: one entry a weight, companions counted in its bytes; `notes`: what was quantised and how."""

    tensors: Mapping[str, TensorMeta]
    notes: tuple[str, ...]


def separate(index: StateDictIndex) -> Separated:
    """`index` without companion tensors; UnknownArchitectureError for a layout that hides the weights' shapes."""
    extra: dict[str, int] = {}
    kinds: dict[str, str] = {}
    tensors: dict[str, TensorMeta] = {}
    for key, meta in index.tensors.items():
        if _REFUSED.fullmatch(key):
            raise UnknownArchitectureError(
                f"{index.source} is quantised in a layout (GPTQ, AWQ, compressed-tensors or torch.ao: {key}) "
                f"that graphlab does not read; it holds {index.nbytes} bytes",
                hint="analyse the unquantised model",
            )
        owner = _owner(key, index.tensors)
        if key in _MARKERS:
            kinds.setdefault(key, "scaled")
        elif owner is None:
            tensors[key] = meta
        else:
            extra[owner[0]] = extra.get(owner[0], 0) + meta.nbytes
            kinds[owner[0]] = owner[1]
    for key, nbytes in extra.items():
        tensors[key] = _whole(tensors[key], nbytes, kinds[key])
    return Separated(tensors, _notes(tensors, kinds))


def _owner(key: str, tensors: Mapping[str, TensorMeta]) -> tuple[str, str] | None:
    for pattern, kind in _COMPANIONS:
        match = re.fullmatch(pattern, key)
        if match:
            weight = match[1] if match[1].endswith(".weight") else f"{match[1]}.weight"
            return (weight, kind) if weight in tensors and weight != key else None
    return None


def _whole(meta: TensorMeta, extra: int, kind: str) -> TensorMeta:
    if kind == "bnb4":  # two values a byte, stored as one flat column
        return TensorMeta((meta.nbytes * 2,), "4-bit", meta.nbytes + extra, packed=True)
    return TensorMeta(meta.shape, meta.dtype, meta.nbytes + extra)


def _notes(tensors: Mapping[str, TensorMeta], kinds: Mapping[str, str]) -> tuple[str, ...]:
    notes = [
        f"{_NAMES[kind]} weights: {sum(1 for k in kinds.values() if k == kind)}, in bytes as stored with their scales"
        for kind in sorted(set(kinds.values()))
    ]
    by_type: dict[str, list[int]] = {}
    for meta in tensors.values():
        if meta.dtype.startswith(("gguf:", "float8", "int8")):
            by_type.setdefault(meta.dtype, []).append(meta.nbytes)
    notes += [f"{len(sizes)} tensors stored as {name}, {sum(sizes)} bytes" for name, sizes in sorted(by_type.items())]
    return tuple(notes)


def compute_dtype(tensors: Mapping[str, TensorMeta]) -> tuple[str, tuple[str, ...]]:
    """(dtype of the arithmetic, assumptions): the stored one with most bytes, bfloat16 where that is quantised."""
    nbytes: dict[str, int] = {}
    for meta in tensors.values():
        nbytes[meta.dtype] = nbytes.get(meta.dtype, 0) + meta.nbytes
    most = max(sorted(nbytes), key=lambda name: nbytes[name])
    if most not in _FLOATS:
        return "bfloat16", (f"stored mostly as {most}; arithmetic assumed in bfloat16",)
    others = sorted(set(nbytes) - {most})
    mixed = (f"stored mostly as {most}, beside {', '.join(others)}; analysed as {most}",) if others else ()
    return most, mixed
