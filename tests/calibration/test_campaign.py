"""Probes: what they call, the tables they fill, and rounds by a clock that the test turns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import pytest
import torch

from graphlab.calibrating.arena import Arena
from graphlab.calibrating.campaign import Campaign, all_probes, quiet
from graphlab.calibrating.device import calibrate, device_text, run_campaign
from graphlab.calibrating.probe import Operation, Probe
from graphlab.calibration.data import CALLS, TABLES
from graphlab.calibration.format import calibration_from
from graphlab.calibration.grid import gaps
from graphlab.errors import GraphlabError


class Ticking:
    """A clock that moves when an operator runs, by what the test says that takes."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def operation(self, seconds: float) -> Operation:
        def run() -> None:
            self.now += seconds

        return Operation(run, ())


@pytest.fixture
def arena() -> Arena:
    return Arena(1 << 20)


def test_every_probe_has_its_own_place() -> None:
    places = Counter((probe.table, probe.sizes) for probe in all_probes())
    assert max(places.values()) == 1


@pytest.mark.parametrize("table", sorted(TABLES))
def test_probes_fill_every_table_without_gaps(table: str) -> None:
    points = {probe.sizes: 1.0 for probe in all_probes() if probe.table == table}
    assert points
    assert {len(sizes) for sizes in points} == {len(TABLES[table])}
    assert gaps(points) == []


def test_every_call_is_probed() -> None:
    assert sum(probe.table == "call" for probe in all_probes()) == len(CALLS)


def smallest(table: str) -> Probe:
    return min((probe for probe in all_probes() if probe.table == table), key=lambda probe: math.prod(probe.sizes))


@pytest.mark.parametrize("table", ["linear", "conv_1x1", "conv_3x3", "conv_3x3_stride2", "conv_patch", "conv_3x3x3"])
def test_a_product_computes_the_flops_of_its_sizes(table: str, arena: Arena) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    probe = smallest(table)
    operation = probe.build(arena)[0]
    with FlopCounterMode(display=False) as counter:
        operation.function(*operation.args, **operation.kwargs)
    assert counter.get_total_flops() == 2 * math.prod(probe.sizes[-3:])


@pytest.mark.parametrize("table", ["add", "mul_scalar", "silu", "to", "where", "clone", "cat", "upsample_nearest2d"])
def test_bytes_are_those_the_cost_model_counts(table: str, arena: Arena) -> None:
    probe = smallest(table)
    operation = probe.build(arena)[0]
    result = operation.function(*operation.args, **operation.kwargs)
    tensors = [value for value in operation.args if isinstance(value, torch.Tensor)]
    tensors += [item for value in operation.args if isinstance(value, list) for item in value if torch.is_tensor(item)]
    assert sum(t.numel() * t.element_size() for t in [*tensors, result]) == probe.sizes[0]


def test_views_move_nothing(arena: Arena) -> None:
    for probe in all_probes():
        if probe.table != "call" or CALLS[probe.sizes[0]] == "add":
            continue
        operation = probe.build(arena)[0]
        result = operation.function(*operation.args, **operation.kwargs)
        made = result if isinstance(result, (list, tuple)) else [result]
        given = operation.args[0] if isinstance(operation.args[0], list) else [operation.args[0]]
        owners = {tensor.untyped_storage().data_ptr() for tensor in given}
        assert {tensor.untyped_storage().data_ptr() for tensor in made} <= owners, CALLS[probe.sizes[0]]


def test_a_sample_is_the_time_of_one_call(arena: Arena) -> None:
    clock = Ticking()
    probe = Probe("add", (1,), lambda arena: [clock.operation(1.0), clock.operation(3.0)])
    campaign = Campaign([probe], arena, clock)
    campaign.warm_up()
    for _ in range(4):
        campaign.round()
    assert campaign.samplers[0].samples == [3.0, 1.0, 3.0, 1.0] or campaign.samplers[0].samples == [1.0, 3.0, 1.0, 3.0]
    assert campaign.seconds() == {("add", (1,)): 2.0}


def test_short_calls_are_sampled_more_often(arena: Arena) -> None:
    clock = Ticking()
    probes = [Probe("add", (index,), lambda arena, s=s: [clock.operation(s)]) for index, s in enumerate((1e-6, 1.0))]
    campaign = Campaign(probes, arena, clock)
    campaign.warm_up()
    campaign.round()
    assert [len(item.samples) for item in campaign.samplers] == [5, 1]


@pytest.mark.parametrize(("rounds", "budget", "made"), [(4, 100.0, 4), (4, 3.5, 2), (4, 0.5, 1)])
def test_rounds_end_with_the_budget(rounds: int, budget: float, made: int, arena: Arena) -> None:
    """Warming up takes two of the seconds here, and a round one."""
    clock = Ticking()
    probe = Probe("add", (1,), lambda arena: [clock.operation(1.0)])
    campaign = run_campaign(Campaign([probe], arena, clock), rounds, budget, clock=clock)
    assert campaign.rounds == made


def test_results_are_freed(arena: Arena) -> None:
    made: list[Callable[[], object]] = []

    def run() -> torch.Tensor:
        import weakref

        result = torch.zeros(4)
        made.append(weakref.ref(result))
        return result

    campaign = Campaign([Probe("add", (1,), lambda arena: [Operation(run, ())])], arena)
    campaign.warm_up()
    campaign.round()
    assert made
    assert all(reference() is None for reference in made)


def test_probing_leaves_the_values_as_they_were(arena: Arena) -> None:
    before = arena.activations(64)[0].clone()
    campaign = Campaign([smallest("silu"), smallest("linear")], arena)
    campaign.warm_up()
    campaign.round()
    assert torch.equal(arena.activations(64)[0], before)


def test_garbage_collection_is_as_it_was() -> None:
    import gc

    assert gc.isenabled()
    with quiet():
        assert not gc.isenabled()
        assert torch.is_inference_mode_enabled()
    assert gc.isenabled()


BAD = [("threads", 0), ("threads", True), ("rounds", 0), ("budget", 0.0), ("budget", float("nan")), ("title", " ")]


@pytest.mark.parametrize(("option", "value"), BAD, ids=[f"{option}-{value}" for option, value in BAD])
def test_impossible_options_are_refused(option: str, value: object) -> None:
    with pytest.raises(GraphlabError):
        calibrate(**{option: value})  # type: ignore[arg-type]  # that is the point


def test_one_round_of_everything_makes_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real probes, the large ones left out for time; a file of the rest is read back."""
    import tomllib

    import graphlab.calibrating.device as module

    def small() -> list[Probe]:
        kept = {"strided_copy", "call", "triad", "reused", "fresh", "tail"}
        return [probe for probe in all_probes() if probe.table in kept or math.prod(probe.sizes) <= 1 << 22]

    monkeypatch.setattr(module, "all_probes", small)
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        found = calibrate(rounds=1, threads=1, budget=0.1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert found.calibration is not None
    assert found.calibration.threads == 1
    assert found.calibration.rounds == 1
    table = tomllib.loads(device_text(found))
    assert calibration_from(table["calibration"], "x") == found.calibration
    assert set(found.sources) == {"memory_bytes", "memory_bandwidth", "peak_flops.float32"}
