"""From a configuration to a `Stage`: the one place that knows how each model class is called.

Built-in models, diffusers and transformers folders and fingerprinted checkpoints all come through here, so
the shapes and names of a class's inputs are written once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from graphlab.errors import GraphlabError, UnknownArchitectureError
from graphlab.names import nearest
from graphlab.workload import Argument, Size, Stage, Variable

if TYPE_CHECKING:
    import torch

Config: TypeAlias = Mapping[str, Any]
"""A `config.json` as diffusers or transformers writes it, with class defaults filled in by the class."""

PIXELS_PER_LATENT, FRAMES_PER_LATENT = "_graphlab_pixels_per_latent", "_graphlab_frames_per_latent"
"""Keys a pipeline's loader adds to a denoiser's configuration: what its autoencoder makes of a latent position.
diffusers' from_config ignores keys that start with an underscore."""


GUIDANCE_STOP = Variable(
    "guidance_stop", 1.0, "share of the steps that are guided; the steps after it make one call", minimum=0, maximum=1
)
"""diffusers' guiders call it `stop`; 1 is what every pipeline does that has no such option."""


@dataclass(frozen=True, slots=True)
class Component:
    """How one model class takes part in a workload.

    `inputs` maps parameters of `forward` to arguments over `variables`, whose defaults are the model's own.
    `build` makes the module on the meta device. `wrap` is set where the module is captured through a
    wrapper (a KV cache, a decoder method): `build` already returns the wrapped module.

    `separate_calls` says that its pipeline makes the calls of a guided step one after another, not as one call at
    twice the batch.

    Autoencoders set `pixels_per_latent` and, for video, `frames_per_latent`. Denoisers say how their pipeline
    calls text encoders without a length of their own: `masked_text`, whether with an attention mask;
    `template_tokens`, tokens of a prompt template that are encoded and then cut off.
    """

    class_name: str
    inputs: Mapping[str, Argument]
    variables: tuple[Variable, ...]
    build: Callable[[], torch.nn.Module]
    dtype: str
    assumptions: tuple[str, ...] = ()
    strict: bool = False
    identity: str = ""
    square: bool = False
    separate_calls: bool = False
    pixels_per_latent: int | None = None
    frames_per_latent: int | None = None
    masked_text: bool = True
    template_tokens: int = 0

    def stage(
        self,
        name: str,
        *,
        steps: Size = 1,
        calls_per_step: Size = 1,
        batch: Size = "batch",
        step_bindings: Mapping[str, Size] | None = None,
        inputs: Mapping[str, Argument] | None = None,
    ) -> Stage:
        """This component as the stage `name`; `inputs` overrides some of its arguments."""
        return Stage(
            name=name,
            dtype=self.dtype,
            inputs={**self.inputs, **(inputs or {})},
            build=self.build,
            steps=steps,
            calls_per_step=calls_per_step,
            batch=batch,
            step_bindings=step_bindings or {},
            assumptions=self.assumptions,
            strict=self.strict,
            identity=self.identity,
            square=self.square,
            separate_calls=self.separate_calls,
        )


ComponentFactory: TypeAlias = Callable[[Config, str], Component]
"""(config, dtype name) -> Component."""

COMPONENTS: dict[str, ComponentFactory] = {}


def component(class_name: str) -> Callable[[ComponentFactory], ComponentFactory]:
    """Register the factory of `class_name`; registering a class twice raises."""

    def register(factory: ComponentFactory) -> ComponentFactory:
        if class_name in COMPONENTS:
            raise ValueError(f"component {class_name} is registered twice")
        COMPONENTS[class_name] = factory
        return factory

    return register


def component_for(class_name: str, config: Config, dtype: str) -> Component:
    """The Component of `class_name` under `config`; UnknownArchitectureError lists the known classes.

    A configuration whose values make no module is an UnknownArchitectureError too, here or from `build`.
    """
    factory = COMPONENTS.get(class_name)
    if factory is None:
        raise UnknownArchitectureError(
            f"graphlab does not know how {class_name} is called",
            hint=f"{nearest(class_name, COMPONENTS)}write a function that returns (module, args, kwargs) and pass "
            "path/file.py:function",
        )
    identity = f"{class_name} {dtype} {json.dumps(config, sort_keys=True, default=str)}"
    with readable(class_name):
        made = factory(config, dtype)
    for variable in made.variables:
        if variable.default < min(variable.minimum, 1):
            raise UnknownArchitectureError(f"{class_name}: the configuration makes {variable.name} {variable.default}")
    return replace(made, build=checked(class_name, made.build), identity=identity)


