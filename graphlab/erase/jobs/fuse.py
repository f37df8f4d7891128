"""Several low-rank erasures as one model, in closed form: `graphlab erase fuse`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.fusion.closed_form import Edit, as_trained, fused
from graphlab.erase.fusion.projections import cross_attention_projections, edit_projections
from graphlab.erase.fusion.statistics import TextStatistics, captions, statistics_of
from graphlab.erase.jobs.lora_file import LoraFile
from graphlab.erase.jobs.memory import memory_told
from graphlab.erase.jobs.output import MANIFEST, claim_folder
from graphlab.erase.jobs.record import Record, file_hash, hashes_of
from graphlab.erase.sources.source import ErasureSource
from graphlab.erase.training.model import module_hash

PROJECTIONS = r"regex:attn2\.to_(k|v)\.weight$"
"""The parameters a low-rank run trains so that it can be fused."""


@dataclass(frozen=True, slots=True)
class FuseConfig:
    """How much captions are kept (`keep` times their second moments) and how strong the relative ridge `rho` is."""

    keep: float = 1.0
    rho: float = 1e-3

    def __post_init__(self) -> None:
        for name, value in (("keep", self.keep), ("rho", self.rho)):
            if not (isfinite(value) and value >= 0):
                raise EraseError(f"{name} is {value}, expected 0 or more")


@dataclass(frozen=True, slots=True)
class FusedRow:
    """A projection: its largest change, and for every low-rank file |W* e - W_i e| / |W e - W_i e| over its prompts'
    embeddings e (Frobenius norms): 0 where the edit is met, 1 where nothing is left of it; None where a file changes
    nothing there."""

    projection: str
    moved: float
    missed: tuple[float | None, ...]


@dataclass(frozen=True)
class Fused:
    """The `source` with all edits; `rows` say what became of each, `kept_tokens` how much text was to stay."""

    source: ErasureSource
    rows: tuple[FusedRow, ...]
    kept_tokens: int
    files: tuple[Path, ...]
    manifest: Path


@memory_told()
def fuse_loras(
    source: ErasureSource,
    loras: Sequence[LoraFile],
    preserve: Path,
    folder: Path,
    config: FuseConfig | None = None,
    *,
    force: bool = False,
) -> Fused:
    """`source` with the edits of `loras` fused into its cross-attention projections, written into `folder`.

    Texts of the caption file `preserve` keep their keys and values, the more the larger `config.keep`. EraseError for
    no low-rank file, one of another base, one that changes more than keys and values of cross-attention, captions the
    encoder cannot take, and a folder that cannot be written or holds something.
    """
    settings = config or FuseConfig()
    base = module_hash(source.model.module)
    _check(source, loras, base)
    _check_apart(loras, folder)
    texts = captions(preserve)
    claim_folder(folder, source, force=force)
    kept = statistics_of(texts, source.encode)
    made, rows = _edited(source, loras, kept, settings)
    prompts = [prompt for lora in loras for prompt in lora.prompts]
    files = made.save(folder, {"erased": ", ".join(prompts)})
    Record(
        command="fuse",
        source=source.name,
        base=base,
        config={"keep": settings.keep, "rho": settings.rho, "loras": [lora.name for lora in loras]},
        seeds={},
        inputs={"captions": file_hash(preserve), **{lora.name: lora.sha256 for lora in loras}},
        outputs=hashes_of(files, folder),
        results={
            "prompts": prompts,
            "kept_tokens": kept.tokens,
            "largest_change": max(row.moved for row in rows),
            "edits": [asdict(row) for row in rows],
        },
    ).write(folder / MANIFEST)
    return Fused(made, rows, kept.tokens, (*files, folder / MANIFEST), folder / MANIFEST)


def _edited(
    source: ErasureSource, loras: Sequence[LoraFile], kept: TextStatistics, settings: FuseConfig
) -> tuple[ErasureSource, tuple[FusedRow, ...]]:
    """(a copy of `source` with every edit, what became of them)."""
    made = source.copied()
    given = [torch.cat([source.encode([prompt]) for prompt in lora.prompts]) for lora in loras]
    originals = {name: layer.weight for name, layer in cross_attention_projections(source.model.module).items()}

    def change(name: str, weight: torch.Tensor) -> torch.Tensor:
        return fused(weight, _edits(name, weight, loras, given), kept, keep=settings.keep, rho=settings.rho)

    moved = edit_projections(made.model.module, change)
    if not all(map(isfinite, moved.values())):
        raise EraseError("a fused weight is not finite", hint="look at the base and at the low-rank files")
    after = {name: layer.weight for name, layer in cross_attention_projections(made.model.module).items()}
    rows = tuple(
        FusedRow(name, moved[name], _missed(name, originals[name], after[name], loras, given)) for name in originals
    )
    return made, rows


def _check(source: ErasureSource, loras: Sequence[LoraFile], base: str) -> None:
    if not loras:
        raise EraseError("there is nothing to fuse", hint="give the low-rank files of runs")
    projections = cross_attention_projections(source.model.module)
    for lora in loras:
        if lora.base != base:
            raise EraseError(f"{lora.name} was trained from another base than {source.name}")
        others = [layer for layer in lora.layers if layer not in projections]
        if others:
            raise EraseError(
                f"{lora.name} changes {others[0]}, which no closed form carries over",
                hint=f"train with --parameters '{PROJECTIONS}'",
            )
        for layer in lora.layers:
            wanted = projections[layer].weight.shape
            if (found := lora.shape(layer)) != wanted:
                raise EraseError(f"{lora.name} changes {layer} by a matrix {found}, expected {tuple(wanted)}")


def _check_apart(loras: Sequence[LoraFile], folder: Path) -> None:
    """EraseError for a file given twice, whose edit would count twice, and one that the output would replace."""
    places = [lora.place for lora in loras if lora.place is not None]
    for lora in loras:
        if lora.place is not None and places.count(lora.place) > 1:
            raise EraseError(f"{lora.name} is given twice")
        if lora.place is not None and lora.place.parent == folder.resolve():
            raise EraseError(f"{folder} holds {lora.name}, which is to be fused", hint="write elsewhere")


def _edits(name: str, weight: torch.Tensor, loras: Sequence[LoraFile], given: Sequence[torch.Tensor]) -> list[Edit]:
    """One for each file, which wants the weight as it is where it was not trained here."""
    return [as_trained(_trained(name, weight, lora), text.cpu()) for lora, text in zip(loras, given, strict=True)]


def _trained(name: str, weight: torch.Tensor, lora: LoraFile) -> torch.Tensor:
    return weight.detach() + lora.change(name).to(weight) if name in lora.layers else weight.detach()


def _missed(
    name: str, before: torch.Tensor, after: torch.Tensor, loras: Sequence[LoraFile], given: Sequence[torch.Tensor]
) -> tuple[float | None, ...]:
    found: list[float | None] = []
    for lora, text in zip(loras, given, strict=True):
        rows = text.reshape(-1, text.shape[-1]).double().cpu()
        wanted = _trained(name, before, lora).double().cpu()
        all_of_it = float(torch.linalg.norm(rows @ (before.detach().double().cpu() - wanted).T))
        left = float(torch.linalg.norm(rows @ (after.detach().double().cpu() - wanted).T))
        found.append(left / all_of_it if all_of_it else None)
    return tuple(found)
