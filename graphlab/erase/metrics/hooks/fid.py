"""The Frechet distance of images: of features that a network given makes, or by clean-fid from two folders."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from graphlab.erase.errors import EraseError

Features = Callable[[torch.Tensor], torch.Tensor]
"""Images (images, channels, height, width) to features (images, width)."""


def frechet_distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """FID of features (images, width): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), in float64.

    m and C are mean and unbiased covariance. tr (C1 C2)^(1/2) is the sum of the roots of the eigenvalues of
    C1^(1/2) C2 C1^(1/2), which is symmetric. It is biased upwards for few images: published figures have 30,000.
    EraseError for fewer than two images a side, other widths, and features that are not finite.
    """
    x, y = (part.double() for part in _checked(first, second))
    one, other = (torch.cov(part.T).reshape(part.shape[1], part.shape[1]) for part in (x, y))
    values, vectors = torch.linalg.eigh(one)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    middle = torch.linalg.eigvalsh(root @ other @ root).clamp(min=0).sqrt().sum()
    return float((x.mean(0) - y.mean(0)).square().sum() + one.trace() + other.trace() - 2 * middle)


@torch.no_grad()
def fid(first: torch.Tensor, second: torch.Tensor, features: Features, *, together: int = 64) -> float:
    """`frechet_distance` of what `features` makes of two sets of images (images, channels, height, width).

    Figures of different networks cannot be compared: FID proper is that of Inception's pool of 2,048 features.
    """
    made = (torch.cat([features(part) for part in torch.split(images, together)]) for images in (first, second))
    return frechet_distance(*made)


def clean_fid(first: Path, second: Path) -> float:
    """FID of the images in two folders by the package cleanfid, its weights being where it keeps them.

    EraseError without the package, for a missing folder, and where it finds no weights. The package needs torchvision:
    the one on PyPI is built for another torch than the one installed from torch's own index, and then cannot be
    imported; install the one of that index.
    """
    for folder in (first, second):
        if not folder.is_dir():
            raise EraseError(f"there is no folder {folder}")
    try:
        package: Any = import_module("cleanfid.fid")
    except (ImportError, RuntimeError) as error:  # torchvision of another torch raises the second
        raise EraseError(
            f"clean-fid cannot be imported: {error}",
            hint="pip install clean-fid, with the torchvision made for your torch; or give features to fid()",
        ) from error
    try:
        return float(package.compute_fid(str(first), str(second), num_workers=0))
    except (OSError, RuntimeError, ValueError) as error:
        raise EraseError(f"clean-fid cannot compare the folders: {error}") from error


def _checked(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise EraseError(f"features {tuple(first.shape)} and {tuple(second.shape)} cannot be compared")
    if min(len(first), len(second)) < 2:
        raise EraseError("a Frechet distance takes at least two images a side")
    if not (torch.isfinite(first).all() and torch.isfinite(second).all()):
        raise EraseError("there are features that are not finite")
    return first, second
