"""Characterizations that several tests read."""

from __future__ import annotations

import pytest

from graphlab.characterization.build import BuildOptions, model_run
from graphlab.characterization.data import Characterization
from graphlab.characterizing import bound
from graphlab.hardware import load_device
from graphlab.prediction.model import model_for

MODELS = ("stable-diffusion-v1-5-tiny", "llama-2-7b-tiny", "amused-256-tiny", "parti-20b-tiny")


@pytest.fixture(scope="session")
def small() -> Characterization:
    """Four tiny models on an A100, without sweeps."""
    hardware = load_device("a100-80gb")
    runs = tuple(model_run(workload, BuildOptions()) for workload in bound(MODELS, {}))
    return Characterization(hardware, model_for(hardware), runs, sweeps=False)
