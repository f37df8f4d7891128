"""The ten glyphs of the layout world, drawn by hand on 5 x 5 pixels."""

from __future__ import annotations

import torch

GLYPHS: dict[str, tuple[str, str, str, str, str]] = {
    "ring": (".###.", "#...#", "#...#", "#...#", ".###."),
    "box": ("#####", "#...#", "#...#", "#...#", "#####"),
    "disc": (".###.", "#####", "#####", "#####", ".###."),
    "block": ("#####", "#####", "#####", "#####", "#####"),
    "plus": ("..#..", "..#..", "#####", "..#..", "..#.."),
    "saltire": ("#...#", ".#.#.", "..#..", ".#.#.", "#...#"),
    "bar": (".....", "#####", ".....", "#####", "....."),
    "pillar": (".#.#.", ".#.#.", ".#.#.", ".#.#.", ".#.#."),
    "slash": ("...##", "..###", ".###.", "###..", "##..."),
    "backslash": ("##...", "###..", ".###.", "..###", "...##"),
}
"""{name: rows}. Ring and box, disc and block are close neighbours: they differ in four corners."""


def bitmaps() -> torch.Tensor:
    """Glyphs (glyphs, 5, 5) float32 of 0 and 1, in the order of GLYPHS."""
    return torch.tensor([[[float(mark == "#") for mark in row] for row in rows] for rows in GLYPHS.values()])
