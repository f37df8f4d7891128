"""Spellings no one wrote down: attention composed at random from a seed, and the same with one fault put in.

A tensor travels with the letters of its axes: b batch, h heads, n both folded, q queries, k keys, d width, e width
of the values. What is composed is always softmax over k of what q and k make, times the values; only the way there is
drawn.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.attention_corpus.spelling import Spelling

FAULTS = (
    "softmax_axis", "maps_returned", "scores_returned", "probabilities_changed", "probabilities_gated",
    "probabilities_hidden", "heads_mixed_before", "heads_mixed_after", "scores_bent", "scores_weighted",
    "values_over_queries", "denominator", "dropout", "batch_rolled", "queries_permuted",
)  # fmt: skip
"""What `random_near_miss` does to a right spelling."""

SCALES = ("query", "key", "mul", "div", "tensor", "buffer", "heads", "after")
MASKS = ("none", "add", "where", "where_not", "fill", "fill_finite", "causal", "add_and_fill", "alibi")

HARMLESS = ("batch_rolled", "queries_permuted")
"""Faults that somebody could move to the operands: the numbers decide."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The choices of one spelling; what is not here is drawn again, in order, in every forward."""

    seed: int
    sizes: tuple[tuple[str, int], ...]
    repeats: int
    stored: tuple[str, str, str]
    projected: bool
    product: str
    scales: tuple[str, ...]
    mask: str
    mask_letters: str
    softmax: str
    cast: str
    values: str
    result: str
    fault: str = ""

    def size(self, letter: str) -> int:
        """Length of an axis."""
        return dict(self.sizes)[letter]


def _plan(seed: int) -> Plan:
    draw = random.Random(f"plan {seed}")
    choices = {"b": (2, 3), "h": (2, 3, 4), "q": (5,), "k": (5, 7), "d": (8,), "e": (8, 6)}
    sizes = {letter: draw.choice(lengths) for letter, lengths in choices.items()}
    if draw.random() < 0.15:
        sizes = dict.fromkeys("bhqkde", 4)
    mask_letters = "".join(letter for letter in "bhq" if draw.random() < 0.5) + "k"
    return Plan(
        seed=seed,
        sizes=tuple(sizes.items()),
        repeats=2 if sizes["h"] % 2 == 0 and draw.random() < 0.4 else 1,
        stored=(_shuffled(draw, "bhqd"), _shuffled(draw, "bhkd"), _shuffled(draw, "bhke")),
        projected=draw.random() < 0.4,
        product=draw.choice(("matmul", "einsum", "einsum", "bmm", "baddbmm", "key_major")),
        scales=tuple(draw.sample(SCALES, draw.randint(0, 2))),
        mask=draw.choice(MASKS),
        mask_letters=mask_letters,
        softmax=draw.choice(("method", "function", "module", "exponentials", "shifted", "logarithm", "maximum_before")),
        cast=draw.choice(("none", "none", "none", "softmax", "scores", "operands")),
        values=draw.choice(("matmul", "einsum", "einsum", "bmm", "transposed")),
        result=_shuffled(draw, "bhqe"),
    )


def _shuffled(draw: random.Random, letters: str) -> str:
    return "".join(draw.sample(letters, len(letters)))


def random_spelling(seed: int) -> Spelling:
    """A correct attention, the same for the same seed: one attention must come out."""
    return _spelling(_plan(seed), f"generated_{seed}", 1)


def random_near_miss(seed: int) -> Spelling:
    """A spelling of that kind with one of FAULTS in it: it must be refused (or, for HARMLESS ones, stay right)."""
    plan, fault = _plan(seed), random.Random(f"fault {seed}").choice(FAULTS)
    sizes = dict(plan.sizes)
    if fault == "values_over_queries":
        sizes["k"] = sizes["q"]
    # Over another axis than the keys a mask may hide everything, and nothing but NaN would come out.
    mask = "alibi" if fault == "softmax_axis" else plan.mask
    changed = replace(plan, fault=fault, sizes=tuple(sizes.items()), mask=mask)
    return _spelling(changed, f"near_miss_{fault}_{seed}", 0)


def _spelling(plan: Plan, name: str, attentions: int) -> Spelling:
    def module() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            return Composed(plan).to(_dtype(plan)).train(plan.fault == "dropout")

    def inputs() -> tuple[Tensor, ...]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed + 1)
            return _inputs(plan)

    return Spelling(name, "generated", module, inputs, attentions, either=plan.fault in HARMLESS)


def _dtype(plan: Plan) -> torch.dtype:
    return torch.float32 if plan.cast == "none" else torch.bfloat16


