"""The quantities that are compared and that rules are about: name, base unit, what it is, and whether parts add up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity. `adds`: the sum of its changes over the parts is the change of the total."""

    name: str
    unit: str
    help: str
    adds: bool = True


QUANTITIES = (
    Quantity("flops", "FLOP", "FLOP of contractions"),
    Quantity("pointwise", "FLOP", "FLOP of everything else"),
    Quantity("bytes", "B", "bytes read and written, attention scores kept on the chip; of a rewrite as it is spelled"),
    Quantity("bytes_materialized", "B", "bytes read and written, attention scores in memory"),
    Quantity("peak_memory", "B", "largest sum of activations alive at once, attention fused", adds=False),
    Quantity("peak_memory_materialized", "B", "the same with attention scores in memory", adds=False),
    Quantity("cache_bytes", "B", "key and value cache at the last step", adds=False),
    Quantity("params", "", "parameters; weights that stages share count once in the total", adds=False),
    Quantity("weight_bytes", "B", "bytes of parameters, buffers and constants, likewise", adds=False),
    Quantity("seconds", "s", "ideal, predicted or measured time"),
    Quantity("seconds_materialized", "s", "predicted time with attention scores in memory"),
    Quantity("seconds_compiled", "s", "predicted time with merged calls and no host"),
    Quantity("seconds_idle", "s", "of the predicted time, that in which the device waits"),
    Quantity("compile_seconds", "s", "time of compiling, measured once"),
    Quantity("process_memory", "B", "most memory of the process while it ran, measured once", adds=False),
    Quantity("nodes", "", "calls of one call's graph"),
    Quantity("attention", "", "attentions of one call"),
    Quantity("attention_fused", "", "those that are one fused operator"),
    Quantity("attention_spelled", "", "those that are spelled out"),
    Quantity("uncounted", "", "calls without a rule, whose FLOP are in no sum"),
)
BY_NAME = {item.name: item for item in QUANTITIES}
"""{name: Quantity}, in the order they are shown."""
ALIASES = {"bytes_fused": "bytes", "bytes_spelled": "bytes"}
"""{name that readers are shown, which says which bytes are meant: name of the quantity}."""
