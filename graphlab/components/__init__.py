"""Model classes graphlab can call, by class name. Importing this package registers all of them; no torch."""

from graphlab.components import unet2d
from graphlab.components.base import COMPONENTS, Component, build_on_meta, component, component_for

__all__ = ["COMPONENTS", "Component", "build_on_meta", "component", "component_for", "unet2d"]