def _inputs(plan: Plan) -> tuple[Tensor, ...]:
    """Query, key and value as stored (or tokens to project), then masks that the plan asks for."""
    drawn = []
    for letters in plan.stored:
        if plan.projected:
            drawn.append(torch.randn(plan.size("b"), plan.size("q" if "q" in letters else "k"), 12).to(_dtype(plan)))
        else:
            drawn.append(torch.randn([_stored_size(plan, letters, letter) for letter in letters]).to(_dtype(plan)))
    seen = torch.rand([plan.size(letter) for letter in plan.mask_letters]) > 0.4
    seen[..., 0] = True
    if plan.mask in ("where", "where_not", "fill", "fill_finite", "add_and_fill"):
        drawn.append(~seen if plan.mask == "where_not" else seen)
    if plan.mask in ("add", "add_and_fill"):
        drawn.append(torch.randn(seen.shape).to(_dtype(plan)))
    return tuple(drawn)


def _stored_size(plan: Plan, letters: str, letter: str) -> int:
    shared = letter == "h" and "k" in letters
    return plan.size("h") // plan.repeats if shared else plan.size(letter)


class Composed(nn.Module):
    """The attention of a plan."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        heads = plan.size("h")
        self.factor = nn.Buffer(torch.tensor(0.8))
        self.temperature = nn.Parameter(torch.rand(heads) + 0.5)
        self.mix = nn.Parameter(torch.randn(heads, heads))
        self.gate = nn.Parameter(torch.rand(plan.size("q"), plan.size("k")) + 0.1)
        if plan.projected:
            widths = [
                _stored_size(plan, letters, "h") * plan.size(letters_end) for letters, letters_end in self._ends()
            ]
            self.projections = nn.ModuleList(nn.Linear(12, width) for width in widths)

    def _ends(self) -> list[tuple[str, str]]:
        return [(letters, "e" if "e" in letters else "d") for letters in self.plan.stored]

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, first: Tensor | None = None, second: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The attention of operands as `_inputs` returns them, masks behind them."""
        run = _Run(self, random.Random(f"run {self.plan.seed}"))
        operands = [run.operand(index, part) for index, part in enumerate((query, key, value))]
        scores, letters = run.product(*operands[:2])
        plain = scores
        scores = run.masked(scores, letters, first, second)
        if "after" in self.plan.scales:
            scores = scores * 0.9
        probabilities = run.probabilities(scores, letters)
        mixed = run.mixed(probabilities, letters, operands[2])
        if self.plan.fault == "scores_returned":
            return mixed, plain
        return (mixed, probabilities) if self.plan.fault == "maps_returned" else mixed


