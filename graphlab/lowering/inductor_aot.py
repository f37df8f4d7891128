"""inductor-aot: a shared library that AOTInductor makes of a program, loaded and called without Python."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from graphlab.lowering.base import Lowered, Tensors, ordered_inputs
from graphlab.lowering.errors import BackendError
from graphlab.lowering.example import example_inputs
from graphlab.lowering.flat import flat_module
from graphlab.lowering.in_torch import TorchBackend
from graphlab.program import Program
from graphlab.rewriting.options import option


@dataclass(frozen=True)
class InductorAot(TorchBackend):
    """An AOTInductor package: compiled code and weights in a library, called without Python."""

    name: ClassVar[str] = "inductor-aot"

    freezing: bool = option(True, "weights are constants: packed and folded when compiling")

    def lower(self, program: Program, values: Tensors) -> Lowered:
        """Compiles into a temporary package and loads it; only programs of fixed sizes are compiled."""
        if program.graph.symbols:
            raise BackendError(
                f"{program.name} has symbolic sizes, {self.name} compiles fixed ones", hint="capture it statically"
            )
        self.set_threads()
        module = flat_module(program, values, self.place)
        with tempfile.TemporaryDirectory(prefix="graphlab-aot-") as folder:
            runner = self._package(module, example_inputs(program, self.place), Path(folder) / "model.pt2")

        def call(inputs: Tensors) -> Any:
            given = [value.to(self.place) for value in ordered_inputs(program, inputs)]
            return tuple(runner.run(given))

        return Lowered(call)

    def _package(self, module: torch.fx.GraphModule, example: list[torch.Tensor], path: Path) -> Any:
        """The loaded runner of `module`; what it reads stays mapped when the file is deleted."""
        from torch._inductor import aot_compile
        from torch._inductor.package.package import load_package, package_aoti

        mode = FakeTensorMode()
        for node, value in zip(module.graph.find_nodes(op="placeholder"), example, strict=True):
            node.meta["val"] = mode.from_tensor(value)
        options = {"aot_inductor.package": True, "freezing": self.freezing}
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            files = aot_compile(module, tuple(example), options=options)
            package_aoti(str(path), files)  # type: ignore[arg-type]  # a list of files where package is set
            return load_package(str(path)).loader
