"""A stage as it is exported: what a pipeline passes in and reads, where that differs from what graphlab analyses."""

from __future__ import annotations

from dataclasses import replace

from graphlab.onnx_pipeline.model_class import ModelClass
from graphlab.onnx_pipeline.names import is_denoiser
from graphlab.workload import Argument, Stage, TensorInput

READ_HIDDEN_STATES = ("StableDiffusionXLPipeline", "StableDiffusion3Pipeline", "AmusedPipeline")
"""Pipelines that read a hidden state of their CLIP encoders."""
_HIDDEN = "output_hidden_states"


def reads_hidden_states(pipeline: str, made: ModelClass | None) -> bool:
    """Whether the encoder `made` of `pipeline` has the hidden states of all layers among its results."""
    if made is None or not made.name.startswith("CLIPTextModel"):
        return False
    return pipeline in READ_HIDDEN_STATES or bool(made.config.get(_HIDDEN))


def prepared(stage: Stage, made: ModelClass | None, *, hidden_states: bool) -> Stage:
    """`stage` with a float32 timestep, and with its hidden states where they are read.

    A timestep of an integer type, which the analyses assume, would cut off the fractions that Euler's and Heun's
    schedules have; every class turns it into float32 first.
    """
    inputs: dict[str, Argument] = dict(stage.inputs)
    if is_denoiser(made):
        inputs = {name: _timestep(argument) for name, argument in inputs.items()}
    if hidden_states and made is not None and not made.config.get(_HIDDEN):
        inputs[_HIDDEN] = True
    return replace(stage, inputs=inputs)


def _timestep(argument: Argument) -> Argument:
    if not isinstance(argument, TensorInput) or argument.role != "timestep" or not argument.dtype.startswith("int"):
        return argument
    return replace(argument, dtype="float32")
