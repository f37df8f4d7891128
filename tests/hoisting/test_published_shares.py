"""How much of the full-size models leaves the step; captured on the meta device, which takes half a minute each."""

from __future__ import annotations

import pytest

from benchmarks.hoisting import rows

pytestmark = pytest.mark.slow

SHARES = {"flux-1-dev": 27.9, "stable-diffusion-3-medium": 34.4, "dit-xl-2-256": 40.5, "cogvideox-2b": 21.6}


@pytest.mark.parametrize("model", SHARES)
def test_share_of_parameters_that_leave(model: str) -> None:
    (row,) = rows(model)
    assert round(row.report.parameters_share * 100, 1) == SHARES[model]
    assert row.report.shared_weight_bytes == 0


def test_flux_loops_over_17_gigabytes_instead_of_24() -> None:
    (row,) = rows("flux-1-dev")
    assert round(row.report.resident_before_bytes / 1e9) == 24
    assert round(row.report.resident_after_bytes / 1e9) == 17
