"""What a model is not: good for every size, or keeping what its program writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from torch.export.graph_signature import OutputKind

from graphlab.program import Program
from graphlab.rewriting.functional import functional

_BUFFERS = (OutputKind.BUFFER_MUTATION, OutputKind.PARAMETER_MUTATION)


def limits(program: Program, axes: Mapping[str, str]) -> tuple[str, ...]:
    """Sentences on the sizes the captured `program` holds for, and on what it writes besides its results.

    Nothing in an ONNX model checks the former; `axes` are {symbol: what the model calls it}.
    """
    holds, written = size_limits(program, axes), list(_written(program))
    found = [f"it holds where {'; '.join(holds)}"] if holds else []
    if written:
        found.append(f"the model does not keep what the program writes into {', '.join(written)}: each run starts anew")
    return tuple(found)


def size_limits(program: Program, axes: Mapping[str, str]) -> tuple[str, ...]:
    """Ranges and guards of `program` over the names of the model's axes; the ordinary ranges, from 2 on, are left out.

    An axis that could be 1 is torch's exception: it would capture it as another program, which mostly is the same.
    """
    graph = program.graph
    texts = [
        *(f"{symbol} >= {low}" for symbol, (low, _) in graph.ranges.items() if low > _LEAST),
        *(f"{symbol} <= {high}" for symbol, (_, high) in graph.ranges.items() if high is not None),
        *graph.guards,
    ]
    names = sorted(axes, key=len, reverse=True)
    pattern = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in names)) if names else None
    shown = [pattern.sub(lambda match: axes[match.group(0)], text) if pattern is not None else text for text in texts]
    plain = (re.sub(r"\(([\w.]+)\)", r"\1", text) for text in shown)
    return tuple(dict.fromkeys(text for text in plain if not _says_nothing(text)))


def _says_nothing(text: str) -> bool:
    """Whether both sides are one text: two of torch's symbols may have one name."""
    left, equal, right = text.partition(" == ")
    return bool(equal) and left == right


_LEAST = 2


def _written(program: Program) -> Iterator[str]:
    assert program.exported is not None
    for spec in functional(program.exported).graph_signature.output_specs:
        if spec.kind in _BUFFERS:
            yield f"the buffer {spec.target}"
        elif spec.kind is OutputKind.USER_INPUT_MUTATION:
            yield f"the input {spec.target}"
