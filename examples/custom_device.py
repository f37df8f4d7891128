"""A device of your own: what a model would take on it, what bounds it, and what another number would change.

    python examples/custom_device.py [MODEL [DEVICE.toml]]
    graphlab analyze stable-diffusion-v1-5-tiny --device examples/my_gpu.toml

A device is a TOML file, examples/my_gpu.toml, which every command with --device reads: title, kind, memory_bytes,
memory_bandwidth (bytes a second) and [peak_flops] (FLOP a second by dtype, dense). Times are ideal: a call takes the
longer of its arithmetic and its traffic, and nothing else.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import graphlab
from graphlab.hardware import Hardware, load_device

FILE = Path(__file__).parent / "my_gpu.toml"


def show(model: str, device: Hardware) -> None:
    """A line a stage: seconds of one call and what bounds it; then whether the model fits."""
    report = graphlab.analyze(model, device, dynamic=False)
    # Below this many FLOP a byte memory is what a call waits for, above it arithmetic.
    print(f"{device.title}: {device.peak_flops['float32'] / device.bandwidth:g} FLOP a byte in float32")
    for stage in report.stages:
        found = stage.estimate
        assert found is not None  # there is one wherever a device was named
        print(f"  {stage.name:12} {found.seconds:.3g} s a call at {found.intensity:.3g} FLOP a byte: {found.bound}")
    assert report.fit is not None
    print(f"  {'fits' if report.fit.fits else 'does not fit'} into {report.fit.device_bytes} bytes")


def main(model: str = "stable-diffusion-v1-5-tiny", file: str = str(FILE)) -> None:
    """`model` on the device of `file`, and on one that differs in a single number."""
    device = load_device(file)
    show(model, device)
    show(model, replace(device, title=f"{device.title} with twice the bandwidth", bandwidth=2 * device.bandwidth))


if __name__ == "__main__":
    main(*sys.argv[1:])