class _Run:
    """One forward: the steps in order, with the small choices drawn as they come."""

    def __init__(self, module: Composed, draw: random.Random) -> None:
        self.module, self.plan, self.draw = module, module.plan, draw

    def arranged(self, part: Tensor, letters: str, target: str) -> Tensor:
        """`part` with its axes in the order of `target`, by one permute or by a chain of transposes."""
        if self.draw.random() < 0.5:
            part = part.permute([letters.index(letter) for letter in target])
        else:
            order = list(letters)
            for place, letter in enumerate(target):
                found = order.index(letter)
                if found != place:
                    part = part.transpose(place, found)
                    order[place], order[found] = order[found], order[place]
        return part.contiguous() if self.draw.random() < 0.2 else part

    def operand(self, index: int, part: Tensor) -> tuple[Tensor, str]:
        """An operand and its letters: projected, heads repeated, scaled."""
        letters, width = self.module._ends()[index]
        if self.plan.projected:
            part = self.module.projections[index](part)
            length = "q" if index == 0 else "k"
            heads = _stored_size(self.plan, letters, "h")
            letters = self.draw.choice((f"b{length}h{width}", f"b{length}{width}h"))
            split = (heads, -1) if letters.endswith(width) else (-1, heads)
            part = part.unflatten(-1, split) if self.draw.random() < 0.5 else part.view(*part.shape[:2], *split)
        if index and self.plan.repeats > 1:
            part = self._repeated(part, letters.index("h"))
        if ("query", "key", "value")[index] in self.plan.scales:
            part = part * 0.7 if self.draw.random() < 0.5 else part / 1.3
        if self.plan.cast == "operands" and index < 2:
            part = part.float()
        return part, letters

    def _repeated(self, part: Tensor, axis: int) -> Tensor:
        if self.draw.random() < 0.5:
            return part.repeat_interleave(self.plan.repeats, dim=axis)
        shape = [-1] * (part.dim() + 1)
        shape[axis + 1] = self.plan.repeats
        return part.unsqueeze(axis + 1).expand(shape).flatten(axis, axis + 1)

    def product(self, query: tuple[Tensor, str], key: tuple[Tensor, str]) -> tuple[Tensor, str]:
        """Scores and their letters."""
        kind = self.plan.product
        if kind == "einsum":
            order = _shuffled(self.draw, "bhqk")
            scores = torch.einsum(f"{query[1]},{key[1]}->{order}", query[0], key[0])
            return self.scaled(scores, order), order
        one, two = self.arranged(*query, "bhqd"), self.arranged(*key, "bhkd")
        if kind == "key_major":
            return self.scaled(two @ one.transpose(2, 3), "bhkq"), "bhkq"
        if kind == "matmul":
            return self.scaled(torch.matmul(one, two.transpose(-2, -1)), "bhqk"), "bhqk"
        one, two = one.flatten(0, 1), two.reshape(-1, *two.shape[2:]).transpose(1, 2)
        if kind == "bmm":
            return self.scaled(torch.bmm(one, two), "nqk"), "nqk"
        empty = torch.empty(one.shape[0], one.shape[1], two.shape[2], dtype=one.dtype)
        return self.scaled(torch.baddbmm(empty, one, two, beta=0, alpha=0.6), "nqk"), "nqk"

    def scaled(self, scores: Tensor, letters: str) -> Tensor:
        """Scores times what stands on them, and what a fault does to them."""
        for scale in self.plan.scales:
            if scale == "mul":
                scores = scores * self.plan.size("d") ** -0.5
            elif scale == "div":
                scores = scores / math.sqrt(self.plan.size("d"))
            elif scale == "tensor":
                scores = scores * torch.tensor(0.6, dtype=scores.dtype)
            elif scale == "buffer":
                scores = self.module.factor.to(scores.dtype) * scores
            elif scale == "heads":
                scores = scores * self.aligned(self.module.temperature, "h", letters).to(scores.dtype)
        return self._bent(scores, letters)

    def _bent(self, scores: Tensor, letters: str) -> Tensor:
        if self.plan.fault == "scores_bent":
            return self.draw.choice((torch.tanh, torch.square, torch.relu))(scores)
        if self.plan.fault == "scores_weighted":
            return scores * self.aligned(self.module.gate, "qk", letters).to(scores.dtype)
        return self._heads_mixed(scores, letters) if self.plan.fault == "heads_mixed_before" else scores

    def _heads_mixed(self, scores: Tensor, letters: str) -> Tensor:
        full = letters.replace("n", "bh")
        mix = self.module.mix.to(scores.dtype)
        mixed = torch.einsum(f"gh,{full}->{full.replace('h', 'g')}", mix, self._unfolded(scores, letters))
        return mixed.flatten(0, 1) if "n" in letters else mixed

    def _unfolded(self, scores: Tensor, letters: str) -> Tensor:
        return scores.unflatten(0, (self.plan.size("b"), self.plan.size("h"))) if "n" in letters else scores

    def aligned(self, part: Tensor, own: str, letters: str) -> Tensor:
        """`part`, which has the axes `own`, ready to broadcast against `letters`."""
        full = letters.replace("n", "bh")
        part = self.arranged(part, own, "".join(letter for letter in full if letter in own))
        for place, letter in enumerate(full):
            part = part if letter in own else part.unsqueeze(place)
        if "n" in letters:
            return part.expand(self.plan.size("b"), self.plan.size("h"), -1, -1).flatten(0, 1)
        return part

    def masked(self, scores: Tensor, letters: str, first: Tensor | None, second: Tensor | None) -> Tensor:
        """Scores under the plan's mask, in a view with heads apart where folded scores are masked in one."""
        if "n" in letters and self.draw.random() < 0.5:
            whole = self._masked(self._unfolded(scores, letters), "bhqk", first, second)
            return whole.reshape(scores.shape)
        return self._masked(scores, letters, first, second)

    def _masked(self, scores: Tensor, letters: str, first: Tensor | None, second: Tensor | None) -> Tensor:
        kind, lowest = self.plan.mask, float("-inf")
        if kind in ("causal", "alibi"):
            return self._by_position(scores, letters)
        if first is None:
            return scores
        mask = self.aligned(first, self.plan.mask_letters, letters)
        if kind == "add":
            return scores + mask
        if kind == "where":
            return torch.where(mask, scores, lowest)
        if kind == "where_not":
            return torch.where(mask, torch.full((), lowest, dtype=scores.dtype), scores)
        if second is not None:
            scores = scores + self.aligned(second, self.plan.mask_letters, letters)
        if kind == "fill_finite":
            lowest = self.draw.choice((-1e9, -1e5, torch.finfo(scores.dtype).min))
        return scores.masked_fill(~mask, lowest)

    def _by_position(self, scores: Tensor, letters: str) -> Tensor:
        queries, keys = scores.shape[letters.index("q")], scores.shape[letters.index("k")]
        if self.plan.mask == "alibi":
            distance = (torch.arange(queries)[:, None] - torch.arange(keys)).abs()
            slopes = 2.0 ** -torch.arange(1.0, self.plan.size("h") + 1)
            bias = -slopes[:, None, None] * distance
            return scores + self.aligned(bias, "hqk", letters).to(scores.dtype)
        seen = torch.ones(queries, keys, dtype=torch.bool).tril(self.draw.choice((0, keys - queries, 1)))
        return scores.masked_fill(~self.aligned(seen, "qk", letters), float("-inf"))

    def probabilities(self, scores: Tensor, letters: str) -> Tensor:
        """Softmax over k, as the plan spells it; the fault chooses another axis."""
        axis = letters.index("k")
        if self.plan.fault == "softmax_axis":
            axis = self.draw.choice([place for place, letter in enumerate(letters) if letter != "k"])
        axis = axis if self.draw.random() < 0.5 else axis - len(letters)
        if self.plan.cast in ("softmax", "scores"):
            scores = scores.float()
        probabilities = self._softmax(scores, axis)
        if self.plan.cast != "none":
            probabilities = probabilities.to(torch.bfloat16)
        rate = 0.5 if self.plan.fault == "dropout" else 0.1
        if self.plan.fault == "dropout" or self.draw.random() < 0.5:
            probabilities = F.dropout(probabilities, p=rate, training=self.module.training)
        return self._faulty(probabilities, letters)

    def _softmax(self, scores: Tensor, axis: int) -> Tensor:
        kind = self.plan.softmax
        if self.plan.fault == "denominator" or kind in ("exponentials", "shifted"):
            shift = scores.amax(axis, keepdim=True) if kind == "shifted" else 0.0
            weights = (scores - shift).exp() if kind == "shifted" else scores.exp()
            total = weights.sum(dim=axis, keepdim=True)
            return weights / (total + 1.0 if self.plan.fault == "denominator" else total)
        if kind == "logarithm":
            return F.log_softmax(scores, dim=axis).exp()
        if kind == "maximum_before":
            scores = scores - scores.amax(dim=axis, keepdim=True)
        if kind == "module":
            return nn.Softmax(dim=axis)(scores)
        return F.softmax(scores, dim=axis) if kind == "function" else scores.softmax(axis)

    def _faulty(self, probabilities: Tensor, letters: str) -> Tensor:
        fault = self.plan.fault
        if fault == "probabilities_changed":
            place = letters.index("k")
            kinds = (lambda p: p.square(), lambda p: p + 0.01, lambda p: p.cumsum(place), lambda p: 1 - p)
            return self.draw.choice(kinds)(probabilities)
        if fault in ("probabilities_gated", "probabilities_hidden"):
            gate = self.aligned(self.module.gate, "qk", letters).to(probabilities.dtype)
            return probabilities * gate if fault == "probabilities_gated" else probabilities.masked_fill(gate < 0.5, 0)
        if fault == "heads_mixed_after":
            return self._heads_mixed(probabilities, letters)
        if fault == "batch_rolled":
            return probabilities.roll(1, dims=letters.index("n" if "n" in letters else "b"))
        return probabilities.flip(letters.index("q")) if fault == "queries_permuted" else probabilities

    def mixed(self, probabilities: Tensor, letters: str, value: tuple[Tensor, str]) -> Tensor:
        """Values under the probabilities, in the order of the plan's result, heads merged where that reads so."""
        whole, own = self._unfolded(probabilities, letters), letters.replace("n", "bh")
        if self.plan.fault == "values_over_queries":
            own = own.translate(str.maketrans("qk", "kq"))
        if self.plan.values == "einsum":
            return torch.einsum(f"{own},{value[1]}->{self.plan.result}", whole, value[0])
        weights, values = self.arranged(whole, own, "bhqk"), self.arranged(*value, "bhke")
        if self.plan.values == "bmm":
            out = torch.bmm(weights.flatten(0, 1), values.flatten(0, 1)).view(*weights.shape[:3], -1)
        elif self.plan.values == "transposed":
            out = (values.transpose(2, 3) @ weights.transpose(2, 3)).transpose(2, 3)
        else:
            out = weights @ values
        if self.plan.result.endswith("he"):
            return self.arranged(out, "bhqe", self.plan.result).flatten(2)
        return self.arranged(out, "bhqe", self.plan.result)
