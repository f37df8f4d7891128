"""`run`: a generation with the models of an exported folder, in ONNX Runtime."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from graphlab.errors import GraphlabError
from graphlab.lowering.ort_call import SessionSettings
from graphlab.onnx_pipeline.assemble import assemble
from graphlab.onnx_pipeline.call import RunOptions, arguments_of
from graphlab.onnx_pipeline.errors import PipelineError, reason_of
from graphlab.onnx_pipeline.folder import read_folder
from graphlab.onnx_pipeline.run_report import ModelCalls, RunReport
from graphlab.onnx_pipeline.stand_in import StandIn


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came out: images (images, height, width, channels) or videos (videos, frames, height, width, channels).

    `values` are float32 from 0 to 1 on the CPU.
    """

    values: torch.Tensor
    report: RunReport


def run(
    folder: str | os.PathLike[str],
    prompt: str | None = None,
    *,
    prompt_ids: Sequence[str] = (),
    negative_prompt: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    height: int | None = None,
    width: int | None = None,
    frames: int | None = None,
    seed: int = 0,
    provider: str = "cpu",
    threads: int | None = None,
) -> RunResult:
    """An image or a video of the pipeline that `export` wrote to `folder`, with diffusers' pipeline and scheduler.

    The noise is drawn from `seed` as diffusers draws it for torch.Generator("cpu").manual_seed(seed). Without a
    tokenizer in the folder `prompt_ids` ("49406 320 ...", an encoder each or one for all) take the place of `prompt`;
    without either they are drawn. PipelineError for what is no exported folder, lacks a file, or cannot take an
    option.
    """
    found = read_folder(Path(folder))
    options = RunOptions(prompt, prompt_ids, negative_prompt, steps, guidance, height, width, frames, seed)
    start = time.perf_counter()
    with _quiet():
        made = assemble(found, SessionSettings(provider, threads))
        loaded = time.perf_counter()
        arguments, notes = arguments_of(made, found, options)
        values = _generate(made.pipe, arguments, seed)
    done = time.perf_counter()
    models = [item for item in made.pipe.components.values() if isinstance(item, StandIn)]
    report = RunReport(
        folder=os.fspath(folder),
        pipeline=found.pipeline,
        provider=provider,
        seed=seed,
        arguments=arguments,
        shape=tuple(values.shape),
        load_seconds=loaded - start,
        run_seconds=done - loaded,
        models=tuple(ModelCalls(item.name, item.calls, item.seconds) for item in models),
        versions={name: version(name) for name in ("graphlab", "torch", "diffusers")} | _runtime(),
        notes=(*found.manifest.get("notes", ()), *notes),
    )
    return RunResult(values, report)


def _generate(pipe: Any, arguments: Mapping[str, Any], seed: int) -> torch.Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    try:
        with torch.no_grad():
            output = pipe(**arguments, generator=generator, output_type="np")
    except GraphlabError:
        raise
    except Exception as error:  # pipelines raise whatever their options, or models of another version, lead to
        raise PipelineError(f"{type(pipe).__name__} cannot run with these options: {reason_of(error)}") from error
    values = getattr(output, "images", None)
    made = torch.as_tensor(values if values is not None else output.frames).float()
    if not bool(torch.isfinite(made).all()):
        raise PipelineError(
            "the result holds values that are no numbers", hint="a model of half precision may overflow: use float32"
        )
    return made


def _runtime() -> dict[str, str]:
    import onnxruntime

    return {"onnxruntime": str(onnxruntime.__version__)}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of diffusers and transformers, which are about their own interfaces."""
    import diffusers

    level = diffusers.logging.get_verbosity()
    diffusers.logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        diffusers.logging.set_verbosity(level)
