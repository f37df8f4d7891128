"""Suites of tiny presets that all tests of figures share, worked out once."""

from __future__ import annotations

import pytest

from graphlab.characterization.build import BuildOptions, model_run, workloads
from graphlab.characterization.data import Characterization
from graphlab.hardware import load_device
from graphlab.prediction.model import model_for

NAMES = ("llama-2-7b-tiny", "stable-diffusion-v1-5-tiny", "amused-256-tiny", "modelscope-t2v-tiny")


def suite_of(*names: str, sweeps: bool, device: str = "a100-80gb") -> Characterization:
    hardware = load_device(device)
    runs = tuple(model_run(workload, BuildOptions()) for workload in workloads(names, {}))
    return Characterization(hardware, model_for(hardware), runs, sweeps=sweeps)


@pytest.fixture(scope="session")
def suite() -> Characterization:
    """A language model, a latent diffusion model, a masked transformer and a video model, at their own sizes."""
    return suite_of(*NAMES, sweeps=False)


@pytest.fixture(scope="session")
def swept() -> Characterization:
    """A U-Net and a transformer that are cheap to work out at other sizes, and a model that has none."""
    return suite_of("llama-2-7b-tiny", "stable-diffusion-xl-tiny", "amused-256-tiny", sweeps=True)
