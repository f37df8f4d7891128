"""The op table: one rule an operator, holding everything graphlab knows about it.

A rule is a function named and parameterised like the ATen schema. It receives `TensorSpec`s where the
operator receives tensors, plain values elsewhere, and `out` (a TensorSpec, or a tuple of them); it returns
the `Work` of one call. Sizes may be ints or sympy expressions, so bodies only multiply, add and divide
exactly; they never branch on a size. The docstring states the counting convention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from graphlab.graph import Dim, Ref, TensorSpec

CATEGORIES = (
    "convolution", "linear", "matmul", "attention", "normalization", "activation", "elementwise",
    "reduction", "embedding", "resampling", "movement", "other",
)  # fmt: skip

MOVES = ("compute", "view", "reshape", "identity", "cast", "contiguous")
"""How an op touches memory: `compute` reads inputs and writes outputs; `view` moves nothing; `reshape` copies
only when the strides do not allow a view; `contiguous` copies only when strides change; `cast` copies only
when the dtype changes; `identity` returns its input (dropout in eval)."""


class Work(NamedTuple):
    """FLOP of one call: `flops` of contractions (multiply-add = 2), `pointwise` of everything else."""

    flops: Dim = 0
    pointwise: Dim = 0


RuleBody: TypeAlias = Callable[..., Work]


@dataclass(frozen=True, slots=True)
class OpRule:
    """What graphlab knows about one operator overload.

    `axes` says where the axes of the output come from: an axis pattern such as "*b i, o i -> *b o", or the
    name of a structural rule in `graphlab.ops.axes` ("broadcast", "same", "reshape", "permute", ...).
    `moves` is one of MOVES. `bytes_read` overrides which inputs are read in full (an embedding reads rows), and
    `bytes_written` which part of the outputs is written (`index_put_` the addressed elements, `empty` nothing).
    """

    target: str
    category: str
    body: RuleBody
    axes: str
    moves: str = "compute"
    bytes_read: Callable[..., Dim] | None = None
    bytes_written: Callable[..., Dim] | None = None

    @property
    def convention(self) -> str:
        """The counting convention, in words."""
        return (self.body.__doc__ or "").strip()

    @property
    def in_place(self) -> bool:
        """Whether the op writes into its first argument and returns it: ATen's trailing underscore."""
        name = self.target.split(".")[1] if "." in self.target else self.target
        return name.endswith("_") and not name.startswith("__")


TABLE: dict[str, OpRule] = {}


def op(
    *targets: str,
    category: str,
    axes: str,
    moves: str = "compute",
    bytes_read: Callable[..., Dim] | None = None,
    bytes_written: Callable[..., Dim] | None = None,
) -> Callable[[RuleBody], RuleBody]:
    """Register the decorated body as the rule of every overload in `targets` ("aten.linear.default")."""
    if category not in CATEGORIES or moves not in MOVES:
        raise ValueError(f"bad rule for {targets}: category {category!r}, moves {moves!r}")

    def register(body: RuleBody) -> RuleBody:
        for target in targets:
            if target in TABLE:
                raise ValueError(f"op {target} has two rules")
            TABLE[target] = OpRule(target, category, body, axes, moves, bytes_read, bytes_written)
        return body

    return register


def rule_for(target: str) -> OpRule | None:
    """The rule of the overload `target`, or None: an op graphlab does not know is reported, never counted 0."""
    return TABLE.get(target)


def tensors(values: Iterable[Any]) -> list[TensorSpec]:
    """The TensorSpecs among `values`, nested tuples included."""
    found: list[TensorSpec] = []
    for value in values:
        if isinstance(value, TensorSpec):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found.extend(tensors(value))
    return found


def resolve(arg: Any, specs: Callable[[str], Any]) -> Any:
    """`arg` with every Ref replaced by `specs(name)` (a TensorSpec, or a tuple for multi-output nodes)."""
    if isinstance(arg, Ref):
        return specs(arg.name)
    if isinstance(arg, tuple):
        return tuple(resolve(item, specs) for item in arg)
    return arg
