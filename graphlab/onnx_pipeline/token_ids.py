"""A tokenizer for folders without one: the prompt is the token ids themselves."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch

from graphlab.onnx_pipeline.errors import PipelineError

DRAWN = 64
"""Token ids of a drawn prompt: a long sentence, which every pipeline's encoders take."""


class TokenIds:
    """Reads "49406 320 1125" where a tokenizer would read words; shorter prompts are filled up with `padding`."""

    added_tokens_encoder: Mapping[str, int] = {}

    def __init__(self, length: int, vocabulary: int, padding: int) -> None:
        self.model_max_length, self.vocabulary, self.pad_token_id = length, vocabulary, padding
        self.eos_token_id = padding

    def __call__(
        self, text: str | Sequence[str], padding: Any = False, max_length: int | None = None, **options: Any
    ) -> Any:
        """input_ids and attention_mask (prompts, tokens), int64."""
        prompts = [self.ids(item) for item in ([text] if isinstance(text, str) else text)]
        longest = max(map(len, prompts))
        length = min(max_length or self.model_max_length, self.model_max_length) if padding == "max_length" else longest
        too_long = next((item for item in prompts if len(item) > length), None)
        if too_long is not None and options.get("truncation"):
            raise PipelineError(f"{len(too_long)} token ids are given, the text encoder takes {length}")
        rows = [item + [self.pad_token_id] * (length - len(item)) for item in prompts]
        mask = [[1] * len(item) + [0] * (length - len(item)) for item in prompts]
        return SimpleNamespace(input_ids=torch.tensor(rows), attention_mask=torch.tensor(mask))

    def ids(self, text: str) -> list[int]:
        """The ids `text` lists; PipelineError for anything else, and for one that is not in the vocabulary."""
        try:
            found = [int(word) for word in text.replace(",", " ").split()]
        except ValueError as error:
            raise PipelineError(
                f"{text[:60]!r} is no list of token ids", hint="the folder has no tokenizer, so a prompt is numbers"
            ) from error
        wrong = next((item for item in found if not 0 <= item < self.vocabulary), None)
        if wrong is not None:
            raise PipelineError(f"there is no token {wrong}: the vocabulary has {self.vocabulary}")
        return found

    def drawn(self, seed: int) -> str:
        """A prompt of at most DRAWN ids, drawn from `seed`."""
        draw = random.Random(seed)
        return " ".join(str(draw.randrange(self.vocabulary)) for _ in range(min(self.model_max_length, DRAWN)))

    def tokenize(self, text: str) -> list[str]:
        """The words of `text`, each a token."""
        return text.split()

    def batch_decode(self, ids: torch.Tensor) -> list[str]:
        """The ids as text."""
        return [" ".join(map(str, row)) for row in ids.tolist()]
