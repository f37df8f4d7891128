"""What a check raises: an AssertionError that says which of the tests failed, what was expected and what was found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from graphlab.discovery.owner import reason_of
from graphlab.errors import GraphlabError


class CheckFailed(GraphlabError, AssertionError):
    """A pass fails one of its tests. `test` is which: "fires", "near-miss NAME", "same numbers", "second run", ..."""

    def __init__(self, test: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"{test}: {message}", hint=hint)
        self.test = test


@contextmanager
def running(test: str, what: str) -> Iterator[None]:
    """Whatever is raised inside becomes a CheckFailed of `test` that says `what` failed."""
    try:
        yield
    except CheckFailed:
        raise
    except Exception as error:  # an author's pass can raise anything
        raise CheckFailed(test, f"{what}: {reason_of(error)}") from error
