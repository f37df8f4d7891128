"""Weight masks: which entries of a model's weights an edit may change, as a file that names its base.

`write_mask` and `read_mask` are the two ends of the format (docs/masks.md); `EditedWeights` reads the checkpoint the
masked entries come from; `merge` puts both together.
"""

from graphlab.masks.bits import pack, unpack
from graphlab.masks.checkpoint import EditedWeights
from graphlab.masks.errors import MaskError
from graphlab.masks.hashing import base_hash, weight_hash
from graphlab.masks.merge import MaskedMerge, MaskRow, merged
from graphlab.masks.reading import MaskedWeight, WeightMask, read_mask
from graphlab.masks.writing import write_mask

__all__ = [
    "EditedWeights",
    "MaskError",
    "MaskRow",
    "MaskedMerge",
    "MaskedWeight",
    "WeightMask",
    "base_hash",
    "merged",
    "pack",
    "read_mask",
    "unpack",
    "weight_hash",
    "write_mask",
]
