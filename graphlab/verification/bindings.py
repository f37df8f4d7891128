"""Sizes to compare programs at: inside ranges and guards, small, different for every symbol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from graphlab.graph import DTYPE_BYTES, Graph, TensorSpec
from graphlab.sources.guards import broken_guard
from graphlab.verification.result import VerifyOptions
from graphlab.verification.tape import Call, Tape

_SMALL = (3, 4, 5, 2, 6, 7, *range(8, 65))
_MOST = 6
"""Bindings that are offered beside the example."""
_SHARES = (32, 16, 12, 8, 6, 4, 3, 2)


def candidates(graph: Graph) -> Iterator[dict[str, int]]:
    """Bindings of every symbol of `graph` inside its ranges and guards, smallest first.

    Each differs from those before in every symbol where that can be. Ends with the example; yields the empty binding
    alone for a static program.
    """
    example = dict(graph.symbols)
    seen: list[dict[str, int]] = []
    for _ in range(_MOST if example else 0):
        found = _moved(graph, example, seen)
        if found is not None and found not in seen and found != example:
            seen.append(found)
            yield found
    yield example


def _moved(graph: Graph, example: dict[str, int], seen: Sequence[Mapping[str, int]]) -> dict[str, int] | None:
    """`example` with one symbol after the other moved to the first value nobody has yet; jointly where that fails."""
    values = dict(example)
    for _ in range(2):  # one symbol may only move after another did
        for symbol in values:
            old = {binding[symbol] for binding in seen} | {example[symbol]}
            others = {value for other, value in values.items() if other != symbol}
            if values[symbol] != example[symbol]:
                continue
            fresh = [value for value in _sizes(example[symbol]) if value not in old]
            distinct = [value for value in fresh if value not in others]
            for value in [*distinct, *(value for value in fresh if value in others)]:
                if broken_guard(graph, {**values, symbol: value}) is None:
                    values[symbol] = value
                    break
    if values != example:
        return values
    return _joint(graph, example, seen)


def _joint(graph: Graph, example: dict[str, int], seen: Sequence[Mapping[str, int]]) -> dict[str, int] | None:
    """All symbols by one ratio."""
    for below, above in product((1, 2, 3, 4, 8), (2, 3, 4, 8, 16)):
        for up, down in ((below, above), (above, below)):
            if up != down and all(value * up % down == 0 for value in example.values()):
                scaled = {symbol: value * up // down for symbol, value in example.items()}
                if scaled not in seen and broken_guard(graph, scaled) is None:
                    return scaled
    return None


def _sizes(example: int) -> list[int]:
    shares = [example * up // share for share in _SHARES for up in (1, 2, 3) if example * up % share == 0]
    larger = sorted({value for value in shares if value > 64} | {example + 1, example * 2, example * 3 // 2})
    return list(dict.fromkeys([*_SMALL, *larger]))


def fixed_symbols(tried: Sequence[Mapping[str, int]]) -> list[str]:
    """Symbols that have one value in all of `tried`."""
    return [symbol for symbol in tried[0] if len({binding[symbol] for binding in tried}) == 1] if tried else []


def float64_bytes(spec: TensorSpec | None) -> int:
    """Bytes of a tensor in a float64 run; 0 for no tensor."""
    if spec is None:
        return 0
    size = DTYPE_BYTES[spec.dtype]
    floating = "float" in spec.dtype or "complex" in spec.dtype
    return int(spec.numel) * ((16 if "complex" in spec.dtype else 8) if floating else size)


def peak_bytes(calls: Sequence[Call], specs: Mapping[str, tuple[TensorSpec | None, ...]]) -> int:
    """Most bytes of results alive at once in a float64 run of `calls`; views count as copies."""
    last = {name: index for index, call in enumerate(calls) for name in (*call.refs, call.name)}
    sizes = {call.name: sum(map(float64_bytes, specs.get(call.name, ()))) for call in calls}
    alive = peak = 0
    for index, call in enumerate(calls):
        alive += sizes[call.name]
        peak = max(peak, alive)
        alive -= sum(sizes[name] for name in {*call.refs, call.name} if name in sizes and last[name] == index)
    return peak


def ordered_candidates(programs: Sequence[Tape], options: VerifyOptions) -> list[dict[str, int]]:
    """Bindings to try `programs`, whose guards are those of the first, at: the example first where it is cheap,
    otherwise small ones."""
    found = list(candidates(programs[0].program.graph))
    example = found[-1]
    cheap = max(_activations(program, example) for program in programs) <= options.example_bytes
    return [example, *found[:-1]] if cheap else found


def bytes_to_run(programs: Sequence[Tape], values: Mapping[str, int]) -> int:
    """Bytes it takes to run `programs` side by side at `values`: weights, in float64 and as they are, activations."""
    specs = {node.target: node.out for program in programs for node in program.program.graph.weights}
    weights = sum(float64_bytes(spec) + int(spec.nbytes) for spec in specs.values())
    return weights + sum(_activations(program, values) for program in programs)


def _activations(program: Tape, values: Mapping[str, int]) -> int:
    return peak_bytes(program.calls, program.specs(values))
