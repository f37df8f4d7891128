"""Reductions: n elements to one count n."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.ops.oracle import meta, spelled, work

X = meta(2, 3, 4)
N, OUT = 24, 6

ROWS = [
    # target, args, kwargs, pointwise
    ("sum.default", (X,), {}, N),
    ("sum.dim_IntList", (X, [-1]), {}, N),
    ("sum.dim_IntList", (X, [-1], True), {"dtype": torch.float64}, N),
    ("prod.dim_int", (X, 1), {}, N),
    ("mean.default", (X,), {}, N + 1),
    ("mean.dim", (X, [-1]), {}, N + OUT),
    ("mean.dim", (X, [0, 1, 2]), {}, N + 1),
    ("amax.default", (X, [-1]), {}, N),
    ("max.default", (X,), {}, N),
    ("max.dim", (X, -1), {}, N),
    ("argmax.default", (X, -1), {}, N),
    ("aminmax.default", (X,), {"dim": 0}, 2 * N),
    ("any.dim", (X, -1), {}, N),
    ("all.default", (X,), {}, N),
    ("var.default", (X,), {}, 4 * N + 2),
    ("var.correction", (X, [-1]), {"correction": 0}, 4 * N + 2 * OUT),
    ("std.dim", (X, [-1]), {}, 4 * N + 3 * OUT),
    ("var_mean.correction", (X, [-1]), {}, 4 * N + 2 * OUT),
    ("logsumexp.default", (X, [-1]), {}, 4 * N + 2 * OUT),
    ("cumsum.default", (X, -1), {}, N),
    ("count_nonzero.default", (X,), {}, 2 * N),
    ("topk.default", (X, 2), {}, N),
    ("sort.default", (X,), {}, N),
    ("argsort.stable", (X,), {"stable": True}, N),
]


@pytest.mark.parametrize(("target", "args", "kwargs", "pointwise"), ROWS)
def test_closed_forms(target: str, args: tuple[Any, ...], kwargs: dict[str, Any], pointwise: int) -> None:
    if target == "count_nonzero.default":  # its meta kernel is missing
        from graphlab.ops import TABLE
        from tests.ops.oracle import spec

        assert TABLE["aten.count_nonzero.default"].body(spec(2, 3, 4), out=spec(dtype="int64")) == (0, pointwise)
        return
    assert work(f"aten.{target}", *args, **kwargs) == (0, pointwise)


def test_variance_and_logsumexp_are_spelled_out() -> None:
    def variance() -> None:
        _ = (X - X.mean(-1, keepdim=True)).square().mean(-1)

    def logsumexp() -> None:
        top = X.amax(-1, keepdim=True)
        _ = torch.exp(X - top).sum(-1).log() + top.squeeze(-1)

    assert spelled(variance) == work("aten.var.correction", X, [-1], correction=0)
    assert spelled(logsumexp) == work("aten.logsumexp.default", X, [-1])
