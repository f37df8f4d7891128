"""The folder of a diffusers pipeline as a source: a U-Net under the texts of one CLIP encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from graphlab.erase.errors import EraseError
from graphlab.erase.sources.pipeline_folder import check_folder, loaded, loaded_unet
from graphlab.erase.training.model import Model

STEPS, GUIDANCE = 50, 3.0
"""Of the paths that points are taken from, as the method was published."""


@dataclass(frozen=True)
class PipelineSource:
    """`model` is the U-Net; `encoder` and `tokenizer` are of transformers; `latents` (channels, height, width)."""

    name: str
    model: Model
    encoder: Any
    tokenizer: Any
    latents: tuple[int, int, int]
    place: Path | None = None

    @classmethod
    def opened(cls, folder: Path, shape: tuple[int, int, int] | None = None) -> PipelineSource:
        """The pipeline in a folder, in float32 and evaluation mode, from safetensors alone.

        EraseError for a folder without unet, text_encoder, tokenizer or scheduler, for a pipeline of several text
        encoders, one whose U-Net takes more than latents, times and texts, and a schedule that is not understood.
        """
        check_folder(folder)
        unet, encoder, tokenizer, schedule, kind = loaded(folder)
        own = shape or _shape(unet, folder)
        found = cls(str(folder), Model(unet, schedule, kind), encoder, tokenizer, own, folder)
        found.check_shape(own)
        return found

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of its latents."""
        return self.latents

    @property
    def steps(self) -> int:
        """Those of the published method."""
        return STEPS

    @property
    def guidance(self) -> float:
        """That of the published method."""
        return GUIDANCE

    @property
    def batch(self) -> int:
        """One, as in the published method."""
        return 1

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> torch.Tensor:
        """Encoded prompts (prompts, tokens, width), the last hidden states of the text encoder.

        EraseError for no prompt, and one of more tokens than the encoder takes: none is cut short.
        """
        if not prompts or isinstance(prompts, str):
            raise EraseError("prompts are a sequence of texts with one text at least")
        room = min(self.tokenizer.model_max_length, self.encoder.config.max_position_embeddings)
        given = self.tokenizer(list(prompts), padding="max_length", max_length=room)
        for prompt, ids in zip(prompts, given.input_ids, strict=True):
            if len(ids) > room:
                cut = f"{prompt[:40]!r}{'...' if len(prompt) > 40 else ''}"
                raise EraseError(f"the prompt {cut} has {len(ids) - 2} tokens", hint=f"the encoder takes {room - 2}")
        device = next(self.encoder.parameters()).device
        mask = None
        if getattr(self.encoder.config, "use_attention_mask", False):
            mask = torch.tensor(given.attention_mask, device=device)
        made: torch.Tensor = self.encoder(torch.tensor(given.input_ids, device=device), attention_mask=mask)[0]
        return made

    def phrases(self, concept: str) -> tuple[str, ...]:
        """The concept as it is written: an encoder of open vocabulary knows no list of concepts."""
        if not concept.strip():
            raise EraseError("the concept has no name")
        return (concept,)

    def check_shape(self, shape: tuple[int, int, int]) -> None:
        """EraseError for other channels than the U-Net takes, and for no pixels."""
        module: Any = self.model.module
        channels = module.config.in_channels
        if shape[0] != channels or min(shape) < 1:
            raise EraseError(f"{self.name} takes latents of {channels} channels and some pixels, not {shape}")

    def copied(self) -> PipelineSource:
        """The same over U-Net weights of its own; the encoder is shared."""
        return replace(self, model=self.model.copied())

    def with_unet(self, folder: Path) -> PipelineSource:
        """The same with the U-Net in `folder`, or in the folder unet in it; EraseError for one of other weights."""
        home = folder / "unet" if (folder / "unet").is_dir() else folder
        return replace(self, model=self.model.around(loaded_unet(home)))

    def save(self, folder: Path, log: dict[str, str]) -> tuple[Path, ...]:
        """Writes `folder`/unet as diffusers does, weights as safetensors: it takes the place of a pipeline's own."""
        home = folder / "unet"
        module: Any = self.model.module
        if home.exists() and not home.is_dir():  # diffusers would say so in its log, and write nothing
            raise EraseError(f"cannot write into {home}: it is a file")
        try:
            module.save_pretrained(home, safe_serialization=True)
        except (OSError, SafetensorError) as error:
            raise EraseError(f"cannot write {home}: {error}", hint="check the folder and its permissions") from error
        return tuple(sorted(path for path in home.iterdir() if path.suffix in (".json", ".safetensors")))

    def to(self, device: torch.device) -> None:
        """Moves U-Net and encoder."""
        self.model.module.to(device)
        self.encoder.to(device)


def _shape(unet: Any, folder: Path) -> tuple[int, int, int]:
    size = unet.config.sample_size
    if size is None:
        raise EraseError(f"the U-Net of {folder} says no sample_size", hint="give the shape of its latents")
    height, width = (size, size) if isinstance(size, int) else size
    return (unet.config.in_channels, height, width)
