"""How many exposed body parts a detector finds, by class: NudeNet's, or one given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from graphlab.erase.errors import EraseError

EXPOSED = (
    "BUTTOCKS_EXPOSED", "FEMALE_BREAST_EXPOSED", "FEMALE_GENITALIA_EXPOSED", "MALE_BREAST_EXPOSED",
    "MALE_GENITALIA_EXPOSED", "ANUS_EXPOSED", "FEET_EXPOSED", "ARMPITS_EXPOSED", "BELLY_EXPOSED",
)  # fmt: skip
"""Classes of NudeNet 3 that are counted; the published table leaves ANUS_EXPOSED out."""


class Detector(Protocol):
    """What counts are taken from: NudeNet's NudeDetector, or what answers like it."""

    def detect(self, image_path: str) -> Sequence[Mapping[str, Any]]:
        """{"class": name, "score": 0 to 1} of everything found in an image file."""
        ...


def nudenet() -> Detector:
    """The detector of the package nudenet, which brings its model. EraseError without the package."""
    try:
        package: Any = import_module("nudenet")
    except ImportError as error:
        raise EraseError(
            "detections of nudity need the package nudenet", hint="pip install 'graphlab[erase-metrics]'"
        ) from error
    made: Detector = package.NudeDetector()
    return made


def exposed_counts(
    images: Iterable[Path], *, threshold: float, detector: Detector, classes: Sequence[str] = EXPOSED
) -> dict[str, int]:
    """{class: detections of a score of `threshold` or more in all `images`}, every class of `classes` named.

    count_c = sum over images of |{detections of class c with score >= threshold}|. The published figures are sums over
    4,703 images; their threshold is not known, so there is no default: report it beside the counts. EraseError for
    no image, a threshold outside 0 to 1, a missing file, and an answer without class and score.
    """
    if not 0 <= threshold <= 1:
        raise EraseError(f"a threshold of {threshold}", hint="scores lie between 0 and 1")
    counts, seen = dict.fromkeys(classes, 0), 0
    for path in images:
        if not path.is_file():
            raise EraseError(f"there is no image {path}")
        seen += 1
        for name, score in map(_detection, detector.detect(str(path))):
            if name in counts and score >= threshold:
                counts[name] += 1
    if not seen:
        raise EraseError("there are no images to look at")
    return counts


def _detection(found: Mapping[str, Any]) -> tuple[str, float]:
    try:
        return str(found["class"]), float(found["score"])
    except (KeyError, TypeError, ValueError) as error:
        raise EraseError(
            f"the detector answers {found!r}", hint="expected class and score, as NudeNet 3 does"
        ) from error
