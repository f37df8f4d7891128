"""Small images on a terminal."""

from __future__ import annotations

import io

import pytest
import torch
from rich.console import Console

from graphlab.cli.erase.picture import draw, half_blocks, smaller
from graphlab.erase.errors import EraseError
from graphlab.erase.jobs.pictures import GAP, PAPER, grid


def pixels(*rows: str) -> torch.Tensor:
    """Black for a dot, white for what is not."""
    grey = torch.tensor([[0 if mark == "." else 255 for mark in row] for row in rows], dtype=torch.uint8)
    return grey[..., None].expand(-1, -1, 3)


def test_two_pixels_are_one_character() -> None:
    lines = half_blocks(pixels("..##", ".#.#", "#..."), colour=False)
    assert [line.plain for line in lines] == [" ▄▀█", "▀   "]


def test_colours_are_those_of_the_pixels() -> None:
    made = torch.tensor([[[255, 0, 0]], [[0, 128, 255]]], dtype=torch.uint8)
    (line,) = half_blocks(made, colour=True)
    (span,) = line.spans
    assert line.plain == "▀"
    assert str(span.style) == "#ff0000 on #0080ff"


def test_what_is_too_wide_becomes_smaller() -> None:
    assert smaller(pixels("##..", "##.."), 2).tolist() == [[[255] * 3, [0] * 3]]
    assert smaller(pixels("#.#", ".#.", "###"), 2).tolist() == [[[128] * 3]]
    stream = io.StringIO()
    draw(Console(file=stream, width=10), torch.zeros(40, 40, 3, dtype=torch.uint8))
    assert stream.getvalue().splitlines() == [" " * 10] * 5


def test_a_grid_has_every_image_in_its_place() -> None:
    first = torch.full((2, 1, 2, 2), -1.0)
    second = torch.stack([torch.full((1, 2, 2), 5.0), torch.full((1, 2, 2), 0.0)])
    made = grid([first, second])
    assert made.shape == (2 * (2 + GAP) + GAP, 2 * (2 + GAP) + GAP, 3)
    assert made[0, 0].tolist() == [PAPER] * 3
    assert made[1, 1].tolist() == [0] * 3
    assert made[4, 1].tolist() == [255] * 3
    assert made[4, 4].tolist() == [128] * 3


@pytest.mark.parametrize(
    "rows",
    [[], [torch.zeros(2, 1, 2, 2), torch.zeros(3, 1, 2, 2)], [torch.zeros(2, 2, 2, 2)], [torch.zeros(0, 1, 2, 2)]],
    ids=["none", "ragged", "two-channels", "empty"],
)
def test_a_grid_refuses(rows: list[torch.Tensor]) -> None:
    with pytest.raises(EraseError):
        grid(rows)
