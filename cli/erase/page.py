"""The page of a command whose report is its manifest, and the files that it must not replace."""

from __future__ import annotations

from pathlib import Path


def results_in(folder: Path) -> list[Path]:
    """`folder`, and the files that a command of `graphlab erase` may write into it."""
    from graphlab.erase.jobs.demo import BASE, MASK, PICTURE, RECORD
    from graphlab.erase.jobs.output import RESULTS

    return [folder, *(folder / name for name in (*RESULTS, BASE, MASK, PICTURE, RECORD))]


def with_manifest(mask: Path) -> list[Path]:
    """The file of a `mask`, and that of its manifest."""
    from graphlab.erase.jobs.saliency import MANIFEST

    return [mask, Path(f"{mask}{MANIFEST}")]


def manifest_page(manifest: Path) -> str:
    """The HTML of the `manifest` that a command wrote, as `graphlab report` makes it."""
    from graphlab.pages.saved import saved_page

    return saved_page(manifest)
