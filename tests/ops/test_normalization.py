"""Norms: closed forms, and the same count as the formula spelled out in elementary ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.ops.oracle import meta, spelled, work

X, C, H = meta(2, 6, 4, 5), meta(6), meta(5)
N, ROWS, GROUPS = 240, 2 * 6 * 4, 2 * 3

CLOSED = [
    # target, args, pointwise
    ("layer_norm.default", (X, [5]), 5 * N + 4 * ROWS),
    ("layer_norm.default", (X, [5], H, H), 7 * N + 4 * ROWS),
    ("layer_norm.default", (X, [4, 5], meta(4, 5)), 6 * N + 4 * 12),
    ("native_layer_norm.default", (X, [5], H, None, 1e-5), 6 * N + 4 * ROWS),
    ("group_norm.default", (X, 3), 5 * N + 4 * GROUPS),
    ("group_norm.default", (X, 3, C, C), 7 * N + 4 * GROUPS),
    ("native_group_norm.default", (X, C, C, 2, 6, 20, 3, 1e-5), 7 * N + 4 * GROUPS),
    ("batch_norm.default", (X, C, C, C, C, False, 0.1, 1e-5, True), 4 * N + 2 * 6),
    ("_native_batch_norm_legit_no_training.default", (X, None, None, C, C, 0.1, 1e-5), 2 * N + 2 * 6),
    ("rms_norm.default", (X, [5]), 3 * N + 3 * ROWS),
    ("rms_norm.default", (X, [5], H), 4 * N + 3 * ROWS),
    ("_fused_rms_norm.default", (X, [5], H, 1e-5), 4 * N + 3 * ROWS),
    ("softmax.int", (X, -1), 5 * N),
    ("softmax.int", (X, 1, torch.float32), 5 * N),
    ("_softmax.default", (X, -1, False), 5 * N),
    ("log_softmax.int", (X, -1), 5 * N + ROWS),
    ("_log_softmax.default", (X, 1, False), 5 * N + 40),
    ("linalg_vector_norm.default", (X, 2, [-1]), 2 * N + ROWS),
    ("linalg_vector_norm.default", (X, float("inf"), [-1]), 2 * N),
    ("linalg_vector_norm.default", (X, 1, [-1], True), 2 * N),
    ("linalg_vector_norm.default", (X, 3), 2 * N + 1),
    ("norm.ScalarOpt_dim", (X, 2, [1], True), 2 * N + 40),
    ("cosine_similarity.default", (X, X, 1), 6 * N + 6 * 40),
]


@pytest.mark.parametrize(("target", "args", "pointwise"), CLOSED)
def test_closed_forms(target: str, args: tuple[Any, ...], pointwise: int) -> None:
    assert work(f"aten.{target}", *args) == (0, pointwise)


def _layer_norm() -> None:
    centred = X - X.mean(-1, keepdim=True)
    _ = centred * torch.rsqrt(centred.square().mean(-1, keepdim=True) + 1e-5) * H + H


def _group_norm() -> None:
    x = X.view(2, 3, 40)
    centred = x - x.mean(-1, keepdim=True)
    _ = (centred * torch.rsqrt(centred.square().mean(-1, keepdim=True) + 1e-5)).view(X.shape) * C[:, None, None]


def _batch_norm() -> None:
    _ = (X - C[:, None, None]) * torch.rsqrt(C + 1e-5)[:, None, None]


def _rms_norm() -> None:
    _ = X * torch.rsqrt(X.pow(2).mean(-1, keepdim=True) + 1e-6) * H


def _softmax() -> None:
    exponent = torch.exp(X - X.amax(-1, keepdim=True))
    _ = exponent / exponent.sum(-1, keepdim=True)


def _log_softmax() -> None:
    shifted = X - X.amax(-1, keepdim=True)
    _ = shifted - torch.exp(shifted).sum(-1, keepdim=True).log()


def _vector_norm() -> None:
    _ = X.square().sum(-1).sqrt()


@pytest.mark.parametrize(
    ("formula", "target", "args"),
    [
        (_layer_norm, "layer_norm.default", (X, [5], H, H)),
        (_group_norm, "group_norm.default", (X, 3, C)),
        (_batch_norm, "batch_norm.default", (X, None, None, C, C, False, 0.1, 1e-5, True)),
        (_rms_norm, "rms_norm.default", (X, [5], H)),
        (_softmax, "softmax.int", (X, -1)),
        (_log_softmax, "log_softmax.int", (X, -1)),
        (_vector_norm, "linalg_vector_norm.default", (X, 2, [-1])),
    ],
)
def test_fused_is_spelled_out(formula: Callable[[], None], target: str, args: tuple[Any, ...]) -> None:
    assert work(f"aten.{target}", *args) == spelled(formula)


@pytest.mark.parametrize("training", [True, False])
def test_instance_and_batch_norm_by_their_statistics(training: bool) -> None:
    instance = work("aten.instance_norm.default", X, C, C, None, None, True, 0.1, 1e-5, True)
    assert instance == work("aten.group_norm.default", X, 6, C, C)
    batch = work("aten.native_batch_norm.default", X, C, C, C, C, training, 0.1, 1e-5)
    assert batch.pointwise == (7 * N + 4 * 6 if training else 4 * N + 2 * 6)
