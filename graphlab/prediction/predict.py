"""`predict`: one forward call on a device under a runtime. Kernels run one after another, launches run ahead."""

from __future__ import annotations

from graphlab.errors import UnknownNameError
from graphlab.kernels.data import StageCall
from graphlab.names import nearest
from graphlab.prediction.data import RUNTIMES, VARIANT, CallTime, KernelModel, KernelTime


def predict(call: StageCall, model: KernelModel, runtime: str = "eager") -> CallTime:
    """The time of `call` on the device of `model`; UnknownNameError for a runtime that is none of RUNTIMES.

    On an asynchronous device a kernel starts when its launch is through and the kernel before it is done, so the
    device idles wherever the host is slower. Elsewhere a launch and its kernel follow each other.
    """
    if runtime not in RUNTIMES:
        raise UnknownNameError(
            f"no runtime is called {runtime!r}", hint=f"{nearest(runtime, RUNTIMES)}known: {', '.join(RUNTIMES)}"
        )
    order = call.order[VARIANT[runtime]]
    used = set(order)
    nothing = KernelTime(0.0, "memory")
    times = tuple(model.time(k, runtime) if i in used else nothing for i, k in enumerate(call.kernels))
    busy = host = free = 0.0
    for index in order:
        time = times[index]
        host += time.host
        busy += time.seconds
        if model.asynchronous:
            free = max(host, free) + time.seconds if time.seconds else free
    seconds = max(free, host) if model.asynchronous else busy + host
    return CallTime(call, runtime, times, seconds, busy, host, tuple(model.notes(call)))
