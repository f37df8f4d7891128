"""Runs calls of a tape on values, in the model's dtype or in float64, handing out values by name on the way."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from graphlab.graph import Ref
from graphlab.verification.result import VerificationError
from graphlab.verification.tape import Call, refs_in

WIDER: Mapping[torch.dtype, torch.dtype] = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.float8_e4m3fn: torch.float64,
    torch.float8_e5m2: torch.float64,
    torch.float8_e4m3fnuz: torch.float64,
    torch.float8_e5m2fnuz: torch.float64,
    torch.complex32: torch.complex128,
    torch.complex64: torch.complex128,
}
"""What each dtype becomes in a float64 run; integers and booleans stay."""

_DRAWN_WITHOUT_VALUES = ("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like")


class RunError(VerificationError):
    """An operator that fails on the values it was given; the message names the node."""


def wide(value: torch.Tensor) -> torch.Tensor:
    """`value` in float64 (complex128) where it is floating, itself otherwise."""
    return value.to(WIDER.get(value.dtype, value.dtype))


class Execution:
    """One run of `calls`, started with `values` ({name: tensor}), which are not written into.

    Iterating yields (name, value) of those in `wanted` as they are made, first the given ones. Values nobody reads
    later are dropped. `double` retypes every floating dtype in the arguments to float64 and leaves autocast out.
    `results` fills a template after the run.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        values: Mapping[str, Any],
        *,
        device: torch.device,
        double: bool,
        wanted: Collection[str] = (),
        keep: Collection[str] = (),
    ) -> None:
        self.calls, self.double, self.device = calls, double, device
        self.wanted, self.keep = set(wanted), set(keep)
        writes = any(call.writes for call in calls)
        self.copies = writes
        self.values = {k: v.clone() if writes and isinstance(v, torch.Tensor) else v for k, v in values.items()}
        self.start = self.values.copy()
        self.given = set(self.values)
        self.last = {name: index for index, call in enumerate(calls) for name in (*call.refs, call.name)}

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for name in list(self.values):
            if name in self.wanted:
                yield name, self._handed_out(self.values[name])
        for index, call in enumerate(self.calls):
            self.values[call.name] = self._run(call)
            if call.name in self.wanted:
                yield call.name, self._handed_out(self.values[call.name])
            for name in (*call.refs, call.name):
                if self.last[name] == index and name not in self.keep:
                    self.values.pop(name, None)

    def given_value(self, name: str) -> Any:
        """What the value `name` that the run started with holds after it, written into or not."""
        return self.start[name]

    def finish(self) -> None:
        """Runs to the end."""
        for _ in self:
            pass

    def results(self, template: Any) -> Any:
        """`template` with the values of the run; the names in it were in `keep`."""
        return _fill(template, self.values, None, None)

    def _handed_out(self, value: Any) -> Any:
        return value.clone() if self.copies and isinstance(value, torch.Tensor) else value

    def _run(self, call: Call) -> Any:
        dtypes = None if not self.double or self._drawn(call) else WIDER
        if self.double and call.op == "aten.view.dtype":
            raise RunError(f"{call.name} reads bits of a {call.args[1]}, which has no float64 counterpart")
        args = _fill(call.args, self.values, dtypes, self.device)
        kwargs = {key: _fill(value, self.values, dtypes, self.device) for key, value in call.kwargs.items()}
        try:
            with torch.inference_mode(), self._context(call), _seeded(call, self.device), _default(self.double):
                result = call.function(*args, **kwargs)
        except Exception as error:  # whatever a kernel, or a stranger's operator, may raise
            reason = " ".join(str(error).split())[:200]
            raise RunError(f"{call.op} at node {call.name} cannot be run: {type(error).__name__}: {reason}") from error
        return wide(result) if self.double and self._drawn(call) and isinstance(result, torch.Tensor) else result

    def _drawn(self, call: Call) -> bool:
        """Random numbers differ by dtype: both precisions get those of the model's."""
        return call.random and call.op.split(".")[1] in _DRAWN_WITHOUT_VALUES

    def _context(self, call: Call) -> Any:
        if call.autocast is None or self.double:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=call.autocast.dtype)


def _fill(template: Any, values: Mapping[str, Any], dtypes: Mapping[Any, Any] | None, device: Any) -> Any:
    if isinstance(template, Ref):
        return values[template.name]
    if isinstance(template, torch.dtype):
        return dtypes.get(template, template) if dtypes is not None else template
    if isinstance(template, torch.device):
        return device if device is not None else template
    if isinstance(template, (tuple, list)):
        items = [_fill(item, values, dtypes, device) for item in template]
        return tuple(items) if isinstance(template, tuple) else items
    if isinstance(template, Mapping):
        return {key: _fill(item, values, dtypes, device) for key, item in template.items()}
    return template


@contextmanager
def _seeded(call: Call, device: torch.device) -> Iterator[None]:
    """The same random numbers for a node of the same name, whatever was drawn before."""
    if not call.random:
        yield
        return
    seed = zlib.crc32(call.name.encode())
    if device.type != "cpu":
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
        return
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)  # `torch.manual_seed` also queues a call for every accelerator
    try:
        yield
    finally:
        torch.default_generator.set_state(state)


@contextmanager
def _default(double: bool) -> Iterator[None]:
    """float64 for operators that are told no dtype (`arange` of floats, a division of integers)."""
    if not double:
        yield
        return
    old = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(old)


def names_in(template: Any) -> set[str]:
    """Names of the values a results template reads."""
    return set(refs_in(template))
