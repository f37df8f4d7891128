"""The structural axis rules that op rules name ("broadcast", "reshape", "cat", ...) and axis patterns.

`trace_axes` gives the lineage of a call's outputs from the lineage of its inputs. An op without a rule, or
whose rule says "unknown", gives axes that come from nowhere: unknown is reported, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graphlab.graph import Node, Ref, TensorSpec
from graphlab.ops.bind import bind
from graphlab.ops.lineage import Axes, Axis, concatenated, fresh, fresh_axes, merged, product, reshaped, resized, sliced
from graphlab.ops.rule import OpRule, rule_for


@dataclass(frozen=True, slots=True)
class AxisCall:
    """One call, as axis rules see it: its node (integer sizes), and the axes of any tensor by node name."""

    node: Node
    axes: Mapping[str, tuple[Axes, ...]]
    specs: Mapping[str, tuple[TensorSpec | None, ...]]

    def arg(self, index: int, name: str, default: Any = None) -> Any:
        """Argument `index` or keyword `name` of the call."""
        if index < len(self.node.args):
            return self.node.args[index]
        return dict(self.node.kwargs).get(name, default)

    def named(self, name: str) -> Any:
        """The argument the op's schema calls `name`."""
        rule = rule_for(self.node.target)
        return bind(rule, self.node).get(name) if rule is not None else None

    def of(self, ref: Ref) -> Axes:
        """Axes of the tensor `ref` points at."""
        return self.axes[ref.name][0]

    def shape(self, ref: Ref) -> tuple[int, ...]:
        """Shape of the tensor `ref` points at."""
        spec = self.specs[ref.name][0]
        return spec.shape if spec is not None else ()

    @property
    def tensors(self) -> tuple[Ref, ...]:
        """The tensor arguments in order, those inside lists included."""
        return tuple(Ref(name) for name in self.node.refs)

    @property
    def out(self) -> tuple[int, ...]:
        """Shape of the first output."""
        return self.node.out.shape


def trace_axes(rule: OpRule | None, call: AxisCall) -> tuple[Axes, ...]:
    """The axes of every output of `call`."""
    outputs = call.node.outputs
    if rule is None or not outputs or outputs[0] is None:
        return tuple(fresh_axes(spec.shape) if spec else () for spec in outputs)
    if "->" in rule.axes:
        traced: tuple[Axes, ...] = (_pattern(rule.axes, call),)
    else:
        try:
            traced = _STRUCTURAL[rule.axes](call)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            traced = _rule_create(call)  # arguments the rule cannot read: axes that come from nowhere known
    full = list(traced) + [fresh_axes(s.shape) if s else () for s in outputs[len(traced) :]]
    return tuple(_fitted(axes, spec) for axes, spec in zip(full, outputs, strict=False))


def _fitted(axes: Axes, spec: TensorSpec | None) -> Axes:
    """`axes` with the rank and sizes of `spec`: a rule that is off by a size must not be believed."""
    if spec is None:
        return ()
    if len(axes) != len(spec.shape):
        return fresh_axes(spec.shape)
    return tuple(a if product(a) == size else resized(a, size) for a, size in zip(axes, spec.shape, strict=True))


@lru_cache(maxsize=256)
def _parse(pattern: str) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    left, right = pattern.split("->")
    return tuple(tuple(part.split()) for part in left.split(",")), tuple(right.split())


def _pattern(pattern: str, call: AxisCall) -> Axes:
    """Axes by pattern: letters bind to axes of the inputs, `*b` to any leading run of them."""
    inputs, output = _parse(pattern)
    bound: dict[str, list[Axis]] = {}
    runs: dict[str, Axes] = {}
    for letters, ref in zip(inputs, call.tensors, strict=False):
        axes = call.of(ref)
        named = [letter for letter in letters if not letter.startswith("*")]
        split = len(axes) - len(named)
        for letter, axis in zip(named, axes[split:] if split >= 0 else (), strict=False):
            bound.setdefault(letter, []).append(axis)
        for star in (letter for letter in letters if letter.startswith("*")):
            runs[star] = _broadcast([runs.get(star, ()), axes[:split]])
    result: list[Axis] = []
    for letter in output:
        if letter.startswith("*"):
            result.extend(runs.get(letter, ()))
        else:
            result.append(_only_known(merged(bound.get(letter, []))))
    return tuple(result)


