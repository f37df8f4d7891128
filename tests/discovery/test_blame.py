"""What the code of others raises becomes one error that names it; an interrupt of the user's stays an interrupt."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from graphlab.discovery.blame import blamed, contained
from graphlab.discovery.owner import PluginError, Stopped
from graphlab.errors import BindingError, GraphlabError

WHO = "pass mine of my-plugin 1.0"


@pytest.mark.parametrize(
    ("raised", "said", "hint"),
    [
        (ValueError("no\n  driver"), f"{WHO} failed: ValueError: no driver", "do this"),
        (KeyError(), f"{WHO} failed: KeyError", "do this"),
        (SystemExit(3), f"{WHO} failed: it called sys.exit(3)", "do this"),
        (KeyboardInterrupt(), f"{WHO} failed: it raised KeyboardInterrupt", "do this"),
        (BindingError("too large", hint="less"), f"{WHO}: too large", "less"),
    ],
    ids=["error", "bare", "exit", "interrupt", "own"],
)
def test_what_is_raised_names_who_raised_it(raised: BaseException, said: str, hint: str) -> None:
    with pytest.raises(PluginError) as failed, blamed(WHO, hint="do this"):
        raise raised
    assert (failed.value.message, failed.value.hint) == (said, hint)


def test_an_error_that_names_it_already_stays() -> None:
    error = GraphlabError(f"{WHO} failed")
    with pytest.raises(GraphlabError) as failed, blamed(WHO), blamed(WHO):
        raise error
    assert failed.value is error


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_is_the_users(name: str) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    number = getattr(signal, name)
    before = signal.signal(number, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), blamed(WHO):
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is interrupt
    finally:
        signal.signal(number, before)


def test_a_handler_set_inside_stays_set() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        with contained():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_another_thread_nothing_is_the_users() -> None:
    found: list[BaseException] = []

    def run() -> None:
        try:
            with contained():
                raise KeyboardInterrupt
        except Stopped as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [str(error) for error in found] == ["it raised KeyboardInterrupt"]
