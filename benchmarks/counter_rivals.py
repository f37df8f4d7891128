"""FLOPs of one call of a stage as other counters see it, beside graphlab's: the table of docs/comparisons.md.

Counters that are not installed are said to be missing; these are not dependencies (`pip install --no-deps fvcore iopath
portalocker tabulate termcolor yacs calflops thop torchinfo torchprofile ptflops`). Each runs in a process of its own on
the module that graphlab captures, with its positional inputs, as its documentation calls it. Counts of multiply-adds
are doubled. On the meta device nothing has values, so any size fits, and counters that need a run are left out;
`--device cpu` runs the module.

    python -m benchmarks.counter_rivals [MODEL:STAGE ...] [--device meta|cpu] [--plain]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

import graphlab
from benchmarks.eager_attention import plain
from benchmarks.timing import header
from graphlab.sources.arguments import example_arguments

STAGES = ("stable-diffusion-v1-5:unet", "dit-xl-2-256:transformer")
Inputs = tuple[Any, ...]


class Positional(torch.nn.Module):
    """`module`, whose keyword arguments `names` come by position beside `constants`, and whose result is a tensor."""

    def __init__(self, module: torch.nn.Module, names: tuple[str, ...], constants: dict[str, Any]) -> None:
        super().__init__()
        self.module, self.names, self.constants = module, names, constants

    def forward(self, *inputs: Any) -> Any:
        result = self.module(**dict(zip(self.names, inputs, strict=True)), **self.constants)
        return result[0] if isinstance(result, tuple) and len(result) == 1 else result


def torch_counter(module: torch.nn.Module, inputs: Inputs) -> tuple[float, str]:
    """torch.utils.flop_counter.FlopCounterMode."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return counter.get_total_flops(), ""


def torch_profiler(module: torch.nn.Module, inputs: Inputs) -> tuple[float, str]:
    """torch.profiler with `with_flops`."""
    with torch.no_grad(), torch.profiler.profile(with_flops=True) as profile:
        module(*inputs)
    return sum(row.flops for row in profile.key_averages()), ""


def fvcore(module: torch.nn.Module, inputs: Inputs) -> tuple[float, str]:
    """fvcore.nn.FlopCountAnalysis, in multiply-adds."""
    from fvcore.nn import FlopCountAnalysis

    counted = FlopCountAnalysis(module, inputs).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    total = 2 * counted.total()
    skipped = counted.unsupported_ops()
    order = sorted(skipped, key=lambda kind: ("attention" not in kind, -skipped[kind], kind))
    return total, _few([f"{skipped[kind]} {kind}" for kind in order])


def thop(module: torch.nn.Module, inputs: Inputs) -> tuple[float, str]:
    """thop.profile, in multiply-adds."""
    from thop import profile

    macs, _ = profile(module, inputs=inputs, verbose=False)
    return 2 * macs, ""


def calflops(module: torch.nn.Module, inputs: Inputs) -> tuple[float, str]:
    """calflops.calculate_flops, in FLOP."""
    from calflops import calculate_flops

    flops, _, _ = calculate_flops(module, args=list(inputs), print_results=False, output_as_string=False)
    return flops, ""


def torchinfo(module: torch.nn.Module, inputs: Inputs) -> tuple[float, str]:
    """torchinfo.summary, in multiply-adds."""
    from torchinfo import summary

    return 2 * summary(module, input_data=list(inputs), verbose=0).total_mult_adds, ""


def torchprofile(module: torch.nn.Module, inputs: Inputs) -> tuple[float, str]:
    """torchprofile.profile_macs, in multiply-adds."""
    from torchprofile import profile_macs

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        macs = profile_macs(module, inputs)
    ignored = {str(item.message).split('"')[1] for item in caught if "No handlers found" in str(item.message)}
    return 2 * macs, _few(sorted(ignored))


def ptflops(module: torch.nn.Module, inputs: Inputs) -> tuple[float, str]:
    """ptflops.get_model_complexity_info, its default backend, in multiply-adds."""
    from ptflops import get_model_complexity_info

    assert isinstance(module, Positional)
    named = dict(zip(module.names, inputs, strict=True)) | module.constants
    macs, _ = get_model_complexity_info(
        module.module, (1,), input_constructor=lambda _: named, as_strings=False, print_per_layer_stat=False
    )
    return 2 * macs, ""


def _few(kinds: list[str]) -> str:
    """The first three of `kinds`, and how many more there are."""
    return ", ".join(kinds[:3]) + (f" and {len(kinds) - 3} kinds more" if len(kinds) > 3 else "")