def _only_known(axis: Axis) -> Axis:
    """`axis`, or an anonymous one of its size where only weights are behind it (channels)."""
    return axis if any(factor.known for factor in axis) else fresh(product(axis))


def _broadcast(many: list[Axes]) -> Axes:
    rank = max((len(axes) for axes in many), default=0)
    return tuple(merged([axes[i] for axes in many if len(axes) >= -i]) for i in range(-rank, 0))


def _rule_broadcast(call: AxisCall) -> tuple[Axes, ...]:
    axes = _broadcast([call.of(ref) for ref in call.tensors])
    return tuple(axes for _ in call.node.outputs)


def _rule_same(call: AxisCall) -> tuple[Axes, ...]:
    if call.node.target.startswith("aten.slice."):
        return _rule_slice(call)
    first = call.of(call.tensors[0]) if call.tensors else ()
    return tuple(first for _ in call.node.outputs[:1])


def _rule_slice(call: AxisCall) -> tuple[Axes, ...]:
    axes, shape = list(call.of(call.node.args[0])), call.shape(call.node.args[0])
    dim = int(call.arg(1, "dim", 0)) % len(axes)
    start, step = call.arg(2, "start") or 0, call.arg(4, "step", 1)
    start = max(start + shape[dim], 0) if start < 0 else min(start, shape[dim])
    length = call.out[dim]
    if step != 1:
        axes[dim] = resized(axes[dim], length)
    else:
        axes[dim] = sliced(axes[dim], start, start + length)
    return (tuple(axes),)


def _rule_reshape(call: AxisCall) -> tuple[Axes, ...]:
    return (reshaped(call.of(call.tensors[0]), call.out),)


def _rule_permute(call: AxisCall) -> tuple[Axes, ...]:
    axes = call.of(call.tensors[0])
    rank = len(axes)
    if rank < 2:
        return (axes,)
    name = call.node.target.split(".")[1]
    if name in ("t", "numpy_T", "mT", "adjoint", "matrix_H"):
        order = [*range(rank - 2), rank - 1, rank - 2]
    elif name in ("transpose", "transpose_", "swapaxes", "swapdims"):
        order = list(range(rank))
        a, b = int(call.arg(1, "dim0")) % rank, int(call.arg(2, "dim1")) % rank
        order[a], order[b] = order[b], order[a]
    elif name == "movedim":
        order = _movedim(rank, call.arg(1, "source"), call.arg(2, "destination"))
    else:
        order = [int(d) % rank for d in call.arg(1, "dims")]
    return (tuple(axes[i] for i in order),)


def _movedim(rank: int, source: Any, destination: Any) -> list[int]:
    froms = [d % rank for d in (source if isinstance(source, tuple) else (source,))]
    tos = [d % rank for d in (destination if isinstance(destination, tuple) else (destination,))]
    rest = iter(d for d in range(rank) if d not in froms)
    placed = dict(zip(tos, froms, strict=True))
    return [placed[i] if i in placed else next(rest) for i in range(rank)]


def _rule_expand(call: AxisCall) -> tuple[Axes, ...]:
    axes = call.of(call.tensors[0])
    lead = len(call.out) - len(axes)
    kept = [a if product(a) == size else fresh(size) for a, size in zip(axes, call.out[lead:], strict=True)]
    return ((*fresh_axes(call.out[:lead]), *kept),)


def _rule_squeeze(call: AxisCall) -> tuple[Axes, ...]:
    axes, shape = call.of(call.tensors[0]), call.shape(call.tensors[0])
    dims = call.arg(1, "dim")
    chosen = (
        range(len(shape)) if dims is None else [d % len(shape) for d in (dims if isinstance(dims, tuple) else (dims,))]
    )
    gone = {d for d in chosen if shape[d] == 1}
    return (tuple(axis for i, axis in enumerate(axes) if i not in gone),)


