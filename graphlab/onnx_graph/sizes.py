"""What a model's inputs are called and how large they are: the file's own sizes, and a value for every free one.

A free size without a value is 1 for a batch, 16 for frames and 64 for anything else, or the first of OTHERS that the
model takes; `--input NAME=SHAPE` and `--set` say otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import onnx_ir as ir
import torch

from graphlab.errors import BindingError, SourceError
from graphlab.names import nearest
from graphlab.onnx_graph.dtypes import dtype_name, torch_dtype
from graphlab.symbolic import evaluate_any, names_in

BATCH, FRAMES = 1, 16
OTHERS = (64, 32, 16, 8, 128, 256)
"""What is tried for a size that is neither: a table of 16 x 16 positions, say, takes no other."""
MAX_SIZE = 2**40
_MADE_UP = re.compile(r"s\d+|u\d+|unk_*\d+|.*_d\d+|.*dim_\d+|.*dimension_\d+|.*_dynamic_axes_\d+|_?\d+", re.IGNORECASE)


def is_made_up(name: str) -> bool:
    """Whether an exporter gave this name to a free size that nobody named: s53, unk__7, sample_dim_2."""
    return _MADE_UP.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class ModelInput:
    """An input: its name in the graph, the file's name, sizes (ints, or text over free names) and torch dtype."""

    name: str
    original: str
    shape: tuple[int | str, ...]
    dtype: Any


