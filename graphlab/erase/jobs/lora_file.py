"""Low-rank factors of one run as a file: read by diffusers' `load_lora_adapter`, and by `graphlab erase fuse`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.jobs.record import file_hash
from graphlab.erase.worlds.base_file import read_tensors, write_tensors

FORMAT, VERSION = "graphlab.erase-lora", "1"
FILE = "lora.safetensors"


@dataclass(frozen=True)
class LoraFile:
    """`factors` {layer.lora_A.weight (rank, in), layer.lora_B.weight (out, rank)}, W becoming W + B A, trained for
    `prompts` from a base that hashes to `base`; `name` is how it is called in messages, `sha256`
    the hash of its file and `place` where that lies, if there is one."""

    factors: Mapping[str, torch.Tensor]
    prompts: tuple[str, ...]
    base: str
    name: str
    sha256: str = ""
    place: Path | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that change."""
        return tuple(key.removesuffix(_A) for key in self.factors if key.endswith(_A))

    def change(self, layer: str) -> torch.Tensor:
        """B A of a linear layer, (out, in)."""
        return self.factors[layer + _B] @ self.factors[layer + _A]

    def shape(self, layer: str) -> tuple[int, ...] | None:
        """(out, in) of the change of a linear layer; None for factors that are no matrices which fit each other."""
        first, second = self.factors[layer + _A], self.factors[layer + _B]
        fit = first.dim() == second.dim() == 2 and second.shape[1] == first.shape[0]
        return (second.shape[0], first.shape[1]) if fit else None

    def save(self, path: Path) -> None:
        """Writes the file; EraseError where it cannot be."""
        about = {"format": FORMAT, "version": VERSION, "base_sha256": self.base, "prompts": list(self.prompts)}
        write_tensors(path, {key: value.contiguous() for key, value in self.factors.items()}, about)


_A, _B = ".lora_A.weight", ".lora_B.weight"


def read_lora(path: Path) -> LoraFile:
    """The low-rank file at `path`, or in the folder `path` of a run; EraseError for what is none or is damaged."""
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        why = "a run without --lora, or with a mask, has none" if path.is_dir() else None
        raise EraseError(f"there is no low-rank file {file}", hint=why)
    factors, about = read_tensors(file, FORMAT, VERSION)
    prompts, base = about.get("prompts"), about.get("base_sha256")
    if not isinstance(base, str) or not isinstance(prompts, list) or not all(isinstance(p, str) for p in prompts):
        raise EraseError(f"{file}: its prompts or base cannot be read")
    layers = {key.removesuffix(_A).removesuffix(_B) for key in factors}
    if not layers or set(factors) != {layer + end for layer in layers for end in (_A, _B)}:
        raise EraseError(f"{file}: its factors are no pairs of A and B")
    return LoraFile(factors, tuple(prompts), base, str(path), file_hash(file), file.resolve())
