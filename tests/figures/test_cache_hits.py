"""The model of cache hits: what it counts, and where it does not apply."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.characterization.data import Characterization
from graphlab.figures.cache_hits import _accesses, cache_hits
from graphlab.hardware import load_device
from graphlab.kernels.data import Contraction, Kernel, Strided
from graphlab.prediction.locality import operand_loads
from graphlab.prediction.model import model_for

COPY = Kernel("clone", "movement", "movement", "other", "float16", 0, 0, 2_000_000, 2_000_000, axis="temporal")


def test_rates_are_shares(suite: Characterization) -> None:
    rows = cache_hits(suite).rows
    assert {(row["axis"], row["kernels"]) for row in rows} >= {
        (axis, kind) for axis in ("spatial", "temporal") for kind in ("products", "softmax", "layout changes")
    }
    for row in rows:
        assert 0 <= float(row["share_hit"] or 0) <= float(row["share_served"] or 0) <= 1 or row["level"] == "L2"
    served = {(row["axis"], row["kernels"], row["level"]): float(row["share_served"] or 0) for row in rows}
    for axis, kind, _ in served:
        assert served[axis, kind, "L2"] >= served[axis, kind, "L1"]


def test_kernels_it_cannot_tell_apart_are_named(suite: Characterization) -> None:
    (note,) = cache_hits(suite).notes
    assert "softmax" in note.split(":")[0]
    assert "products" not in note


def test_products_over_frames_find_no_operand_again(suite: Characterization) -> None:
    """Sixteen frames are one tile: what it loads nothing has loaded before. Spatial products load their keys again."""
    hits = {
        row["axis"]: row["share_hit"]
        for row in cache_hits(suite).rows
        if row["kernels"] == "products" and row["level"] == "L2"
    }
    assert hits["temporal"] == pytest.approx(0)
    assert float(hits["spatial"] or 0) > 0.05


def test_operand_loads_by_hand() -> None:
    assert operand_loads(Contraction(3, 16, 16, 64)) == (3 * 2 * 16 * 64, 3 * 2 * 16 * 64)
    loads, distinct = operand_loads(Contraction(1, 1024, 1024, 64))
    assert (loads, distinct) == (8 * 2 * 1024 * 64, 2 * 1024 * 64)


def test_device_without_execution_has_a_note(suite: Characterization) -> None:
    hardware = load_device("epyc-9654")
    assert hardware.execution is None
    made = cache_hits(Characterization(hardware, model_for(hardware), suite.models))
    assert made.rows == ()
    assert "epyc-9654 has no [execution] table: the sizes of its caches are not known" in made.notes


@pytest.mark.parametrize(
    ("reuse", "first", "second"),
    [(0, 0.0, 0.0), (1000, 15 / 16, 15 / 16), (100_000, 0.0, 15 / 16), (10_000_000, 0.0, 0.0)],
    ids=["never again", "in the first", "in the second", "in neither"],
)
def test_reuse_against_capacity(suite: Characterization, reuse: int, first: float, second: float) -> None:
    execution = suite.hardware.execution
    assert execution is not None
    kernel = replace(COPY, strided=Strided(2_000_000, 2, reuse, 4096))
    accesses, near, far = _accesses(kernel, execution)
    assert accesses == 1_000_000
    assert (near / accesses, far / accesses) == pytest.approx((first, second))


def test_front_to_back_misses_once_a_sector(suite: Characterization) -> None:
    execution = suite.hardware.execution
    assert execution is not None
    accesses, near, _ = _accesses(COPY, execution)
    assert near / accesses == pytest.approx(1 - 2 / execution.sector_bytes)
