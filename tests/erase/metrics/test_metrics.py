"""Metrics against closed forms, published rows and cases with a known answer."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphlab.erase.errors import EraseError
from graphlab.erase.metrics.accuracy import (
    ABSTAINED,
    Share,
    difference,
    harmonic,
    recognised,
    replacements,
    valid,
    worst,
)
from graphlab.erase.metrics.distance import distance, kernel_distance
from graphlab.erase.metrics.drift import drift
from graphlab.erase.metrics.significance import holm, paired
from graphlab.erase.metrics.structure import structure_kept
from tests.erase.mixtures import EMPTY, exact

LABELS = torch.tensor([3, 3, 1, ABSTAINED])


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Acc_e, Acc_p, H_c, as published (100 celebrities, and the ablation of the loss).
@pytest.mark.parametrize(
    ("acc_e", "acc_p", "h_c"),
    [
        (0.0430, 0.8807, 0.9173), (0.0430, 0.8456, 0.8979), (0.0587, 0.8554, 0.8963), (0.0012, 0.3790, 0.5495),
        (0.2784, 0.2793, 0.4027), (0.0234, 0.2371, 0.3816), (0.0192, 0.7785, 0.8680), (0.0042, 0.7848, 0.8778),
        (0.0309, 0.8094, 0.8821), (0.0075, 0.8013, 0.8867), (0.0910, 0.8545, 0.8809),
    ],
)  # fmt: skip
def test_harmonic_of_published_rows(acc_e: float, acc_p: float, h_c: float) -> None:
    assert harmonic(acc_e, acc_p) == pytest.approx(h_c, abs=1.5e-4)


def test_summaries_at_their_ends() -> None:
    assert harmonic(1.0, 0.9) == harmonic(0.0, 0.0) == 0
    assert harmonic(0.0, 1.0) == 1
    assert difference(26.78, 20.6) == pytest.approx(6.18)
    with pytest.raises(EraseError, match="no share"):
        harmonic(1.2, 0.5)


def test_shares_of_labels() -> None:
    assert recognised(LABELS, 3) == Share(2, 4)
    assert recognised(LABELS, torch.tensor([3, 1, 1, 2])) == Share(2, 4)
    assert valid(LABELS) == Share(3, 4)
    assert replacements(LABELS) == {ABSTAINED: 0.25, 1: 0.25, 3: 0.5}
    assert worst({"b": Share(1, 4), "a": Share(1, 4), "c": Share(2, 4)}) == ("a", Share(1, 4))
    for call in (lambda: valid(LABELS[:0]), lambda: worst({})):
        with pytest.raises(EraseError):
            call()


@given(hits=st.integers(0, 300), more=st.integers(0, 300))
def test_intervals_hold_the_share(hits: int, more: int) -> None:
    if hits + more:
        share = Share(hits, hits + more)
        low, high = share.interval
        assert 0 <= low <= share.value + 1e-12
        assert share.value <= high + 1e-12
        assert high <= 1
    assert Share(0, 256).interval[1] == pytest.approx(1.959964**2 / (256 + 1.959964**2), rel=1e-6)


def test_kernel_distance_is_its_definition() -> None:
    x, y = draw(5, 3), draw(4, 3, seed=1)

    def k(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b / 3 + 1) ** 3)

    xx = [k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
    yy = [k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j]
    xy = [k(a, b) for a in x for b in y]
    wanted = sum(xx) / len(xx) + sum(yy) / len(yy) - 2 * sum(xy) / len(xy)
    assert kernel_distance(x, y) == pytest.approx(wanted, rel=1e-12)


def test_kernel_distance_of_like_and_unlike_samples() -> None:
    real, same, other = draw(400, 4), draw(400, 4, seed=1), draw(400, 4, seed=2) + 0.5
    like, unlike = distance(same, real, draws=200), distance(other, real, draws=200)
    assert like.low < 0.05
    assert unlike.low > like.high
    assert unlike.low <= unlike.value <= unlike.high
    for bad in ((draw(1, 4), real), (draw(5, 3), real)):
        with pytest.raises(EraseError):
            kernel_distance(*bad)


def test_structure_is_what_a_low_pass_leaves() -> None:
    images = draw(6, 3, 8, 8)
    assert torch.allclose(structure_kept(images, 2 * images + 1), torch.ones(6, dtype=torch.float64))
    assert torch.allclose(structure_kept(images, -images), -torch.ones(6, dtype=torch.float64))
    fine = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64).repeat(4, 4)
    assert torch.allclose(structure_kept(images, images + 10 * fine), torch.ones(6, dtype=torch.float64))
    assert structure_kept(draw(500, 1, 8, 8), draw(500, 1, 8, 8, seed=1)).mean().abs() < 0.05
    assert structure_kept(torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)).isnan().all()
    for shape in ((6, 3, 8, 4), (6, 3, 7, 8)):
        with pytest.raises(EraseError):
            structure_kept(images if shape[2] == 8 else draw(*shape), draw(*shape))


def test_drift_is_where_a_model_moved() -> None:
    base = exact()

    class Moved:
        def __call__(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            noisy = base.schedule.told(float(time[0])).log_snr < 0
            return base.network(x, time, text) + (0.5 if noisy else 0.0)

    model = dataclasses.replace(base, network=Moved())
    early, late = drift(model, base, draw(10, 1, 1, 2), EMPTY, (-4.0, 0.0, 4.0))
    assert early.drift == pytest.approx(0.25, rel=1e-9)
    assert late.drift == 0
    assert (early.low, early.high, late.high, late.count) == (-4.0, 0.0, 4.0, 40)
    assert all(part.drift == 0 for part in drift(base, base, draw(2, 1, 1, 2), EMPTY, (-1.0, 1.0)))
    with pytest.raises(EraseError, match="rise"):
        drift(base, base, draw(2, 1, 1, 2), EMPTY, (1.0, -1.0))


def test_paired_intervals() -> None:
    found = paired([0.9, 0.8, 0.85, 0.95], [0.7, 0.75, 0.8, 0.8])
    differences = [0.2, 0.05, 0.05, 0.15]
    mean = sum(differences) / 4
    deviation = math.sqrt(sum((value - mean) ** 2 for value in differences) / 3)
    reach = 3.182446 * deviation / 2
    assert (found.mean, found.low, found.high) == pytest.approx((mean, mean - reach, mean + reach), abs=1e-6)
    assert found.excludes_zero is (found.p < 0.05)
    assert paired([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).p == 1
    assert not paired([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).excludes_zero
    with pytest.raises(EraseError, match="three pairs"):
        paired([1.0, 2.0], [1.0, 2.0])


def test_holm_claims_in_order() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == {"a": True, "b": False, "c": False}
    assert holm({"a": 0.01, "b": 0.02, "c": 0.03}) == {"a": True, "b": True, "c": True}
    assert holm({"a": 0.02, "b": 0.001}) == {"a": True, "b": True}