def _rule_unsqueeze(call: AxisCall) -> tuple[Axes, ...]:
    axes = list(call.of(call.tensors[0]))
    axes.insert(int(call.named("dim")) % (len(axes) + 1), ())
    return (tuple(axes),)


def _rule_select(call: AxisCall) -> tuple[Axes, ...]:
    axes = list(call.of(call.tensors[0]))
    del axes[int(call.arg(1, "dim", 0)) % len(axes)]
    return (tuple(axes),)


def _rule_split(call: AxisCall) -> tuple[Axes, ...]:
    axes, shape = call.of(call.tensors[0]), call.shape(call.tensors[0])
    unbind = call.node.target.split(".")[1] == "unbind"
    dim = int(call.arg(1, "dim", 0) if unbind else call.arg(2, "dim", 0)) % len(shape)
    results, position = [], 0
    for spec in call.node.outputs:
        if spec is None or unbind:
            results.append(tuple(a for i, a in enumerate(axes) if i != dim))
            continue
        length = spec.shape[dim]
        piece = sliced(axes[dim], position, position + length)
        results.append((*axes[:dim], piece, *axes[dim + 1 :]))
        position += length
    return tuple(results)


def _rule_getitem(call: AxisCall) -> tuple[Axes, ...]:
    source, index = call.node.args[0], call.node.args[1]
    return (call.axes[source.name][index],)


def _rule_cat(call: AxisCall) -> tuple[Axes, ...]:
    pieces = [ref for ref in call.node.args[0] if len(call.shape(ref)) == len(call.out)]
    if not pieces:
        return (fresh_axes(call.out),)
    dim = int(call.arg(1, "dim", 0)) % len(call.out)
    axes = list(_broadcast([call.of(ref) for ref in pieces]))
    axes[dim] = concatenated([call.of(ref)[dim] for ref in pieces], [call.shape(ref)[dim] for ref in pieces])
    return (tuple(axes),)


def _rule_stack(call: AxisCall) -> tuple[Axes, ...]:
    axes = list(_broadcast([call.of(ref) for ref in call.tensors]))
    axes.insert(int(call.arg(1, "dim", 0)) % (len(axes) + 1), fresh(len(call.tensors)))
    return (tuple(axes),)


def _rule_reduce(call: AxisCall) -> tuple[Axes, ...]:
    axes = call.of(call.tensors[0])
    dims = call.named("dim")
    if dims is None or isinstance(dims, (str, float)) or len(call.out) == 0:
        return ((),) if len(call.out) == 0 else (fresh_axes(call.out),)
    chosen = {d % len(axes) for d in (dims if isinstance(dims, tuple) else (dims,)) if isinstance(d, int)}
    if len(call.out) == len(axes):
        return (tuple(() if i in chosen else axis for i, axis in enumerate(axes)),)
    return (tuple(axis for i, axis in enumerate(axes) if i not in chosen),)


def _rule_convolution(call: AxisCall) -> tuple[Axes, ...]:
    axes, spatial = call.of(call.tensors[0]), len(call.shape(call.tensors[1])) - 2
    lead = axes[: len(axes) - spatial - 1]
    tail = [resized(a, size) for a, size in zip(axes[-spatial:], call.out[-spatial:], strict=True)]
    return ((*lead, fresh(call.out[-spatial - 1]), *tail),)


def _rule_resample(call: AxisCall) -> tuple[Axes, ...]:
    axes = call.of(call.tensors[0])
    return (tuple(resized(a, size) for a, size in zip(axes, call.out, strict=True)),)


def _rule_pixel_shuffle(call: AxisCall) -> tuple[Axes, ...]:
    axes, out = call.of(call.tensors[0]), call.out
    return ((*axes[:-3], fresh(out[-3]), resized(axes[-2], out[-2]), resized(axes[-1], out[-1])),)


def _rule_embedding(call: AxisCall) -> tuple[Axes, ...]:
    return ((*call.of(call.node.args[1]), fresh(call.out[-1])),)


