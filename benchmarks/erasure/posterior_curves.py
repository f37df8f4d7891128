"""What is known of layout, palette and glyph at each log SNR, exactly, and the nats between the first and the last."""

from __future__ import annotations

import csv
import sys

import torch

from graphlab.erase.worlds.posterior import curves, gap

LEVELS = tuple(value / 4 for value in range(-24, 17))
IMAGES = 512


def main() -> None:
    """Print the curves, then the gaps."""
    torch.set_num_threads(1)
    found = curves(LEVELS, images=IMAGES)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("log_snr", "attribute", "information", "standard_error", "accuracy", "images"))
    for curve in found:
        for row in zip(curve.log_snr, curve.information, curve.error, curve.accuracy, strict=True):
            writer.writerow((row[0], curve.attribute, *(f"{value:.4f}" for value in row[1:]), IMAGES))
    writer.writerow(("share_known", *(f"{curve.attribute}_log_snr" for curve in found), "gap_nats"))
    for share in (0.25, 0.5, 0.75, 0.9):
        crossings = (f"{curve.crossing(share):.2f}" for curve in found)
        writer.writerow((share, *crossings, f"{gap(found[0], found[-1], share):.2f}"))


if __name__ == "__main__":
    main()
