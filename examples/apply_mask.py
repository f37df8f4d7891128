"""Carry an edit into a captured model: a mask says which entries may change, everything else is proved to stay."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file

import graphlab
from graphlab.masks import write_mask

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4)).eval()
base = {key: value.clone() for key, value in model.state_dict().items()}

# An edit that touches every entry of a weight, and a mask that lets two of them through.
edited = {"unet." + key: value + 1.0 for key, value in base.items()}
mask = torch.zeros(8, 4, dtype=torch.bool)
mask[0, 0] = mask[5, 2] = True

with TemporaryDirectory() as folder:
    mask_file, weights_file = Path(folder, "mask.safetensors"), Path(folder, "edited.safetensors")
    write_mask(mask_file, {"0.weight": mask}, base, about={"prompts": ["a concept"], "seeds": [24, 42]})
    save_file(edited, str(weights_file))

    program = graphlab.capture(model, (torch.randn(2, 4),))
    result = graphlab.run_pass("apply-weight-mask", program, mask=mask_file, weights=weights_file)

for row in dict(result.details)["apply-weight-mask"]:
    print(
        f"{row.key} {row.shape}: {row.set_entries} of {row.entries} entries ({row.density:.2%}), "
        f"largest change {row.max_abs_change:.3g}; {row.ignored_entries} other edits left out".replace("%", " %")
    )
merged = result.program.exported.state_dict
for key, before in base.items():
    print(f"{key}: {int((merged[key] != before).sum())} of {before.numel()} entries differ from the base")
