"""Makes a mask and writes it: `graphlab erase saliency`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from graphlab.erase.errors import EraseError
from graphlab.erase.jobs.config import EraseConfig
from graphlab.erase.jobs.memory import memory_told
from graphlab.erase.jobs.output import claim_file, drop
from graphlab.erase.jobs.record import Record, file_hash
from graphlab.erase.jobs.roles import RoleRow, by_role
from graphlab.erase.saliency.building import Saliency, saliency
from graphlab.erase.saliency.density import density
from graphlab.erase.sources.source import ErasureSource, named_prompts, prompts_of
from graphlab.erase.training.progress import OnProgress

PARTIAL, MANIFEST = ".partial", ".json"


@dataclass(frozen=True)
class Masked:
    """The mask `found` of some `prompts`, in the file `path`, with its `manifest` beside it."""

    found: Saliency
    prompts: tuple[str, ...]
    path: Path
    manifest: Path

    @property
    def roles(self) -> tuple[RoleRow, ...]:
        """Set entries by what the weights do."""
        return by_role(self.found.rows)

    @property
    def density(self) -> float:
        """Share of all entries that are set."""
        return density(self.found.rows)


@memory_told()
def make_mask(
    source: ErasureSource,
    config: EraseConfig,
    path: Path,
    *,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> Masked:
    """The mask of the concepts and prompts of `config` for `source`, written to `path`, with a manifest `path`.json.

    Every finished map is kept in `path`.partial: a run that was interrupted goes on from it when it is called again,
    with identical results, and with `force` begins anew. EraseError, before any work, for a path that cannot be written
    or is there already (without `force`), and for no prompt; later for a kept run of another configuration, a mask
    without an entry and a gradient that is not finite.
    """
    manifest, partial = _beside(path)
    prompts = prompts_of(source, config.concepts, config.prompts, config.forms)
    named = named_prompts(source, prompts)
    source.check_shape(config.maps.shape)
    claim_file(path, source, force=force, beside=[manifest])
    if force:
        drop(partial)
    found = saliency(source.model, named, config.maps, partial=partial, on_progress=on_progress)
    if config.random is None:
        found.write(path, source.model.module)
    else:
        found.write_random(path, source.model.module, config.random)
    Record(
        command="saliency",
        source=source.name,
        base=found.base,
        config=config.mapping(),
        seeds={"maps": list(config.maps.seeds), "random": config.random},
        inputs=named.hashes(),
        outputs={path.name: file_hash(path)},
        results={
            "kept_after": list(found.curve),
            "density": density(found.rows),
            "prompts": list(prompts),
            "roles": [asdict(row) for row in by_role(found.rows)],
        },
    ).write(manifest)
    drop(partial)
    return Masked(found, prompts, path, manifest)


def _beside(path: Path) -> tuple[Path, Path]:
    """(manifest, kept maps) of a mask file; EraseError for "" and ".", which are no names of files."""
    if not path.name:
        raise EraseError(f"cannot write {path}: it is a folder")
    return path.with_name(path.name + MANIFEST), path.with_name(path.name + PARTIAL)
