"""`first_divergence`: the operator at which a model stops agreeing with PyTorch."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphlab.exporting.checking.check import working_folder
from graphlab.exporting.checking.process import ChildError, Jobs
from graphlab.exporting.checking.reference import Reference, laid_down, reference_of
from graphlab.exporting.checking.report import CaseCheck
from graphlab.exporting.translate import Lowered
from graphlab.graph import Node
from graphlab.program import Program
from graphlab.rewriting.new_tensor import NewTensor
from graphlab.weights.source import WeightSource

MOST_BYTES = 1 << 30
"""Values that are written to disk and compared in one go; of more than that bisection finds the part to look at."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first node, in the order of the program, whose inputs agree and whose result does not.

    `name` and `op` are the program's, `module` the path of the module it comes from; `error` is that of the result,
    `inputs` the worst of what it reads, both as `check_model` measures them. `why` says what is not finite.
    """

    name: str
    op: str
    module: str
    error: float
    inputs: float
    why: str = ""

    def __str__(self) -> str:
        where = f"{self.op}, {self.module}" if self.module else self.op
        how = self.why or f"error {self.error:.3g} where its inputs have {self.inputs:.3g}"
        return f"differs at node {self.name} ({where}): {how}"


def first_divergence(
    path: Path,
    lowered: Lowered,
    source: WeightSource,
    case: CaseCheck,
    tolerance: float,
    *,
    provider: str = "CPUExecutionProvider",
    new_tensors: Sequence[NewTensor] = (),
    base: Program | None = None,
    input_names: Mapping[str, str] | None = None,
) -> Divergence | None:
    """Where the model at `path`, written of `lowered`, first differs from its program by more than `tolerance`.

    `case` is one of those that failed. `new_tensors` are all recipes (the rewrite's and the translation's), `base` the
    program before the rewrite, as for `Values`. PyTorch runs the program as it was translated, in float32; ONNX Runtime
    gives the values inside the model as further results. None where every value that both have agrees: then it is ONNX
    Runtime's own fusion that differs, or the rewrite. ChildError or ChildDied where one side does not run.
    """
    made = reference_of(lowered.program)
    with working_folder(path) as folder:
        search = _Search(Jobs(folder), path, made, case, input_names or {}, provider, _common(path, made))
        made.lay_down(folder, source, new_tensors, base)
        return search.run(tolerance)


def _common(path: Path, made: Reference) -> dict[str, str]:
    """{value in the model: value of the program, results of an operator as "name#index"}, in the program's order."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    inside = {name for node in model.graph.node for name in node.output if name}
    results = dict(zip(made.program.graph.results, [value.name for value in model.graph.output], strict=False))
    known: dict[str, str] = {}
    for node in made.program.graph.calls:
        if len(node.outputs) > 1:
            known |= {f"{node.name}__{index}": f"{node.name}#{index}" for index in range(len(node.outputs))}
        else:
            known[results.get(node.name, node.name)] = node.name
    return {ours: theirs for ours, theirs in known.items() if ours in inside}


@dataclass(frozen=True, slots=True)
class _Search:
    jobs: Jobs
    path: Path
    made: Reference
    case: CaseCheck
    names: Mapping[str, str]
    provider: str
    common: Mapping[str, str]

    def run(self, tolerance: float) -> Divergence | None:
        names, first, last = list(self.common), 0, len(self.common)
        sizes = {node.name: sum(int(out.nbytes) for out in node.outputs if out is not None)
                 for node in self.made.program.graph.at(self.case.sizes).calls}  # fmt: skip
        known: dict[str, Mapping[str, Any]] = {}
        while sum(sizes[_node(self.common[name])] for name in names[first:last]) > MOST_BYTES and last - first > 1:
            middle = (first + last) // 2
            known |= self._errors(names[middle - 1 : middle])
            wrong = known.get(names[middle - 1], {"error": 0.0})["error"] > tolerance
            first, last = (first, middle) if wrong else (middle, last)
        known |= self._errors(names[first:last])
        found = next((name for name in names[first:last] if known.get(name, {"error": 0.0})["error"] > tolerance), None)
        return None if found is None else self._divergence(found, known)

    def _errors(self, names: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """{value in the model: its error}: one run of either side."""
        folder = self.jobs.folder
        self.jobs.run(
            "pytorch",
            **laid_down(folder),
            folder=str(folder),
            cases=[{"sizes": dict(self.case.sizes), "seed": self.case.seed}],
            count=1,
            round=self.made.rounded,
            wanted=[_node(self.common[name]) for name in names],
        )
        # Beside the model: the file of weights is named without a folder.
        opened = self.path.with_name(f".{self.path.name}-opened.onnx")
        try:
            _open(self.path, opened, names)
            found = self.jobs.run(
                "onnxruntime",
                model=str(opened),
                provider=self.provider,
                folder=str(folder),
                cases=[0],
                names=dict(self.names),
                values={name: self.common[name] for name in names},
            )
        finally:
            opened.unlink(missing_ok=True)
        if "missing" in found:
            raise ChildError(found["missing"])
        errors: Mapping[str, Mapping[str, Any]] = found["cases"][0]
        return errors

    def _divergence(self, name: str, known: Mapping[str, Mapping[str, Any]]) -> Divergence:
        node: Node = self.made.program.graph.by_name[_node(self.common[name])]
        ours = {theirs.partition("#")[0]: model for model, theirs in self.common.items()}
        read = [known[ours[ref]]["error"] for ref in node.refs if ref in ours and ours[ref] in known]
        return Divergence(
            node.name,
            node.target,
            node.modules[-1][0] if node.modules else "",
            known[name]["error"],
            max(read, default=0.0),
            known[name]["why"],
        )


def _node(value: str) -> str:
    return value.partition("#")[0]


def _open(path: Path, opened: Path, names: Sequence[str]) -> None:
    """A copy of the model at `path` whose values `names` are results too."""
    import onnx

    added = onnx.ModelProto()
    have = {value.name for value in onnx.load(str(path), load_external_data=False).graph.output}
    for name in names:
        if name not in have:
            added.graph.output.add(name=name)
    shutil.copyfile(path, opened)
    with opened.open("ab") as file:  # a message that stands twice is merged: the results are appended
        file.write(added.SerializeToString())