COUNTERS: dict[str, tuple[str, Callable[[torch.nn.Module, Inputs], tuple[float, str]]]] = {
    "FlopCounterMode": ("torch", torch_counter),
    "torch.profiler": ("torch", torch_profiler),
    "fvcore": ("fvcore", fvcore),
    "thop": ("thop", thop),
    "calflops": ("calflops", calflops),
    "torchinfo": ("torchinfo", torchinfo),
    "torchprofile": ("torchprofile", torchprofile),
    "ptflops": ("ptflops", ptflops),
}
"""{counter: (its distribution, how it is called)}."""
NEED_VALUES = {"torch.profiler", "fvcore", "torchprofile"}
"""Counters that time or trace a real run, so not on the meta device."""


def count(name: str, stage_name: str, device: str, *, spelled: bool) -> dict[str, Any]:
    """{"flops", "said"} of one counter, or {"failed": why}."""
    workload = graphlab.load(stage_name.partition(":")[0])
    stage = workload.stage(stage_name.partition(":")[2])
    stage = plain(stage) if spelled else stage
    assert stage.build is not None
    named = example_arguments(stage, workload.values(), device)
    module = stage.build()
    if device != "meta":
        if any(True for _ in module.buffers()):
            raise SystemExit(f"{stage_name} has buffers, whose values the meta device does not hold: use --device meta")
        module = module.to_empty(device=device).float()
    tensors = {key: value for key, value in named.items() if isinstance(value, torch.Tensor)}
    wrapped = Positional(module, tuple(tensors), {key: named[key] for key in named.keys() - tensors.keys()}).eval()
    try:
        with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            flops, said = COUNTERS[name][1](wrapped, tuple(tensors.values()))
    except Exception as error:  # whatever another tool raises is its answer
        return {"failed": f"{type(error).__name__}: {str(error).splitlines()[0][:90] if str(error) else ''}"}
    return {"flops": float(flops), "said": said}


def apart(name: str, stage_name: str, device: str, *, spelled: bool) -> dict[str, Any]:
    """`count` in a process of its own: some counters leave patched functions behind."""
    call = [sys.executable, "-W", "ignore", "-m", "benchmarks.counter_rivals", stage_name, "--device", device]
    done = subprocess.run([*call, "--one", name, *(["--plain"] if spelled else [])], capture_output=True, text=True)
    if done.returncode:
        return {"failed": f"exit code {done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def own(stage_name: str) -> int:
    """FLOP of one call as graphlab counts them."""
    source, _, stage = stage_name.partition(":")
    return graphlab.analyze(source, stage=stage, dynamic=False).stages[0].flops_per_step


def table(stage_name: str, device: str, *, spelled: bool) -> None:
    """Prints the Markdown table of one stage."""
    flops = own(stage_name)
    print(f"\n{stage_name}, {device} device{', attention spelled out' if spelled else ''}\n")
    print("| counter | version | GFLOP | of graphlab's | said that it did not count |\n|---|---|---|---|---|")
    print(f"| graphlab | {graphlab.__version__} | {flops / 1e9:.3f} | 100.0 % | - |")
    for name, (package, _) in COUNTERS.items():
        if device == "meta" and name in NEED_VALUES:
            continue
        try:
            release = version(package)
        except PackageNotFoundError:
            print(f"| {name} | not installed | | | |")
            continue
        found = apart(name, stage_name, device, spelled=spelled)
        if "failed" in found:
            print(f"| {name} | {release} | fails: {found['failed']} | | |")
            continue
        share = f"{100 * found['flops'] / flops:.1f} %"
        cells = f"{found['flops'] / 1e9:.3f} | {share} | {found['said'] or '-'}"
        print(f"| {name} | {release} | {cells} |", flush=True)


def main() -> None:
    """Prints a table a stage, or one counter's answer as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", default=STAGES, metavar="MODEL:STAGE")
    parser.add_argument("--device", default="meta", choices=("meta", "cpu"))
    parser.add_argument("--plain", action="store_true", help="attention spelled out, by diffusers' plain processor")
    parser.add_argument("--one", choices=tuple(COUNTERS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.manual_seed(0)
    if given.one:
        print(json.dumps(count(given.one, given.stages[0], given.device, spelled=given.plain)))
        return
    header("FLOP of one call, by other counters")
    for stage in given.stages:
        table(stage, given.device, spelled=given.plain)


if __name__ == "__main__":
    main()