@dataclass(frozen=True, slots=True)
class Sizes:
    """Inputs in order; `defaults` {free name: size}; `axes` {free name: the input axis that first shows it}."""

    inputs: tuple[ModelInput, ...]
    defaults: Mapping[str, int]
    axes: Mapping[str, str]
    assumed: tuple[str, ...]
    """Free names whose size nobody gave."""

    def candidates(self) -> Iterator[Sizes]:
        """These sizes, then others for what nobody gave: other lengths, and leading axes that are no batch."""
        leading = [name for name in self.assumed if self.defaults[name] == BATCH and "batch" not in name.lower()]
        free = [name for name in self.assumed if self.defaults[name] == OTHERS[0]]
        for size in OTHERS if free or leading[1:] else OTHERS[:1]:
            sized = {**self.defaults, **dict.fromkeys(free, size)}
            yield replace(self, defaults=sized)
            if leading[1:]:
                yield replace(self, defaults={**sized, **dict.fromkeys(leading[1:], size)})

    def shape(self, given: ModelInput, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The sizes of an input under `values` ({free name: size})."""
        return tuple(size if isinstance(size, int) else _whole(evaluate_any(size, values)) for size in given.shape)


def input_sizes(graph: ir.Graph, given: Mapping[str, str], what: str) -> Sizes:
    """The inputs of `graph` under the shapes of `--input` ({name: "2x4x64x64:float16"}); SourceError on a clash."""
    values = [value for value in graph.inputs if value.name not in graph.initializers]
    inputs = _inputs(values, what)
    names = {item.original: item.name for item in inputs}
    shown = ", ".join(names) or "none"
    unknown = next((name for name in given if name not in names and name not in names.values()), None)
    if unknown is not None:
        raise SourceError(f"{what} has no input {unknown!r}", hint=f"{nearest(unknown, names)}it has: {shown}")
    axes: dict[str, str] = {}
    for item in inputs:
        for index, size in enumerate(item.shape):
            if isinstance(size, str) and names_in(size) == (size,):
                axes.setdefault(size, f"{item.name}.d{index}")
    defaults = {name: _default(name, axis, inputs) for name, axis in axes.items()}
    told = _told(inputs, given, what)
    _check_told(inputs, given, {**defaults, **told}, what)
    return Sizes(inputs, {**defaults, **told}, axes, tuple(name for name in defaults if name not in told))


def _inputs(values: list[ir.Value], what: str) -> tuple[ModelInput, ...]:
    taken: set[str] = set()
    texts: dict[tuple[str, int], str | None] = {}
    for value in values:
        if not isinstance(value.type, ir.TensorType):
            raise SourceError(
                f"{what}: input {value.name!r} is no tensor, or has no type", hint="only tensors are read"
            )
        if value.shape is None:
            raise SourceError(
                f"{what}: input {value.name!r} has no rank", hint="export the model with its input shapes"
            )
        for index, size in enumerate(value.shape):
            text = None if isinstance(size, int) else getattr(size, "value", None)
            texts[value.name or "", index] = None if isinstance(size, int) else str(text) if text else None
    alone = [text for text in texts.values() if text and _is_name(text)]
    found = []
    for value in values:
        name = _identifier(value.name or "input", taken)
        assert value.shape is not None
        known = value.name or ""
        shape = tuple(
            _checked(size, known, what) if isinstance(size, int) else _text(texts[known, i], name, i, alone)
            for i, size in enumerate(value.shape)
        )
        found.append(ModelInput(name, known, shape, torch_dtype(value.dtype, f"{what}: {value.name!r}")))
    return tuple(found)


def _checked(size: int, name: str, what: str) -> int:
    if not 0 <= size <= MAX_SIZE:
        raise SourceError(f"{what}: {name!r} has an axis of size {size}", hint="fetch or export the file again")
    return size


def _text(text: str | None, name: str, index: int, alone: Sequence[str]) -> str:
    """The size as text over free names: one of them, arithmetic on them, or a free size of its own."""
    own = f"{name}_d{index}"
    if text is None:
        return own
    if text in alone:
        return text
    try:
        if set(names_in(text)) <= set(alone) and names_in(text):
            return text
    except BindingError:
        pass  # no arithmetic: a name with spaces, say
    made = _symbol(re.sub(r"\W+", "_", text).strip("_"))
    return (made if _is_name(made) else f"{made}_") if made else own


def _is_name(text: str) -> bool:
    """Whether arithmetic on sizes reads `text` as one name: "max" is a function there, "in" a word of Python."""
    try:
        return names_in(text) == (text,)
    except BindingError:
        return False


def _whole(size: Any) -> Any:
    """A size that arithmetic made a fraction ("height / 8"), rounded down as exporters do."""
    if isinstance(size, torch.SymFloat):
        return torch.sym_int(size)  # type: ignore[no-untyped-call]  # torch gives it none
    return int(size) if isinstance(size, float) else size


def _symbol(text: str) -> str:
    return text if not text or not text[0].isdigit() else f"_{text}"


def _identifier(name: str, taken: set[str]) -> str:
    base = re.sub(r"\W+", "_", name).strip("_") or "input"
    base = base if not base[0].isdigit() else f"_{base}"
    while base in taken:
        base += "_"
    taken.add(base)
    return base


def _default(name: str, axis: str, inputs: tuple[ModelInput, ...]) -> int:
    owner, _, place = axis.rpartition(".d")
    rank = next(len(item.shape) for item in inputs if item.name == owner)
    lowered = name.lower()
    if "batch" in lowered or (place == "0" and (lowered in ("b", "n", "bs") or (rank > 1 and is_made_up(name)))):
        return BATCH
    if "frame" in lowered or (rank == 5 and place == "2"):
        return FRAMES
    return OTHERS[0]


def _told(inputs: tuple[ModelInput, ...], given: Mapping[str, str], what: str) -> dict[str, int]:
    """{free name: size} that the shapes of `--input` give."""
    found: dict[str, int] = {}
    for item in inputs:
        text = given.get(item.original, given.get(item.name))
        if text is None:
            continue
        sizes, dtype = _parsed(text)
        if dtype and dtype != dtype_name(item.dtype):
            raise SourceError(f"{what}: {item.original!r} is {dtype_name(item.dtype)}, --input gives {dtype}")
        if len(sizes) != len(item.shape):
            raise SourceError(f"{what}: {item.original!r} has {len(item.shape)} axes, --input gives {len(sizes)}")
        for have, size in zip(item.shape, sizes, strict=True):
            if isinstance(have, int) and have != size:
                raise SourceError(f"{what}: an axis of {item.original!r} is {have} in the file, --input gives {size}")
            if isinstance(have, str) and found.get(have, size) != size:
                raise SourceError(f"{what}: --input gives {have} two sizes, {found[have]} and {size}")
            if isinstance(have, str) and names_in(have) == (have,):
                found[have] = size
    return found


def _check_told(inputs: tuple[ModelInput, ...], given: Mapping[str, str], values: Mapping[str, int], what: str) -> None:
    """SourceError for a size of `--input` on an axis whose size follows from others, and is another."""
    for item in inputs:
        text = given.get(item.original, given.get(item.name))
        for have, size in zip(item.shape, _parsed(text)[0] if text is not None else (), strict=False):
            if isinstance(have, int) or names_in(have) == (have,):
                continue
            follows = _whole(evaluate_any(have, values))
            if follows != size:
                raise SourceError(
                    f"{what}: an axis of {item.original!r} is {have} in the file, so {follows}, --input gives {size}",
                    hint=f"give the inputs that say {', '.join(names_in(have))} too",
                )


def _parsed(text: str) -> tuple[list[int], str]:
    shape, _, dtype = text.partition(":")
    if not re.fullmatch(r"(\d+(x\d+)*)?", shape):
        raise SourceError(f"{text!r} is no tensor", hint="write sizes and a dtype, as in 2x4x64x64:float16")
    return [int(size) for size in shape.split("x") if size], dtype
