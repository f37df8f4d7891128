"""Train the CNN judges of both worlds into the files that come with graphlab.

python -m benchmarks.erasure.train_judges
"""

from __future__ import annotations

import sys

import torch

from graphlab.erase.worlds.cnn_judge import save_judge, train_judge
from graphlab.erase.worlds.known import WORLDS, world_of
from graphlab.erase.worlds.shipped import FILES


def main() -> int:
    """Train and write both, one thread each; the same bytes on the same version of torch."""
    torch.set_num_threads(1)
    for name in WORLDS:
        judge = train_judge(world_of(name))
        save_judge(judge, FILES / f"judge-{name}.safetensors")
        print(
            f"judge-{name}: {', '.join(f'{part.kept:.1%} kept, {part.refused:.1%} refused' for part in judge.doubts)}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
