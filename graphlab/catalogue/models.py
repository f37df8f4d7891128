"""The models that can be named."""

from __future__ import annotations

from graphlab.catalogue.data import Listing, Plugin, listing_of
from graphlab.discovery.registry import Entry
from graphlab.models.registry import Model, registry
from graphlab.rewriting.options import OptionHelp
from graphlab.workload import Variable


def listing() -> Listing:
    """Every model that can be named. Those of other distributions are made, to see whether they can be."""
    return listing_of("models", registry(), _model)


def _model(item: Entry[Model]) -> Plugin | None:
    model = item.value
    if item.name != model.name:  # an alias
        return None
    aliases = tuple(alias for alias in model.aliases)
    options = tuple(map(_variable, model.workload().variables))
    return Plugin(model.name, model.kind, model.help, item.owner, item.where, options, aliases)


def _variable(item: Variable) -> OptionHelp:
    """What `--set` takes for a variable of a workload."""
    whole = isinstance(item.default, int)
    limits = [f"at least {item.minimum}" if item.maximum is None else f"from {item.minimum} to {item.maximum}"]
    limits += [f"a multiple of {item.multiple_of}"] if item.multiple_of > 1 else []
    words = f"{'an integer' if whole else 'a number'} {', '.join(limits)}"
    kind = "int" if whole else "float"
    return OptionHelp(item.name, words, str(item.default), item.help, kind, item.minimum, item.maximum)
