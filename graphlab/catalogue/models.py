"""The models that can be named."""

from __future__ import annotations

from graphlab.catalogue.data import Listing, Plugin, in_order
from graphlab.discovery.registry import Broken, Entry
from graphlab.errors import GraphlabError
from graphlab.models.registry import Model, registry
from graphlab.rewriting.options import OptionHelp
from graphlab.workload import Variable


def listing() -> Listing:
    """Every model that can be named. Those of other distributions are made, to see whether they can be."""
    known = registry()
    rows: list[Plugin] = []
    broken: list[Broken] = list(known.broken)
    for name, item in known.entries.items():
        if name != item.value.name:
            continue
        try:
            rows.append(_model(item))
        except GraphlabError as error:
            broken.append(Broken(name, item.owner, item.where, error.message))
    return Listing("models", tuple(rows), in_order(broken))


def _model(item: Entry[Model]) -> Plugin:
    model = item.value
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
