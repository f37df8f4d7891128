"""A workload that others made: errors of its stages say whose they are, captures of it are kept by their code."""

from __future__ import annotations

from dataclasses import replace

from graphlab.discovery.code import code_digest
from graphlab.workload import Stage, Workload


def owned(made: Workload, who: str, module: str) -> Workload:
    """`made` by the code in the imported `module`, its stages owned by `who` ("model mine of my-plugin 1.0").

    Stages that may be kept in the cache are kept under `who` and a digest of that code.
    """
    prefix = f"{who} {code_digest(module)}"

    def stage(item: Stage) -> Stage:
        return replace(item, owner=who, identity=f"{prefix} {item.identity}" if item.identity else "")

    return replace(made, stages=tuple(map(stage, made.stages)), variables=tuple(made.variables))
