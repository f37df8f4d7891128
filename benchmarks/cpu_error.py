"""How far the calibrated model is from this machine: predicted against measured time, on sizes no probe has.

Every round runs all probes of `graphlab calibrate` once and every configuration of cpu_error.toml at least once, in
turn, so that a machine that drifts drifts for both; medians over rounds. A configuration is captured, given random
weights and run node by node, with a clock around every node (categories) and without (end to end).

    python -m benchmarks.cpu_error --rounds 5 --threads 1
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from graphlab.calibrating.arena import Arena
from graphlab.calibrating.campaign import Campaign, all_probes, clock_seconds, quiet
from graphlab.calibrating.device import hardware_of
from graphlab.calibrating.probe import Clock
from graphlab.components import component_for
from graphlab.components.causal_lm import causal_lm_workload
from graphlab.kernels.data import StageCall
from graphlab.kernels.extract import stage_call
from graphlab.loading import load
from graphlab.measuring.interpret import CpuTimer, Timer, plain_round, run_once, timed_round
from graphlab.measuring.machine import device_model
from graphlab.measuring.materialize import inputs, weights
from graphlab.measuring.plan import Plan
from graphlab.measuring.stage import Captured, prepare_stage
from graphlab.prediction.calibrated import CalibratedModel
from graphlab.prediction.data import VARIANT, CallTime
from graphlab.prediction.predict import predict
from graphlab.sources.stage import tensor_inputs
from graphlab.workload import Stage, Workload

ROWS = Path(__file__).with_name("cpu_error.toml")
RUNTIME = "eager"
MEDIAN_BAR, WORST_BAR = 0.15, 0.40
SAMPLE = 0.05
"""Seconds a configuration runs for in a round, at least one run with and one without clocks."""


class ThreadTimer(CpuTimer):
    """Processor time of this thread: what the wall would show if nothing else ran. For one thread only."""

    def mark(self) -> int:
        """Nanoseconds."""
        return time.thread_time_ns()


@dataclass
class Subject:
    """A configuration ready to run, and what its runs took."""

    row: Mapping[str, Any]
    plan: Plan
    slots: list[Any]
    call: StageCall
    category_of: Mapping[str, str]
    clock: float
    plain: list[float] = field(default_factory=list)
    steps: list[tuple[float, ...]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.row["name"])

    @property
    def nodes(self) -> list[float]:
        """Median seconds of every step, what reading the clock takes being left out."""
        return [max(median(seconds) - self.clock, 0.0) for seconds in zip(*self.steps, strict=True)]

    def run(self, timer: Timer) -> None:
        """One round: runs with and without clocks in turn."""
        end = time.perf_counter() + SAMPLE
        with quiet():
            while True:
                self.plain.append(plain_round(self.plan.steps, self.slots, timer))
                self.steps.append(timed_round(self.plan.steps, self.slots, timer)[1])
                if time.perf_counter() >= end:
                    break

    def measured_by_category(self) -> dict[str, float]:
        """{category: seconds}, medians of each node summed up."""
        found: dict[str, float] = {}
        for step, seconds in zip(self.plan.steps, self.nodes, strict=True):
            category = self.category_of.get(step.name or "", "none")
            found[category] = found.get(category, 0.0) + seconds
        return found


def workload_of(row: Mapping[str, Any]) -> tuple[Workload, Stage]:
    """The workload and stage that `row` names, its sizes bound."""
    name = row["name"]
    if "model" in row:
        workload = load(row["model"])
    elif row["component"].endswith("CausalLM"):
        workload = causal_lm_workload(name, name, row["component"], row["config"], "float32")
    else:
        part = component_for(row["component"], row["config"], "float32")
        workload = Workload(name=name, source=name, stages=(part.stage("model"),), variables=part.variables)
    workload = workload.bind(row.get("bindings", {}))
    return workload, workload.stage(row.get("stage", "model"))


def subject(row: Mapping[str, Any], clock: Clock) -> Subject:
    """`row` captured, given weights and warmed up; `clock` is the one it will be timed by."""
    workload, stage = workload_of(row)
    device = torch.device("cpu")
    captured = prepare_stage(workload, stage, device, trusted=True).calls[0]
    assert captured.program.exported is not None
    roles = {name: spec.role for name, spec in tensor_inputs(stage).items()}
    values = weights(captured.program.exported, device)
    slots = captured.plan.slots(values, inputs(captured.facts.graph, roles, device))
    run_once(captured.plan, slots)
    call = stage_call(
        captured.facts, name=stage.name, dtype="float32", values=workload.values(), cache_bytes=0, notes=()
    )
    return Subject(row, captured.plan, slots, call, categories(captured), clock_seconds(clock))


def categories(captured: Captured) -> dict[str, str]:
    """{node: its category, "attention" for all of an attention}; every attention of these models is one kernel."""
    sites = captured.facts.result("attention")
    assert all(site.fused for site in sites)
    found = {name: cost.category for name, cost in captured.facts.result("cost").items()}
    return found | {name: "attention" for site in sites for name in site.members}


def predicted_by_category(time_: CallTime) -> dict[str, float]:
    """{category: seconds}, the host's included."""
    found: dict[str, float] = {}
    for index in time_.call.order[VARIANT[time_.runtime]]:
        category, one = time_.call.kernels[index].category, time_.times[index]
        found[category] = found.get(category, 0.0) + one.seconds + one.host
    return found


