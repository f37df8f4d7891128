"""How well images fit their prompts by CLIP: the logit of each pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from graphlab.erase.errors import EraseError


@dataclass(frozen=True, slots=True)
class Clip:
    """A transformers CLIPModel, and what makes its inputs: `tokenizer` of texts, `mean` and `std` (3,) of pixels.

    Published scores are those of ViT-B/32, whose logits are 100 times the cosine.
    """

    model: Any
    tokenizer: Any
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)


def clip_from(folder: Path) -> Clip:
    """The CLIP in a local folder, as transformers saves model and tokenizer; nothing is fetched.

    EraseError for a folder that is missing or holds none.
    """
    from transformers import AutoTokenizer, CLIPModel

    if not (folder / "config.json").is_file():
        raise EraseError(f"there is no CLIP model in {folder}", hint="give a folder with config.json and weights")
    try:
        model = CLIPModel.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise EraseError(f"the CLIP model in {folder} cannot be read: {error}") from error
    return Clip(model.eval(), tokenizer)


@torch.no_grad()
def clip_scores(images: torch.Tensor, prompts: Sequence[str], clip: Clip, *, together: int = 32) -> torch.Tensor:
    """The score (images,) of each image with its prompt: exp(logit scale) x cosine(image embedding, text embedding).

    `images` (images, 3, height, width) in [-1, 1] are resized to the model's square, bicubic and antialiased, their
    longer side cut at the middle. The means over prompts of kept and of erased concepts are CLIP_p and CLIP_e of
    `graphlab.erase.metrics.accuracy.difference`; published ones are of 2,500 images each, without a
    threshold. EraseError for other shapes and another number of prompts.
    """
    if images.ndim != 4 or images.shape[1] != 3 or len(images) == 0 or len(images) != len(prompts):
        raise EraseError(f"images {tuple(images.shape)} and {len(prompts)} prompts", hint="a prompt for each RGB image")
    scores = []
    for start in range(0, len(images), together):
        pixels = _prepared(images[start : start + together], clip)
        words = clip.tokenizer(
            list(prompts[start : start + together]), padding=True, truncation=True, return_tensors="pt"
        )
        made = clip.model(
            input_ids=words["input_ids"], attention_mask=words["attention_mask"], pixel_values=pixels
        ).logits_per_image
        scores.append(made.diagonal().float().cpu())
    return torch.cat(scores)


def _prepared(images: torch.Tensor, clip: Clip) -> torch.Tensor:
    side = int(clip.model.config.vision_config.image_size)
    height, width = images.shape[-2:]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    square = ((images.float() + 1) / 2).clamp(0, 1)[..., top : top + short, left : left + short]
    sized = torch.nn.functional.interpolate(square, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    mean, std = (torch.tensor(values)[:, None, None] for values in (clip.mean, clip.std))
    return (sized - mean) / std
