"""Production image model of the characterization suite: a stand-in, Stable Diffusion XL's U-Net class.

Golden et al. (arXiv 2312.14385) name a production text-to-image model; nothing public pins its architecture, size or
steps down. All of this workload is Stable Diffusion XL under another name, and every report says so.
"""

from __future__ import annotations

from dataclasses import replace

from graphlab.models.registry import Model
from graphlab.models.stable_diffusion_xl import stable_diffusion_xl, stable_diffusion_xl_tiny
from graphlab.workload import Workload

STAND_IN = (
    "stand-in: nothing public pins this model down; a latent U-Net of Stable Diffusion XL's class is taken for it, "
    "with XL's encoders, decoder, sizes, steps and guidance; no number of it is one of the production model"
)


def _stand_in(name: str, base: Workload) -> Workload:
    return replace(base, name=name, source=name, assumptions=(STAND_IN, *base.assumptions))


def production_image() -> Workload:
    """Stand-in: stable-diffusion-xl, 1024 x 1024 pixels, 50 steps."""
    return _stand_in("production-image", stable_diffusion_xl())


def production_image_tiny() -> Workload:
    """Stand-in: stable-diffusion-xl-tiny."""
    return _stand_in("production-image-tiny", stable_diffusion_xl_tiny())


MODELS = (
    Model("production-image", "stand-in for an unpublished production model (SDXL-class)", production_image),
    Model("production-image-tiny", "stand-in, narrow: stable-diffusion-xl-tiny", production_image_tiny),
)
