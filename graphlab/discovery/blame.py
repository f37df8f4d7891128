"""Code of others is run: what it raises becomes one error that names it; an interrupt of the user's stays one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from graphlab.discovery.owner import PluginError, Stopped, reason_of
from graphlab.errors import GraphlabError

_INTERRUPTING = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def blamed(who: str, what: str = "failed", *, hint: str | None = None) -> Iterator[None]:
    """What is raised inside becomes a PluginError that begins with `who`, as in "pass mine of my-plugin 1.0".

    An error of graphlab's own kind keeps its words and its hint; of any other `what` happened, and `hint` is what to
    do. An error that names `who` already stays as it is.
    """
    try:
        with contained():
            yield
    except GraphlabError as error:
        if error.message.startswith(who):
            raise
        raise PluginError(f"{who}: {error.message}", hint=error.hint) from error
    except Exception as error:  # the code of others can raise anything
        raise PluginError(f"{who} {what}: {reason_of(error)}", hint=hint) from error


@contextmanager
def contained() -> Iterator[None]:
    """What would end the process and is raised inside, sys.exit too, is a Stopped outside.

    An interrupt that a signal brought, of the keyboard or of `kill`, is the user's and passes.
    """
    with _signals_noted() as came:
        try:
            yield
        except Exception:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and came:
                raise
            raise Stopped(reason_of(error)) from error


@contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """The signals that come meanwhile, each handled as it was before; only the main thread is given any."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    numbers = [getattr(signal, name) for name in _INTERRUPTING if hasattr(signal, name)]
    before = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    noting = {number: _noting(came, handler) for number, handler in before.items()}
    for number, handler in noting.items():
        signal.signal(number, handler)
    try:
        yield came
    finally:
        for number, handler in noting.items():
            if signal.getsignal(number) is handler:  # the code inside may have set its own
                signal.signal(number, before[number])


def _noting(came: list[int], handler: Callable[[int, FrameType | None], Any]) -> Callable[[int, FrameType | None], Any]:
    def note(number: int, frame: FrameType | None) -> Any:
        came.append(number)
        return handler(number, frame)

    return note