def error(predicted: float, measured: float) -> float:
    """Relative and signed."""
    return predicted / measured - 1.0


def print_rows(title: str, subjects: Sequence[Subject], times: Mapping[str, CallTime]) -> list[float]:
    """A table of end-to-end errors, then one of categories; returns the errors."""
    print(f"\n### {title}\n\n| configuration | calls | predicted, ms | measured, ms | error |\n|---|---|---|---|---|")
    errors = []
    for item in subjects:
        predicted, measured = times[item.name].seconds, median(item.plain)
        errors.append(error(predicted, measured))
        count = len(item.plan.steps)
        print(f"| {item.name} | {count} | {predicted * 1e3:.2f} | {measured * 1e3:.2f} | {errors[-1]:+.1%} |")
    absolute = sorted(map(abs, errors))
    print(f"\nmedian absolute error {median(absolute):.1%}, worst {absolute[-1]:.1%}, n={len(absolute)}")
    print_categories(subjects, times)
    return errors


def print_categories(subjects: Iterable[Subject], times: Mapping[str, CallTime]) -> None:
    """Errors of the categories that take at least 5 % of their configuration, and the sums over configurations."""
    errors: dict[str, list[float]] = {}
    for item in subjects:
        predicted, measured = predicted_by_category(times[item.name]), item.measured_by_category()
        for category, seconds in measured.items():
            if seconds >= 0.05 * sum(measured.values()):
                errors.setdefault(category, []).append(error(predicted.get(category, 0.0), seconds))
    print("\n| category | configurations | median error | median absolute | worst |\n|---|---|---|---|---|")
    for category, found in sorted(errors.items()):
        absolute = sorted(map(abs, found))
        middle, worst = median(found), max(found, key=abs)
        print(f"| {category} | {len(found)} | {middle:+.1%} | {median(absolute):.1%} | {worst:+.1%} |")


def node_records(item: Subject, time_: CallTime) -> list[dict[str, Any]]:
    """Every kernel of `item` with what it was predicted and measured to take, in call order."""
    named = [seconds for step, seconds in zip(item.plan.steps, item.nodes, strict=True) if step.name is not None]
    records = []
    for index, seconds in zip(item.call.order[VARIANT[time_.runtime]], named, strict=True):
        one = time_.times[index]
        records.append(
            {
                "name": item.name,
                "kernel": item.call.kernels[index].to_list(),
                "predicted": one.seconds + one.host,
                "measured": seconds,
            }
        )
    return records


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=("wall", "thread"), default="wall", help="thread: processor time")
    parser.add_argument("--role", choices=("judge", "development"), help="only these rows")
    parser.add_argument("--nodes", type=Path, help="write every node of the development rows to this JSON file")
    return parser.parse_args()


def main() -> int:
    """Prints the tables; 1 when a bar is missed."""
    options = arguments()
    torch.set_num_threads(options.threads)
    timer = ThreadTimer() if options.clock == "thread" else CpuTimer()
    clock = time.thread_time if options.clock == "thread" else time.perf_counter
    rows = tomllib.loads(ROWS.read_text())["configuration"]
    subjects = [subject(row, clock) for row in rows if options.role in (None, row["role"])]
    campaign = Campaign(all_probes(), Arena(), clock)
    campaign.warm_up()
    for _ in range(options.rounds):
        campaign.round()
        for item in subjects:
            item.run(timer)
    model = CalibratedModel(hardware_of(campaign))
    times = {item.name: predict(item.call, model, RUNTIME) for item in subjects}
    print(
        f"{device_model(torch.device('cpu'))}, {options.threads} threads, torch {torch.__version__}, "
        f"{options.rounds} rounds, {options.clock} clock"
    )
    developed = [item for item in subjects if item.row["role"] == "development"]
    judged = [item for item in subjects if item.row["role"] == "judge"]
    if developed:
        print_rows("Development", developed, times)
    if options.nodes is not None:
        records = [record for item in developed for record in node_records(item, times[item.name])]
        options.nodes.write_text(json.dumps(records))
    if not judged:
        return 0
    absolute = sorted(map(abs, print_rows("Judged", judged, times)))
    return int(median(absolute) > MEDIAN_BAR or absolute[-1] > WORST_BAR)


if __name__ == "__main__":
    raise SystemExit(main())
