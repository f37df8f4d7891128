"""What ends a command from outside ends it in order: its processes are stopped and its folders deleted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = ("SIGTERM", "SIGHUP")
"""Signals that end a process in silence; those that somebody ignores or handles (nohup) are left alone."""


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Inside, these signals are the interrupt of a keyboard: blocks are left one by one instead of not at all."""
    if threading.current_thread() is not threading.main_thread():  # only there may signals be handled
        yield
        return
    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    own = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in own:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in own:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
