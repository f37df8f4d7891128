"""A model of an exported folder in the place of the module that a pipeline of diffusers expects."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch

from graphlab.onnx_pipeline.derived import with_derived
from graphlab.onnx_pipeline.errors import PipelineError
from graphlab.onnx_pipeline.model_class import ModelClass

Call: TypeAlias = Callable[[Mapping[str, torch.Tensor]], Sequence[torch.Tensor]]
"""{input: tensor} to the model's results in order."""

_RESULTS = {"out_sample": "sample", "out_hidden_states": "sample"}
"""{a result of a model: what the class calls it}."""
_HIDDEN = "hidden_states."


class Results(tuple[Any, ...]):
    """What a module returned: values in order, and by name as attributes."""

    names: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.names[name]
        except KeyError:
            raise AttributeError(f"the model returns {', '.join(self.names)}, no {name}") from None


def results(names: Sequence[str], values: Sequence[torch.Tensor]) -> Results:
    """`values` called `names`; those called hidden_states.N are one tuple, with None for layers that are not there."""
    named: dict[str, Any] = {}
    layers: dict[int, torch.Tensor] = {}
    for name, value in zip(names, values, strict=True):
        if name.startswith(_HIDDEN):
            layers[int(name.removeprefix(_HIDDEN))] = value
        else:
            named[_RESULTS.get(name, name)] = value
    made = Results(named.values())
    if layers:
        named["hidden_states"] = tuple(layers.get(index) for index in range(max(layers) + 1))
    made.names = named
    return made


class StandIn:
    """Calls an ONNX model as the module of class `made` is called; what else is asked of it, a module without weights.

    `inputs` are {name: (size or axis, ...)} of the model, `outputs` its results. Some pipelines read how wide a layer
    is, or what an autoencoder makes of a latent position: the class, built on the meta device when that is asked for,
    says. `calls` and `seconds` are those of the model so far.
    """

    def __init__(
        self,
        name: str,
        made: ModelClass,
        call: Call,
        inputs: Mapping[str, Sequence[int | str]],
        outputs: Sequence[str],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.name, self.made, self.call = name, made, call
        self.inputs, self.outputs = dict(inputs), list(outputs)
        self.dtype, self.device = dtype, torch.device("cpu")
        self.calls, self.seconds = 0, 0.0
        self._module: Any = None

    def __call__(self, *args: Any, return_dict: bool = True, **kwargs: Any) -> Any:
        """The results for the arguments of the class' forward; PipelineError for what the model does not take."""
        given = dict(self._tensors(with_derived(self.made, {**self._by_name(args), **kwargs})))
        extra = [name for name in given if name not in self.inputs]
        missing = [name for name in self.inputs if name not in given]
        if extra or missing:
            said = [f"is given {', '.join(extra)}, which it does not take"] if extra else []
            said += [f"is not given {', '.join(missing)}"] if missing else []
            raise PipelineError(f"the model {self.name} {' and '.join(said)}", hint="export the folder again")
        fitted = {name: _of_rank(value, self.inputs[name], given) for name, value in given.items()}
        self._check(fitted)
        start = time.perf_counter()
        values = self.call(fitted)
        self.calls, self.seconds = self.calls + 1, self.seconds + time.perf_counter() - start
        return results(self.outputs, [self._between(value) for value in values])

    def decode(self, latent: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """The image or video of `latent`, of an autoencoder; other arguments as its class takes them."""
        names = list(inspect.signature(type(self.skeleton).decode).parameters)[2:] if args else []
        return self(latent_sample=latent, **{**dict(zip(names, args, strict=False)), **kwargs})

    @property
    def skeleton(self) -> Any:
        """The class' own module on the meta device."""
        if self._module is None:
            self._module = _meta(self.made)
        return self._module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in dict(self.skeleton.named_buffers(recurse=False)) and name in self.made.config:
            return torch.tensor(self.made.config[name], dtype=self.dtype)  # `read_weights` put it there
        value = getattr(self.skeleton, name)
        if isinstance(value, torch.Tensor):
            raise PipelineError(
                f"the pipeline reads the weight {name} of {self.name}, which is in no model of the folder",
                hint="run it in PyTorch",
            )
        return value

    def _between(self, value: torch.Tensor) -> torch.Tensor:
        """A result in the precision of what flows between models: schedulers take that of latents from it."""
        return value.to(self.dtype) if value.is_floating_point() else value

    def _by_name(self, args: Sequence[Any]) -> dict[str, Any]:
        if not args:
            return {}
        names = list(inspect.signature(type(self.skeleton).forward).parameters)[1:]
        return dict(zip(names, args, strict=False))

    def _tensors(self, given: Mapping[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
        """The tensors among the arguments, nested ones by their own key; numbers where the model takes a tensor."""
        for name, value in given.items():
            if isinstance(value, torch.Tensor):
                yield name, value
            elif isinstance(value, Mapping):
                yield from self._tensors(value)
            elif name in self.inputs and isinstance(value, (int, float)):
                yield name, torch.tensor(value)

    def _check(self, given: Mapping[str, torch.Tensor]) -> None:
        """PipelineError for another number of axes, and where one that the export fixed has another size."""
        for name, value in given.items():
            wanted, found = self.inputs[name], tuple(value.shape)
            same_rank = len(found) == len(wanted)
            if same_rank and all(
                size == have for size, have in zip(wanted, found, strict=True) if isinstance(size, int)
            ):
                continue
            raise PipelineError(
                f"the model {self.name} takes {name} of {_shown(wanted)}, not {_shown(found)}",
                hint="its size was fixed by the export; run it at that size, or export it at this one",
            )


def _of_rank(value: torch.Tensor, wanted: Sequence[int | str], given: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """A timestep as the model takes it: one for all, or one each of the batch."""
    if value.dim() == len(wanted):
        return value
    if not wanted and value.numel() and bool((value == value.flatten()[0]).all()):
        return value.flatten()[0]
    if len(wanted) == 1 and value.dim() == 0:
        batch = max((len(other) for other in given.values() if other.dim() > 1), default=1)
        return value.expand(batch)
    return value.reshape([1] * (len(wanted) - value.dim()) + list(value.shape)) if value.dim() < len(wanted) else value


def _shown(shape: Sequence[int | str]) -> str:
    return "x".join(map(str, shape)) or "one number"


def _meta(made: ModelClass) -> Any:
    """The module of `made` without weights; PipelineError where its configuration makes none."""
    import diffusers
    import transformers

    try:
        with torch.device("meta"):
            if made.library == "diffusers":
                return getattr(diffusers, made.name).from_config(dict(made.config))
            kind = getattr(transformers, made.name)
            return kind(kind.config_class.from_dict(dict(made.config)))
    except Exception as error:  # a class may raise anything about a configuration it does not expect
        raise PipelineError(f"{made.name} cannot be made from its config.json: {error}") from error
