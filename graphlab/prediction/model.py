"""`model_for`: the best time model that what is known of a device allows."""

from __future__ import annotations

from graphlab.hardware import Hardware
from graphlab.prediction.data import KernelModel
from graphlab.prediction.gpu import GpuModel
from graphlab.prediction.ideal import IdealModel


def model_for(hardware: Hardware) -> KernelModel:
    """The GPU model where the file says how the device executes, its roofline otherwise."""
    return GpuModel(hardware) if hardware.execution is not None else IdealModel(hardware)
