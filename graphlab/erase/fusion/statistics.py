"""Second moments of text: all that a closed-form edit needs to know of the captions it keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from graphlab.erase.errors import EraseError

FORMAT = "graphlab.text-statistics"
Encode = Callable[[Sequence[str]], torch.Tensor]
"""Texts to embeddings (texts, tokens, width)."""


@dataclass(frozen=True, slots=True)
class TextStatistics:
    """`gram` (width, width) float64: the sum of e e^T over the `tokens` embeddings e of some texts.

    `source` says of which (a hash), `encoder` which encoder made them; both are compared where statistics meet.
    """

    gram: torch.Tensor
    tokens: int
    source: str = ""
    encoder: str = ""

    @classmethod
    def of(cls, embeddings: torch.Tensor, source: str = "", encoder: str = "") -> TextStatistics:
        """Those of `embeddings` (..., width); EraseError for numbers that are not finite."""
        rows = embeddings.detach().reshape(-1, embeddings.shape[-1]).double()
        if not bool(torch.isfinite(rows).all()):
            raise EraseError("an embedding is not finite")
        return cls(rows.T @ rows, len(rows), source, encoder)

    def __add__(self, other: TextStatistics) -> TextStatistics:
        """Those of both sets of texts. EraseError for another width or encoder."""
        if self.gram.shape != other.gram.shape or self.encoder != other.encoder:
            raise EraseError("statistics of two encoders cannot be added")
        return TextStatistics(self.gram + other.gram, self.tokens + other.tokens, self.source, self.encoder)

    def save(self, path: Path) -> None:
        """Writes them as safetensors with what they are of."""
        about = {"format": FORMAT, "tokens": str(self.tokens), "source": self.source, "encoder": self.encoder}
        save_file({"gram": self.gram.contiguous()}, path, about)

    @classmethod
    def load(cls, path: Path) -> TextStatistics:
        """Reads what `save` wrote; EraseError for another file."""
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                if about.get("format") != FORMAT:
                    raise EraseError(f"{path} holds no text statistics")
                return cls(file.get_tensor("gram"), int(about["tokens"]), about["source"], about["encoder"])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise EraseError(f"{path} cannot be read as text statistics: {error}") from error


def statistics_of(texts: Iterable[str], encode: Encode, encoder: str = "", *, together: int = 64) -> TextStatistics:
    """Those of `texts`, encoded `together` at a time: memory does not grow with their number.

    `source` becomes the hash of the texts in order. EraseError for none.
    """
    digest, found = hashlib.sha256(), None
    for group in _groups(texts, together):
        for text in group:
            digest.update(json.dumps(text).encode())
        made = TextStatistics.of(encode(group), encoder=encoder)
        found = made if found is None else found + made
    if found is None:
        raise EraseError("there is no text to make statistics of")
    return TextStatistics(found.gram, found.tokens, digest.hexdigest(), encoder)


def _groups(texts: Iterable[str], together: int) -> Iterator[list[str]]:
    rest = iter(texts)
    while group := list(islice(rest, together)):
        yield group


def captions(path: Path) -> list[str]:
    """The lines of a caption file (UTF-8, one caption a line, empty lines left out); EraseError for none."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise EraseError(f"{path} cannot be read as captions: {error}") from error
    found = [line for line in lines if line]
    if not found:
        raise EraseError(f"{path} holds no caption")
    return found
