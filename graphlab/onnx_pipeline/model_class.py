"""Which class and configuration a stage is made of."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphlab.workload import Stage

_OURS = "_graphlab"
"""What keys start with that a loader adds to a configuration for graphlab itself."""


@dataclass(frozen=True, slots=True)
class ModelClass:
    """A model class by name and its configuration as the source gives it."""

    name: str
    config: Mapping[str, Any]

    @property
    def library(self) -> str | None:
        """ "diffusers" or "transformers", whichever has the class; None for neither."""
        import diffusers
        import transformers

        found = (library.__name__ for library in (diffusers, transformers) if hasattr(library, self.name))
        return next(found, None)

    def complete(self) -> dict[str, Any]:
        """The content of config.json: the configuration with the defaults of its class filled in.

        Runtimes read it without the class (how many pixels a latent position has, scaling factors).
        """
        given = {key: value for key, value in self.config.items() if not key.startswith(_OURS)}
        if self.library == "diffusers":
            return {**given, **_diffusers(self.name, given)}
        if self.library == "transformers":
            return {**_transformers(self.name, given), "architectures": [self.name]}
        return {**given, "_class_name": self.name}


def class_of_stage(stage: Stage) -> ModelClass | None:
    """The class `stage` was made of, read from its identity ("CLASS ... {configuration}"); None where it has none."""
    head, brace, rest = stage.identity.partition("{")
    if not head or not brace:
        return None
    try:
        config = json.loads(brace + rest)
    except ValueError:
        return None
    return ModelClass(head.split()[0], config)


def _diffusers(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    import diffusers

    kind = getattr(diffusers, name)
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    defaults = {item.name: item.default for item in parameters if item.default is not inspect.Parameter.empty}
    return {"_class_name": name, "_diffusers_version": diffusers.__version__, **defaults, **given}


def _transformers(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    import transformers

    kind = getattr(transformers, name).config_class
    whole = dict(kind.from_dict(dict(given)).to_dict())
    return {**whole, **_renamed(whole)}


def _renamed(whole: Mapping[str, Any]) -> dict[str, Any]:
    """Keys that transformers 4 reads under another name than transformers 5 writes."""
    return {"torch_dtype": whole["dtype"]} if isinstance(whole.get("dtype"), str) else {}
