"""What does not fit into memory, said as an error of the command and not as one of torch's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from graphlab.erase.errors import EraseError

_TOLD = re.compile(r"out of memory|not enough memory|can't allocate memory|storage size calculation overflowed", re.I)


@contextmanager
def memory_told() -> Iterator[None]:
    """Inside, what cannot be allocated, on whatever device, is an EraseError; works as a decorator too."""
    try:
        yield
    except MemoryError as error:
        raise _short("") from error
    except RuntimeError as error:  # torch has a class of its own for CUDA alone
        if not _TOLD.search(str(error)):
            raise
        raise _short(str(error)) from error


def _short(said: str) -> EraseError:
    asked = re.search(r"tried to allocate ([\d.]+ ?\w+)", said, re.I)
    what = f": {asked[1]} more were asked for" if asked else ""
    return EraseError(
        f"there is not enough memory{what}",
        hint="a smaller batch, shape or rank takes less, and so does gradient checkpointing",
    )
