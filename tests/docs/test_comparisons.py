"""docs/comparisons.md: what its scripts print where no other package is needed is what the page shows."""

from __future__ import annotations

import pytest

from benchmarks.counter_rivals import COUNTERS, count, own
from benchmarks.prune_export import rows
from tests.docs.spelled import text

PAGE = text("docs/comparisons.md")
UNET = "stable-diffusion-v1-5-tiny:unet"


def test_the_table_of_erased_weights() -> None:
    assert all(row in PAGE for row in rows())


@pytest.mark.parametrize(("device", "all_of_it"), [("meta", True), ("cpu", False)])
def test_torchs_counter_loses_attention_on_the_cpu_alone(device: str, all_of_it: bool) -> None:
    flops = own(UNET)
    found = count("FlopCounterMode", UNET, device, spelled=False)["flops"]
    assert (found == flops) is all_of_it
    assert found <= flops
    if device == "cpu":
        assert f"| {found / 1e9:.3f} | {100 * found / flops:.1f} % |" in PAGE


def test_every_counter_has_its_row() -> None:
    assert all(f"\n| {name} | " in PAGE for name in COUNTERS)


def test_a_counter_that_fails_says_so() -> None:
    """Whatever another tool raises is its answer, not an end of the table."""
    found = count("thop", UNET, "meta", spelled=False)
    assert found.keys() in ({"flops", "said"}, {"failed"})
