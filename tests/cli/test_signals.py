"""Signals that end a process are an interrupt inside, so that folders are deleted; those that are ignored stay so."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from graphlab.cli.signals import ended_in_order


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Handlers are what they were before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number in before:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_blocks_one_by_one(number: signal.Signals) -> None:
    left: list[int] = []
    with pytest.raises(KeyboardInterrupt), ended_in_order(), ExitStack() as stack:  # noqa: PT012  # two are needed
        stack.callback(left.append, number)
        signal.raise_signal(number)
    assert left == [number]
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with ended_in_order():
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
