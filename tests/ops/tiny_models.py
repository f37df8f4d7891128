"""Tiny instances of the model classes the op table must cover: {name: build() -> (module, kwargs)}.

Made under `torch.device(DEVICE.get(name, "meta"))`. Widths are the smallest each class accepts; topology is the
class's own, so the operators are the same as in the published models.
"""

from tests.ops import tiny_text, tiny_transformers, tiny_unets, tiny_video
from tests.ops.tiny_case import CASES, DEVICE

__all__ = ["CASES", "DEVICE", "tiny_text", "tiny_transformers", "tiny_unets", "tiny_video"]
