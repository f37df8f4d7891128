"""Warm-up, order and end of rounds, with a clock that only moves when something runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from graphlab.timing.rounds import (
    MOST_CALLS,
    MOST_WARMUP_SECONDS,
    MOST_WARMUPS,
    SAMPLE_SECONDS,
    calls_for,
    orders,
    run_rounds,
    settled,
    warm_up,
)


class FakeClock:
    """Seconds that pass only in samples."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Fake:
    """Calls that take the seconds listed, the last of them for ever."""

    def __init__(self, clock: FakeClock, *seconds: float, log: list[str] | None = None, name: str = "") -> None:
        self.clock, self.seconds, self.log, self.name = clock, list(seconds), log, name
        self.calls: list[int] = []

    def sample(self, calls: int) -> float:
        each = self.seconds[0] if len(self.seconds) == 1 else self.seconds.pop(0)
        self.calls.append(calls)
        self.clock.now += calls * each
        if self.log is not None:
            self.log.append(self.name)
        return each


def test_warm_up_ends_with_three_samples_that_agree() -> None:
    found = warm_up(Fake(FakeClock(), 9.0, 5.0, 3.0, 2.0, 2.05, 1.98, 7.0))
    assert (found.stable, found.calls, found.seconds) == (True, 6, 2.0)


def test_warm_up_gives_up_on_samples_that_never_agree() -> None:
    clock = FakeClock()
    found = warm_up(Fake(clock, *[SAMPLE_SECONDS * 1.1**n for n in range(40)]), clock=clock)
    assert not found.stable
    assert found.calls == 1 + MOST_WARMUPS


def test_warm_up_of_long_calls_ends_with_its_seconds() -> None:
    clock = FakeClock()
    found = warm_up(Fake(clock, *[6.0 * 1.1**n for n in range(40)]), clock=clock)
    assert not found.stable
    assert clock.now - 6.0 * 1.1 ** (found.calls - 1) < MOST_WARMUP_SECONDS <= clock.now


def test_warm_up_starts_nothing_after_its_time() -> None:
    clock = FakeClock()
    found = warm_up(Fake(clock, 4.0), until=6.0, clock=clock)
    assert (found.stable, found.calls, clock.now) == (False, 2, 8.0)


def test_short_calls_are_made_until_they_fill_a_sample() -> None:
    fake = Fake(FakeClock(), SAMPLE_SECONDS / 8)
    assert warm_up(fake).calls_per_sample == 8
    assert fake.calls == [1, 8, 8, 8]


def test_a_first_call_that_was_slow_does_not_shorten_the_samples() -> None:
    fake = Fake(FakeClock(), 10 * SAMPLE_SECONDS, SAMPLE_SECONDS / 4)
    assert warm_up(fake).calls_per_sample == 4


def test_a_sample_that_stands_for_calls_it_does_not_make_is_as_long_as_any() -> None:
    """50 calls of a quarter of a sample each are said, one is made."""
    fake = Fake(FakeClock(), 50 * SAMPLE_SECONDS / 4)
    assert warm_up(fake, scale=50).calls_per_sample == 4


@pytest.mark.parametrize(
    ("seconds", "calls"),
    [(SAMPLE_SECONDS, 1), (1.0, 1), (SAMPLE_SECONDS / 3, 3), (1e-12, MOST_CALLS), (0.0, MOST_CALLS)],
)
def test_calls_of_a_sample(seconds: float, calls: int) -> None:
    assert calls_for(seconds) == calls


@pytest.mark.parametrize(
    ("samples", "expected"),
    [([1.0, 1.0], False), ([1.0, 1.04, 0.96], True), ([1.0, 1.06, 1.0], False), ([9.0, 2.0, 2.0, 2.0], True)],
)
def test_settled(samples: list[float], expected: bool) -> None:
    assert settled(samples) is expected


def test_every_round_has_everybody_once_in_an_order_of_its_own() -> None:
    found = orders(4, 50, seed=1)
    assert all(sorted(order) == [0, 1, 2, 3] for order in found)
    assert len({tuple(order) for order in found}) > 10
    assert found == orders(4, 50, seed=1)
    assert found != orders(4, 50, seed=2)


def test_the_first_place_is_shared_out() -> None:
    firsts = [order[0] for order in orders(4, 400, seed=0)]
    assert all(70 <= firsts.count(index) <= 130 for index in range(4))


def rounds_of(clock: FakeClock, *fakes: Fake, rounds: int, expected: float, until: float | None) -> list[list[float]]:
    found: Iterator[list[float]] = run_rounds(
        fakes, [1] * len(fakes), rounds, seed=0, expected=expected, until=until, clock=clock
    )
    return list(found)


def test_rounds_are_interleaved_and_said_in_the_order_of_the_candidates() -> None:
    clock, log = FakeClock(), list[str]()
    found = rounds_of(
        clock,
        Fake(clock, 1.0, log=log, name="a"),
        Fake(clock, 2.0, log=log, name="b"),
        rounds=20,
        expected=3,
        until=None,
    )
    assert found == [[1.0, 2.0]] * 20
    assert all(sorted(log[at : at + 2]) == ["a", "b"] for at in range(0, 40, 2))
    assert {"".join(log[at : at + 2]) for at in range(0, 40, 2)} == {"ab", "ba"}


def test_no_round_starts_that_would_be_over_too_late() -> None:
    clock = FakeClock()
    assert len(rounds_of(clock, Fake(clock, 1.0), Fake(clock, 2.0), rounds=20, expected=3.0, until=10.0)) == 3
    assert clock.now == 9.0


def test_the_longest_round_so_far_decides() -> None:
    clock = FakeClock()
    found = rounds_of(clock, Fake(clock, 1.0, 4.0, 1.0), rounds=20, expected=1.0, until=8.0)
    assert (found, clock.now) == ([[1.0], [4.0]], 5.0)


def test_a_budget_too_small_for_one_round_has_none() -> None:
    clock = FakeClock()
    assert rounds_of(clock, Fake(clock, 1.0), rounds=5, expected=3.0, until=2.0) == []
    assert clock.now == 0.0
