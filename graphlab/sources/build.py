"""The module of a stage, made: what its constructor prints is no part of a report, what it raises says whose it is."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

import torch

from graphlab.discovery.blame import blamed
from graphlab.discovery.owner import PluginError
from graphlab.workload import Stage


def module_of(stage: Stage) -> torch.nn.Module:
    """The module that `stage` builds.

    PluginError, naming the owner of a stage that has one, for whatever `build` raises, and for what is no module.
    """
    assert stage.build is not None
    with redirect_stdout(sys.stderr):
        if not stage.owner:
            return stage.build()
        with blamed(f"{stage.owner}: stage {stage.name}", "cannot be built"):
            made: object = stage.build()
    if not isinstance(made, torch.nn.Module):
        found = type(made).__name__
        raise PluginError(f"{stage.owner}: stage {stage.name} builds a {found} where a torch.nn.Module belongs")
    return made
