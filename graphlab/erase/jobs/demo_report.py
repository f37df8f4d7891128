"""`DemoReport`: a demonstration as values; `to_dict` is what `graphlab erase demo --json` writes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from graphlab.erase.evaluation.reading import read_judged
from graphlab.erase.evaluation.result import Judged, judged_dict
from graphlab.erase.jobs.comparison import ChangedRole, changed_roles, outside
from graphlab.erase.jobs.demo import Demo
from graphlab.erase.jobs.pictures import png_pixels, png_text
from graphlab.report.decoding import decode

SCHEMA = "graphlab.erase-demo/1"
"""Version of the JSON layout; the number grows when a key changes meaning or disappears."""


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What each judge sees `before` and `after` the `concept` was erased; the mask lets `free` entries change, `roles`
    sum up those that did, `changed_outside_mask` of them; the `picture` (height, width, 3) uint8."""

    concept: str
    before: tuple[Judged, ...]
    after: tuple[Judged, ...]
    free: int
    roles: tuple[ChangedRole, ...]
    changed_outside_mask: int
    picture: torch.Tensor
    files: tuple[str, ...]

    @classmethod
    def of(cls, made: Demo) -> DemoReport:
        """The report of `made`."""
        changes = made.erased.changes
        return cls(
            concept=made.concept,
            before=made.before,
            after=made.after,
            free=sum(row.kept for row in made.mask.found.rows),
            roles=changed_roles(changes),
            changed_outside_mask=outside(changes),
            picture=made.picture,
            files=tuple(map(str, made.files)),
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it in values that JSON can write; the picture as a PNG file in base 64."""
        return {
            "schema": SCHEMA,
            "concept": self.concept,
            "before": judged_dict(self.before),
            "after": judged_dict(self.after),
            "free": self.free,
            "roles": [asdict(row) for row in self.roles],
            "changed_outside_mask": self.changed_outside_mask,
            "picture": png_text(self.picture),
            "files": list(self.files),
        }


@dataclass(frozen=True, slots=True)
class _Saved:
    """All but what the judges say, as the JSON has it."""

    concept: str
    free: int
    roles: tuple[ChangedRole, ...]
    changed_outside_mask: int
    picture: str
    files: tuple[str, ...]


def demo_report_of(data: dict[str, Any]) -> DemoReport:
    """What `to_dict` wrote as `data`; GraphlabError for anything else."""
    saved, (before, after) = decode(_Saved, data), read_judged(data)
    return DemoReport(
        saved.concept,
        before,
        after,
        saved.free,
        saved.roles,
        saved.changed_outside_mask,
        png_pixels(saved.picture),
        saved.files,
    )
