"""einsum: closed forms, and on random equations torch's counter and the multiplications and sums ATen runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from tests.ops.oracle import counted_op, meta, work

ROWS = [
    # equation, shapes, flops, pointwise
    ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)], 2 * 2 * 3 * 4 * 6 * 5, 0),
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)], 2 * 2 * 3 * 4 * 5, 0),
    ("i,j->ij", [(3,), (4,)], 0, 12),
    ("ij,ij->ij", [(3, 4), (3, 4)], 0, 12),
    ("ij,ij->", [(3, 4), (3, 4)], 2 * 12, 0),
    ("ij,jk->ik", [(2, 1), (1, 3)], 0, 6),
    ("ij,kl->i", [(2, 3), (4, 5)], 0, 6 + 20 + 2),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)], 2 * 2 * 3 * 4 + 2 * 2 * 4 * 5, 0),
    ("ij->i", [(2, 3)], 0, 6),
    ("ij->ji", [(2, 3)], 0, 0),
    ("ii->i", [(3, 3)], 0, 0),
    ("ij,jk", [(2, 3), (3, 4)], 2 * 2 * 3 * 4, 0),
    ("...ij,...jk->...ik", [(7, 2, 3), (3, 4)], 2 * 7 * 2 * 3 * 4, 0),
    ("nhwpqc->nchpwq", [(2, 3, 4, 5, 6, 7)], 0, 0),
]


@pytest.mark.parametrize(("equation", "shapes", "flops", "pointwise"), ROWS)
def test_closed_forms(equation: str, shapes: list[tuple[int, ...]], flops: int, pointwise: int) -> None:
    assert work("aten.einsum.default", equation, [meta(*shape) for shape in shapes]) == (flops, pointwise)


@st.composite
def equations(draw: st.DrawFn) -> tuple[str, list[tuple[int, ...]], list[int] | None]:
    """(equation, shapes, path): up to four operands, repeated subscripts, ellipses, broadcast 1s, any order."""
    sizes = {letter: draw(st.integers(1, 4)) for letter in "abcde"}
    spread = draw(st.lists(st.integers(1, 3), max_size=2)) if draw(st.booleans()) else None
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 4))):
        letters = draw(st.lists(st.sampled_from("abcde"), max_size=3))
        shape = [1 if letters.count(x) == 1 and draw(st.integers(0, 9)) == 0 else sizes[x] for x in letters]
        term = "".join(letters)
        if spread is not None:
            at = draw(st.integers(0, len(letters)))
            taken = [draw(st.sampled_from((1, size))) for size in spread[draw(st.integers(0, len(spread))) :]]
            term, shape = f"{term[:at]}...{term[at:]}", [*shape[:at], *taken, *shape[at:]]
        terms.append(term)
        shapes.append(tuple(shape))
    equation = ",".join(terms)
    if draw(st.integers(0, 5)):
        kept = draw(st.permutations(sorted(set(equation) - {".", ","})))
        kept = "".join(kept[: draw(st.integers(0, len(kept)))])
        equation += "->" + ("..." if spread is not None and draw(st.integers(0, 5)) else "") + kept
    path = None
    if len(terms) > 2 and draw(st.booleans()):
        path = [i for left in range(len(terms), 1, -1) for i in draw(st.permutations(range(left)))[:2]]
    return equation, shapes, path


class Pointwise(TorchDispatchMode):
    """Counts the multiplications ATen runs, and the sums over more than one element."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket is torch.ops.aten.mul:
            self.count += out.numel()
        if func._overloadpacket is torch.ops.aten.sum and args[0].numel() != out.numel():
            self.count += args[0].numel()
        return out


@given(equations())
@settings(max_examples=250, deadline=None)
def test_random_equations_are_torchs_count(case: tuple[str, list[tuple[int, ...]], list[int] | None]) -> None:
    equation, shapes, path = case
    tensors = [meta(*shape) for shape in shapes]
    try:
        with Pointwise() as mode:
            torch.ops.aten.einsum.default(equation, tensors, path=path)
    except RuntimeError:
        assume(False)
    found = work("aten.einsum.default", equation, tensors, path=path)
    assert found.flops == counted_op("aten.einsum.default", equation, tensors, path=path)
    assert found.pointwise == mode.count