def _rule_index(call: AxisCall) -> tuple[Axes, ...]:
    """Axes left whole keep their origin; one index tensor puts its own axes where the indexed axis was."""
    axes, indices = call.of(call.tensors[0]), call.node.args[1]
    if not isinstance(indices, tuple):  # index_select(self, dim, index)
        dim = int(indices) % len(axes)
        return (tuple(resized(a, call.out[i]) if i == dim else a for i, a in enumerate(axes)),)
    used = [i for i, index in enumerate(indices) if isinstance(index, Ref)]
    if len(used) != 1:
        return (fresh_axes(call.out),)
    at, picked = used[0], call.of(indices[used[0]])
    if len(picked) == 1 and not any(f.known for f in picked[0]):
        picked = (resized(axes[at], call.out[at]),)
    return ((*axes[:at], *picked, *axes[at + 1 :]),)


def _rule_gather(call: AxisCall) -> tuple[Axes, ...]:
    axes = call.of(call.tensors[0])
    if len(axes) != len(call.out):
        return (fresh_axes(call.out),)
    return (tuple(resized(a, size) for a, size in zip(axes, call.out, strict=True)),)


def _rule_attention(call: AxisCall) -> tuple[Axes, ...]:
    query, value = call.of(call.tensors[0]), call.tensors[2]
    return ((*query[:-1], fresh(call.shape(value)[-1])),)


def _rule_matmul(call: AxisCall) -> tuple[Axes, ...]:
    left, right = call.of(call.tensors[0]), call.of(call.tensors[1])
    if len(left) == 1 or len(right) == 1:
        kept = (*right[:-2], *right[-1:]) if len(left) == 1 else left[:-1]
        return (kept if len(right) > 1 or len(left) > 1 else (),)
    return ((*_broadcast([left[:-2], right[:-2]]), left[-2], _only_known(right[-1])),)


def _rule_einsum(call: AxisCall) -> tuple[Axes, ...]:
    equation, operands = str(call.node.args[0]).replace(" ", ""), call.tensors
    if "->" not in equation or "." in equation:
        return (fresh_axes(call.out),)
    left, right = equation.split("->")
    bound: dict[str, list[Axis]] = {}
    for letters, ref in zip(left.split(","), operands, strict=True):
        for letter, axis in zip(letters, call.of(ref), strict=True):
            bound.setdefault(letter, []).append(axis)
    return (tuple(_only_known(merged(bound[letter])) for letter in right),)


def _rule_repeat(call: AxisCall) -> tuple[Axes, ...]:
    """Repetition of a whole axis is a new outer factor, of each element a new inner one."""
    axes = call.of(call.tensors[0])
    inner = "interleave" in call.node.target
    lead = len(call.out) - len(axes)
    result: list[Axis] = list(fresh_axes(call.out[:lead]))
    for axis, size in zip(axes, call.out[lead:], strict=True):
        times = size // max(product(axis), 1)
        if times * product(axis) != size:
            result.append(resized(axis, size))
        else:
            result.append((*axis, *fresh(times)) if inner else (*fresh(times), *axis))
    return (tuple(result),)


def _rule_create(call: AxisCall) -> tuple[Axes, ...]:
    return tuple(fresh_axes(spec.shape) if spec else () for spec in call.node.outputs)


_STRUCTURAL: Mapping[str, Callable[[AxisCall], tuple[Axes, ...]]] = {
    "broadcast": _rule_broadcast,
    "same": _rule_same,
    "reshape": _rule_reshape,
    "permute": _rule_permute,
    "expand": _rule_expand,
    "squeeze": _rule_squeeze,
    "unsqueeze": _rule_unsqueeze,
    "select": _rule_select,
    "split": _rule_split,
    "getitem": _rule_getitem,
    "cat": _rule_cat,
    "stack": _rule_stack,
    "reduce": _rule_reduce,
    "convolution": _rule_convolution,
    "resample": _rule_resample,
    "pixel_shuffle": _rule_pixel_shuffle,
    "embedding": _rule_embedding,
    "index": _rule_index,
    "gather": _rule_gather,
    "attention": _rule_attention,
    "matmul": _rule_matmul,
    "einsum": _rule_einsum,
    "repeat": _rule_repeat,
    "create": _rule_create,
    "unknown": _rule_create,
}
STRUCTURAL = frozenset(_STRUCTURAL)
