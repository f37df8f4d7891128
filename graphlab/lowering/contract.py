"""What a backend has to keep; errors of one that does not name it, and who it comes from where that is not graphlab."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from graphlab.discovery import chosen
from graphlab.discovery.blame import blamed
from graphlab.discovery.owner import PluginError
from graphlab.errors import GraphlabError
from graphlab.graph import Graph
from graphlab.lowering.errors import BackendError

if TYPE_CHECKING:
    from graphlab.lowering.base import Backend


def called(backend: Backend) -> str:
    """What errors call it: "backend mine of my-plugin 1.0"."""
    from graphlab.lowering.registry import registry  # which holds the classes of `base`, which imports this

    return chosen.called(backend, registry())


def is_own(backend: Backend) -> bool:
    """Whether it is one of graphlab's, or was defined on the spot."""
    from graphlab.lowering.registry import registry  # as above

    return chosen.is_own(type(backend), registry())


@contextmanager
def named(backend: Backend, what: str) -> Iterator[None]:
    """What is raised inside becomes a BackendError that says which backend `what` happened to.

    Errors of graphlab's own kind that graphlab's own backends raise stay as they are.
    """
    try:
        with blamed(called(backend), what):
            yield
    except PluginError as error:
        cause = error.__cause__
        if isinstance(cause, MemoryError):
            raise BackendError(f"{called(backend)} {what}: there is not enough memory") from error
        if isinstance(cause, GraphlabError) and is_own(backend):
            raise cause from cause.__cause__
        raise BackendError(error.message, hint=error.hint) from error


def why_unavailable(backend: Backend) -> str | None:
    """What `backend.unavailable()` says; BackendError, naming it, for one that raises or says nothing of use."""
    with named(backend, "cannot say whether it can run here"):
        said: object = backend.unavailable()
    if said is not None and not isinstance(said, str):
        found = type(said).__name__
        raise BackendError(f"{called(backend)} says a {found} of why it cannot run here, expected a text or None")
    return said


def check_backend(backend: Backend) -> None:
    """BackendError for one whose `place`, `computes` or `leaves_out` is not what graphlab reads there."""
    with named(backend, "cannot be asked where it runs"):
        place: object = backend.place
        computes: object = backend.computes
        left: object = backend.leaves_out
    if not isinstance(place, torch.device):
        raise BackendError(f"{called(backend)} has a {type(place).__name__} for its place, expected a torch.device")
    if computes is not None and not isinstance(computes, str):
        found = type(computes).__name__
        raise BackendError(f"{called(backend)} computes in a {found}, expected the name of a dtype or None")
    if not isinstance(left, tuple) or not all(isinstance(item, str) for item in left):
        raise BackendError(f"{called(backend)} leaves out a {type(left).__name__}, expected a tuple of names of passes")


def check_lowered(backend: Backend, name: str, call: object, notes: object) -> None:
    """BackendError for what `lower` made of `name` where it cannot be called, or its notes are no texts."""
    if not callable(call):
        raise BackendError(f"{called(backend)} made a {type(call).__name__} to call of {name}, expected a function")
    if not isinstance(notes, tuple) or not all(isinstance(note, str) for note in notes):
        raise BackendError(f"the notes of {called(backend)} on {name} are no tuple of texts")


def results_of(backend: Backend, name: str, results: object, graph: Graph | None) -> list[torch.Tensor]:
    """The tensors among the `results` of a call of `name`, in order.

    BackendError where they are not those of `graph`: another count, shape (of sizes that are fixed) or dtype. Without
    a graph, of an ONNX file, any will do.
    """
    who = called(backend)
    if not isinstance(results, (tuple, list)):
        raise BackendError(f"{who} returned a {type(results).__name__} for {name}, expected a tuple of its results")
    found: list[Any] = [value for value in results if isinstance(value, torch.Tensor)]
    if graph is None:
        return found
    wanted = [(result, graph.by_name[result].out) for result in graph.results]
    if len(found) != len(wanted):
        raise BackendError(f"{who} returned {len(found)} tensors for {name}, expected {len(wanted)}")
    for (result, spec), value in zip(wanted, found, strict=True):
        dtype = str(value.dtype).removeprefix("torch.")
        fits = len(spec.shape) == value.dim() and all(
            not isinstance(size, int) or size == got for size, got in zip(spec.shape, value.shape, strict=True)
        )
        if dtype != spec.dtype or not fits:
            shown = f"{spec.dtype} ({', '.join(map(str, spec.shape))})"
            raise BackendError(
                f"{who} returned {dtype} ({', '.join(map(str, value.shape))}) for {result} of {name}, expected {shown}"
            )
    return found
