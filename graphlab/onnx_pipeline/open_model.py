"""Models of an exported folder as callables of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from graphlab.errors import GraphlabError
from graphlab.lowering.distributions import conflict, missing
from graphlab.lowering.ort_call import PROVIDERS, SessionCall, SessionSettings, open_session
from graphlab.onnx_pipeline.errors import PipelineError


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A session: `inputs` are {name: (size or axis, ...)}, `outputs` the names of the results."""

    path: Path
    call: SessionCall
    inputs: Mapping[str, tuple[int | str, ...]]
    outputs: tuple[str, ...]

    def __call__(self, given: Mapping[str, torch.Tensor]) -> Sequence[torch.Tensor]:
        """The results in order, on the CPU; PipelineError with ONNX Runtime's reason where the model fails."""
        try:
            return self.call(given)
        except GraphlabError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            reason = " ".join(str(error).split())[:400]
            raise PipelineError(
                f"{self.path} failed: {reason}", hint="the sizes may be others than the model was exported for"
            ) from error


def open_model(path: Path, settings: SessionSettings) -> OpenModel:
    """The model at `path` in a session; PipelineError for a file that is missing, damaged, or of other operators."""
    if not path.is_file():
        raise PipelineError(f"there is no model {path}", hint="export the folder again")
    try:
        session = open_session(path, settings)
    except GraphlabError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        reason = " ".join(str(error).split())[:400]
        raise PipelineError(f"{path} cannot be loaded by ONNX Runtime: {reason}") from error
    call = SessionCall(session)
    shapes = {item.name: tuple(_size(size) for size in item.shape) for item in session.get_inputs()}
    return OpenModel(path, call, shapes, tuple(item.name for item in session.get_outputs()))


def check_runtime(provider: str) -> None:
    """PipelineError where ONNX Runtime cannot be used as asked: not installed, installed twice, without `provider`."""
    if provider not in PROVIDERS:
        raise PipelineError(f"there is no provider {provider!r}", hint=f"providers: {', '.join(PROVIDERS)}")
    reason = missing("onnxruntime", "onnxruntime") or conflict()
    if reason is not None:
        raise PipelineError(reason)
    import onnxruntime

    there = onnxruntime.get_available_providers()
    if PROVIDERS[provider] not in there:
        raise PipelineError(
            f"this onnxruntime has no {PROVIDERS[provider]}", hint=f"it has {', '.join(there)}; leave --provider out"
        )


def _size(size: object) -> int | str:
    return size if isinstance(size, int) else str(size)