@contextmanager
def readable(class_name: str) -> Iterator[None]:
    """Turns what a class raises about its configuration into one line that names the class and the reason."""
    try:
        yield
    except (GraphlabError, ImportError, MemoryError):
        raise
    except Exception as error:  # a class may raise anything about values it does not expect
        reason = " ".join(str(error).split()).rstrip(".") or "no reason given"
        raise UnknownArchitectureError(
            f"{class_name} cannot be made from this configuration: {type(error).__name__}: {reason}",
            hint="correct the value in config.json",
        ) from error


def checked(class_name: str, build: Callable[[], torch.nn.Module]) -> Callable[[], torch.nn.Module]:
    """`build`, whose errors are those of `readable`."""

    def build_readably() -> torch.nn.Module:
        with readable(class_name):
            return build()

    return build_readably


def pixels_per_latent(config: Config, otherwise: int) -> int:
    """Pixels per latent position and side: the pipeline's autoencoder's where it is known, else `otherwise`."""
    return int(config.get(PIXELS_PER_LATENT, otherwise))


def frames_per_latent(config: Config, otherwise: int) -> int:
    """Frames per latent frame: the pipeline's autoencoder's where it is known, else `otherwise`."""
    return int(config.get(FRAMES_PER_LATENT, otherwise))


def scale_note(config: Config, note: str) -> tuple[str, ...]:
    """(`note`,) about an assumed scale, nothing where the pipeline's autoencoder gave it."""
    return () if PIXELS_PER_LATENT in config else (note,)


def build_on_meta(constructor: Callable[[], torch.nn.Module], dtype: str) -> torch.nn.Module:
    """The module `constructor` makes, on the meta device, in eval mode, floating tensors in `dtype`.

    Built under the meta device and moved afterwards: some constructors leave a buffer on the CPU.
    What `from_pretrained` keeps in float32 is kept: `_keep_in_fp32_modules` (see `_kept_names`).
    """
    import torch

    with torch.device("meta"):
        module = constructor()
    module = module.to("meta").eval().requires_grad_(False)
    _cast(module, getattr(torch, dtype), ())
    return module


def _cast(module: torch.nn.Module, dtype: torch.dtype, kept: tuple[str, ...]) -> None:
    """Cast the floating tensors of `module` in place, except below the names `kept`, as from_pretrained does.

    Not `module.to(dtype)`: it casts kept modules as well, and diffusers warns about that at every call.
    Buffers that are not saved stay as the constructor made them in transformers and where names are kept.
    """
    kept += _kept_names(module, dtype)
    loaded_by_name = bool(kept) or _is_from(module, "transformers")
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.is_floating_point() and name not in kept:
            parameter.data = parameter.data.to(dtype)
    for name, buffer in module.named_buffers(recurse=False):
        unsaved = name in module._non_persistent_buffers_set
        if buffer.is_floating_point() and name not in kept and not (unsaved and loaded_by_name):
            module._buffers[name] = buffer.to(dtype)
    for name, child in module.named_children():
        if name not in kept:
            _cast(child, dtype, kept)


def _kept_names(module: torch.nn.Module, dtype: torch.dtype) -> tuple[str, ...]:
    """Names of submodules and parameters that stay in float32 when `module` is loaded in `dtype`.

    Sources: diffusers models/model_loading_utils.py load_model_dict_into_meta (any half type, a component of
    the dotted name); transformers modeling_utils.py _get_dtype_plan (float16; `_strict` for bfloat16 too).
    """
    import torch

    if dtype not in (torch.float16, torch.bfloat16):
        return ()
    names = tuple(getattr(module, "_keep_in_fp32_modules", None) or ())
    if not _is_from(module, "transformers"):
        return names
    strict = tuple(getattr(module, "_keep_in_fp32_modules_strict", None) or ())
    return strict + (names if dtype == torch.float16 else ())


def _is_from(module: torch.nn.Module, package: str) -> bool:
    return type(module).__module__.partition(".")[0] == package
