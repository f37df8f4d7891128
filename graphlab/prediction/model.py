"""`model_for`: the best time model that what is known of a device allows."""

from __future__ import annotations

from graphlab.hardware import Hardware
from graphlab.prediction.calibrated import CalibratedModel
from graphlab.prediction.data import KernelModel
from graphlab.prediction.gpu import GpuModel
from graphlab.prediction.ideal import IdealModel


def model_for(hardware: Hardware) -> KernelModel:
    """What was measured where the device was calibrated, the GPU model where its file says how it executes, else its
    roofline."""
    if hardware.calibration is not None:
        return CalibratedModel(hardware)
    return GpuModel(hardware) if hardware.execution is not None else IdealModel(hardware)
