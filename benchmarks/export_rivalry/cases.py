"""The models that exporters and runtimes are compared on: one stage each, in float32, at a latent size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from graphlab.components import component_for
from graphlab.measuring.casting import in_dtype
from graphlab.models import find_model
from graphlab.models.modelscope import UNET as UNET_3D
from graphlab.models.stable_diffusion_xl import UNET_BASE
from graphlab.sources.arguments import example_arguments
from graphlab.sources.module import export as captured
from graphlab.weights.source import WeightSource, weight_source
from graphlab.workload import Stage, Workload

RANDOM = "random:0"

# SDXL's topology with 3/5 of the channels: 1.0 thousand million parameters, 4 GB in float32.
SDXL_SHAPED = {**UNET_BASE, "block_out_channels": [192, 384, 768], "attention_head_dim": [3, 6, 12]}
# ModelScope's with half of the channels, 8 frames.
VIDEO = {**UNET_3D, "block_out_channels": [160, 320, 640, 640], "attention_head_dim": 32}


@dataclass(frozen=True, slots=True)
class Case:
    """One stage of `workload`, called `stage`, in float32 at the sizes in force; `kind` is ONNX Runtime's model type.

    `name`, `latent` and `bindings` make the same case in another process (`case`).
    """

    name: str
    latent: int
    workload: Workload
    stage: str
    kind: str

    @property
    def values(self) -> Mapping[str, int | float]:
        """Variables in force at the first step."""
        return self.workload.step_values(self.found, 0)

    @property
    def found(self) -> Stage:
        """The stage itself."""
        return self.workload.stage(self.stage)

    def source(self, spec: str = RANDOM) -> WeightSource:
        """Where its weights come from."""
        return weight_source(self.workload, self.stage, spec)


@dataclass(frozen=True, slots=True)
class _Known:
    build: Callable[[], Workload]
    stage: str
    latent: int
    kind: str = "unet"


def _built_in(name: str) -> Callable[[], Workload]:
    return lambda: find_model(name).workload()


def _with_denoiser(name: str, class_name: str, config: Mapping[str, Any], **sizes: int) -> Callable[[], Workload]:
    """The built-in `name` with another configuration of its U-Net; `sizes` are bound."""

    def build() -> Workload:
        workload = find_model(name).workload()
        made = component_for(class_name, config, "float32")
        unet = replace(in_dtype(workload.stage("unet"), "float32"), build=made.build, identity=made.identity)
        return replace(workload, name=f"{name}-shaped", source=f"{name}-shaped", stages=(unet,)).bind(sizes)

    return build


CASES: dict[str, _Known] = {
    "sd15": _Known(_built_in("stable-diffusion-v1-5"), "unet", 64),
    "sd15-tiny": _Known(_built_in("stable-diffusion-v1-5-tiny"), "unet", 16),
    "dit": _Known(_built_in("dit-xl-2-256"), "transformer", 32, "mmdit"),
    "dit-tiny": _Known(_built_in("dit-xl-2-256-tiny"), "transformer", 16, "mmdit"),
    "sdxl-shaped": _Known(_with_denoiser("stable-diffusion-xl", "UNet2DConditionModel", SDXL_SHAPED), "unet", 64),
    "sdxl-shaped-tiny": _Known(_built_in("stable-diffusion-xl-tiny"), "unet", 16),
    "video": _Known(_with_denoiser("modelscope-t2v", "UNet3DConditionModel", VIDEO, frames=8), "unet", 32),
    "video-tiny": _Known(_built_in("modelscope-t2v-tiny"), "unet", 16),
}


def case(name: str, latent: int | None = None) -> Case:
    """The case `name` with latents of `latent` x `latent` (its own size for None); KeyError for another name."""
    known = CASES[name]
    side = latent or known.latent
    return of_workload(name, known.build().bind({"height": side * 8, "width": side * 8}), known.stage, side, known.kind)


def of_workload(name: str, workload: Workload, stage: str, latent: int = 0, kind: str = "unet") -> Case:
    """The stage `stage` of `workload` in float32."""
    found = in_dtype(workload.stage(stage), "float32")
    return Case(name, latent, replace(workload, stages=(found,)), stage, kind)


def module_with_weights(case: Case, source: WeightSource) -> torch.nn.Module:
    """The module on the CPU with the values of `source`; tied parameters stay tied."""
    assert case.found.build is not None
    module = case.found.build()
    made: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    for path, part in module.named_modules(remove_duplicate=False):
        for table in (part._parameters, part._buffers):
            for name, held in table.items():
                if held is None or not held.is_meta:
                    continue
                if id(held) not in made:  # what is kept beside its value keeps its id
                    made[id(held)] = held, _valued(source, f"{path}.{name}" if path else name, held)
                table[name] = made[id(held)][1]
    return module


def _valued(source: WeightSource, key: str, held: torch.Tensor) -> torch.Tensor:
    value = source.read(key, held)
    return torch.nn.Parameter(value, requires_grad=False) if isinstance(held, torch.nn.Parameter) else value


def arguments(made: Case) -> dict[str, Any]:
    """Example arguments of the module on the CPU, drawn from a fixed seed."""
    torch.manual_seed(0)
    return example_arguments(made.found, made.values, "cpu")


def plain_program(made: Case, spec: str = RANDOM) -> torch.export.ExportedProgram:
    """The module as torch.export captures it at the sizes in force, with its weights; nothing of it is rewritten."""
    module = module_with_weights(made, made.source(spec))
    return captured(module, ((), arguments(made)), None, strict=made.found.strict)
