"""Points of an iteration: one path, uniform levels of the right side, and paths that are kept."""

from __future__ import annotations

import dataclasses
from math import inf

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.sampling import Draw, PointSampler, TeacherPaths
from graphlab.erase.trajectory import Boundary, Trajectory
from tests.erase.mixtures import EMPTY, GIVEN, exact, text

TEACHER = exact()
LEVELS = TEACHER.schedule.levels(20)
SAMPLER = PointSampler(LEVELS, Boundary(0.0), (3, 1, 1, 2), guidance=2.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_both_points_lie_on_one_path_at_their_levels() -> None:
    draw = SAMPLER.draw(generator())
    assert draw.early is not None
    assert draw.late is not None
    drawn = SAMPLER.points(draw, TEACHER, GIVEN, EMPTY)
    assert drawn.early is not None
    assert drawn.late is not None
    assert drawn.early.level.log_snr < 0 <= drawn.late.level.log_snr
    path = list(Trajectory(TEACHER, LEVELS, 2.0).points(SAMPLER.noise(draw.seed, GIVEN), GIVEN, EMPTY))
    assert torch.equal(drawn.early.x, path[draw.early].x)
    assert torch.equal(drawn.late.x, path[draw.late].x)
    assert drawn.late.level == path[draw.late].level


def test_levels_are_uniform_over_their_side() -> None:
    early, late = SAMPLER.sides
    assert sorted([*early, *late]) == list(range(20))
    source = generator()
    draws = [SAMPLER.draw(source) for _ in range(4000)]
    for side, found in ((early, [d.early for d in draws]), (late, [d.late for d in draws])):
        counts = [found.count(index) for index in side]
        assert sum(counts) == 4000
        expected = 4000 / len(side)
        assert all(abs(count - expected) < 5 * expected**0.5 for count in counts)
    assert len({d.seed for d in draws}) == 4000


def test_the_generator_alone_decides() -> None:
    torch.manual_seed(1)
    first = [SAMPLER.draw(generator(5)) for _ in range(2)]
    torch.manual_seed(2)
    assert first == [SAMPLER.draw(generator(5))] * 2
    assert SAMPLER.draw(generator(6)) != first[0]


@pytest.mark.parametrize(("boundary", "early", "late"), [(-inf, False, True), (inf, True, False)], ids=["esd", "none"])
def test_a_side_without_levels_has_no_point(boundary: float, early: bool, late: bool) -> None:
    sampler = dataclasses.replace(SAMPLER, boundary=Boundary(boundary))
    draw = sampler.draw(generator())
    drawn = sampler.points(draw, TEACHER, GIVEN, EMPTY)
    assert ((draw.early is not None), (draw.late is not None)) == (early, late)
    assert ((drawn.early is not None), (drawn.late is not None)) == (early, late)
    kept = TeacherPaths(TEACHER, 2**20).points(sampler, draw, GIVEN, EMPTY)
    assert (kept.early is None) == (drawn.early is None)


def test_until_ends_the_late_side_and_an_empty_range_is_refused() -> None:
    sampler = dataclasses.replace(SAMPLER, until=2.0)
    assert all(0 <= LEVELS[index].log_snr < 2 for index in sampler.sides[1])
    assert sampler.sides[0] == SAMPLER.sides[0]
    with pytest.raises(EraseError, match="none of 20 levels"):
        dataclasses.replace(SAMPLER, boundary=Boundary(-inf), until=-inf)
    with pytest.raises(EraseError, match="no level lies"):
        dataclasses.replace(SAMPLER, until=-1.0).late_points([Draw(1, 2, None)], TEACHER, GIVEN, EMPTY)


def test_a_pool_gives_all_its_seeds_and_no_other() -> None:
    sampler = dataclasses.replace(SAMPLER, pool=(7, 8, 9))
    source = generator()
    assert {sampler.draw(source).seed for _ in range(100)} == {7, 8, 9}


def test_kept_paths_give_the_same_points_and_ask_the_teacher_less() -> None:
    sampler = dataclasses.replace(SAMPLER, pool=(0, 1))
    paths = TeacherPaths(TEACHER, 2**20)
    source = generator()
    for _ in range(30):
        draw = sampler.draw(source)
        made, plain = paths.points(sampler, draw, GIVEN, EMPTY), sampler.points(draw, TEACHER, GIVEN, EMPTY)
        for one, other in ((made.early, plain.early), (made.late, plain.late)):
            assert one is not None
            assert other is not None
            assert torch.equal(one.x, other.x)
            assert one.level == other.level
    assert paths.evaluated <= 2 * (len(LEVELS) - 1)


@pytest.mark.parametrize("what", ["seed", "text", "empty", "guidance", "levels"])
def test_another_path_is_not_taken_for_a_kept_one(what: str) -> None:
    paths = TeacherPaths(TEACHER, 2**20)
    draw = Draw(3, 2, 15)
    before = paths.points(SAMPLER, draw, GIVEN, EMPTY)
    changed, given, empty = SAMPLER, GIVEN, EMPTY
    if what == "seed":
        draw = Draw(4, 2, 15)
    elif what == "text":
        given = text(1, 1, 1, 3)
    elif what == "empty":
        empty = text(1, 1, 3, 1)
    elif what == "guidance":
        changed = dataclasses.replace(SAMPLER, guidance=1.5)
    else:
        changed = dataclasses.replace(SAMPLER, levels=TEACHER.schedule.levels(19))
    made = paths.points(changed, draw, given, empty)
    plain = changed.points(draw, TEACHER, given, empty)
    assert made.late is not None
    assert plain.late is not None
    assert before.late is not None
    assert torch.equal(made.late.x, plain.late.x)
    assert not torch.equal(made.late.x, before.late.x)


def test_kept_paths_stay_within_their_bytes_and_the_oldest_goes() -> None:
    one_path = 20 * 3 * 2 * 8
    paths = TeacherPaths(TEACHER, 2 * one_path)
    for seed in (1, 2, 1, 3):
        paths.points(SAMPLER, Draw(seed, None, 19), GIVEN, EMPTY)
        assert paths.held <= 2 * one_path
    asked = paths.evaluated
    paths.points(SAMPLER, Draw(1, None, 19), GIVEN, EMPTY)
    assert paths.evaluated == asked
    paths.points(SAMPLER, Draw(2, None, 19), GIVEN, EMPTY)
    assert paths.evaluated == asked + 19
    small = TeacherPaths(TEACHER, 10)
    small.points(SAMPLER, Draw(1, None, 19), GIVEN, EMPTY)
    assert small.held == 0
    with pytest.raises(EraseError, match="-1 bytes"):
        TeacherPaths(TEACHER, -1)


def test_late_points_of_many_draws_are_those_of_each() -> None:
    source = generator()
    draws = [SAMPLER.draw(source) for _ in range(5)]
    together = SAMPLER.late_points(draws, TEACHER, GIVEN, EMPTY)
    for draw, point in zip(draws, together, strict=True):
        alone = SAMPLER.points(draw, TEACHER, GIVEN, EMPTY).late
        assert alone is not None
        assert point.level == alone.level
        assert torch.allclose(point.x, alone.x, rtol=1e-12, atol=1e-12)
