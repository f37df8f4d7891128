"""Rewrite a model of your own: what was recognised, what stayed and why, and proof that it computes the same."""

import torch

import graphlab


class Block(torch.nn.Module):
    """x (batch, tokens, 32) and text (batch, words, 32) to x: cross-attention written out, and a gated layer."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (torch.nn.Linear(32, 32, bias=False) for _ in range(3))
        self.up, self.down = torch.nn.Linear(32, 128), torch.nn.Linear(64, 32)

    def forward(self, x, text):
        scores = self.query(x) @ self.key(text).transpose(1, 2) * 32**-0.5
        x = x + scores.softmax(-1) @ self.value(text)
        hidden, gate = self.up(x).chunk(2, dim=-1)
        return x + self.down(hidden * torch.nn.functional.gelu(gate))


torch.manual_seed(0)
program = graphlab.capture(Block().eval(), (torch.randn(2, 48, 32), torch.randn(2, 7, 32)))
result = graphlab.rewrite(program, level=2, verify=True)

for change in result.changes:
    print(f"{change.pass_name}: {change.why} ({change.source})")
for skip in result.skips:
    print(f"{skip.pass_name} left {skip.node}: {skip.why}")
for made in result.held:
    print(f"new: {made.key}, {made.nbytes} bytes, of {' and '.join(made.origins)}")

found = result.verification
print(f"equal at {len(found.bindings)} sizes, largest error in float64 below 1e-10: {found.worst_float64 < 1e-10}")
calls = [sum(node.op == "call_function" for node in p.exported.graph.nodes) for p in (program, result.program)]
print(f"{calls[0]} calls before, {calls[1]} after")
