"""Programs without in-place operators: what every rewrite starts from.

A value that is written into has several meanings over time, so nothing may be said about it by name. Writes into
fresh memory whose old value nobody reads again become the operator without the underscore; where that is not
enough (writes through views) torch functionalises the whole program.
"""

from __future__ import annotations

import warnings

import torch
from torch.export import ExportedProgram
from torch.utils import _pytree

from graphlab.errors import GraphlabError
from graphlab.rewriting.clone import assemble, graph_copy

_GRAD_REGION, _CAST_REGION = "wrap_with_set_grad_enabled", "wrap_with_autocast"


def functional(program: ExportedProgram) -> ExportedProgram:
    """`program` itself where nothing is written in place, else an equal one in which nothing is."""
    if not has_writes(program.graph) and not _plain_regions(program.graph):
        return program
    module = graph_copy(program)
    while regions := _plain_regions(module.graph):
        for node in regions:
            _inline(node)
    for node in list(module.graph.nodes):
        _without_underscore(node)
    module.graph.lint()
    result = assemble(program, module, program.graph_signature.input_specs, program.state_dict, program.constants)
    return result if not has_writes(result.graph) else _by_torch(result)


def has_writes(graph: torch.fx.Graph) -> bool:
    """Whether any operator of `graph` writes into an argument."""
    return any(writes(node) for node in graph.nodes)


def writes(node: torch.fx.Node) -> bool:
    """Whether the operator of `node` writes into an argument."""
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _plain_regions(graph: torch.fx.Graph) -> list[torch.fx.Node]:
    """Regions that compute what their body does: those that switch gradients, and those that switch autocast off."""
    return [node for node in graph.nodes if node.op == "call_function" and _is_plain(node)]


def _is_plain(node: torch.fx.Node) -> bool:
    name = getattr(node.target, "__name__", "")
    return name == _GRAD_REGION or (name == _CAST_REGION and node.args[2] is False)


def _inline(node: torch.fx.Node) -> None:
    """Puts the body of a region in its place."""
    owner = node.graph.owning_module
    position = next(i for i, arg in enumerate(node.args) if isinstance(arg, torch.fx.Node) and arg.op == "get_attr")
    body, *operands = node.args[position:]
    assert isinstance(body, torch.fx.Node)
    inner = getattr(owner, str(body.target))
    known = dict(zip(inner.graph.find_nodes(op="placeholder"), operands, strict=True))
    with node.graph.inserting_before(node):
        for item in inner.graph.nodes:
            if item.op not in ("placeholder", "output"):
                known[item] = node.graph.node_copy(item, lambda n: known[n])
                known[item].meta = dict(item.meta)
    results = _pytree.tree_map(lambda r: known.get(r, r), tuple(inner.graph.output_node().args[0]))
    for user in list(node.users):
        assert user.target.__name__ == "getitem"  # type: ignore[union-attr]  # the only reader of a tuple
        user.replace_all_uses_with(results[user.args[1]])
        node.graph.erase_node(user)
    node.graph.erase_node(node)
    if not body.users:
        node.graph.erase_node(body)


def _without_underscore(node: torch.fx.Node) -> None:
    """`add_(x, y)` to `add(x, y)` where x is fresh memory and nothing reads x or a view of it afterwards."""
    if not writes(node):
        return
    assert isinstance(node.target, torch._ops.OpOverload)
    name = node.target._schema.name.removeprefix("aten::")
    target, packet = node.args[0], getattr(torch.ops.aten, name.removesuffix("_"), None)
    fresh = isinstance(target, torch.fx.Node) and _owns_memory(target)
    if not fresh or packet is None or not name.endswith("_") or node.target._overloadname not in packet.overloads():
        return
    assert isinstance(target, torch.fx.Node)
    if any(user is not node and (node < user or is_view(user)) for user in target.users):
        return
    if node.meta["val"].dtype != target.meta["val"].dtype:
        return
    twin = getattr(packet, node.target._overloadname)
    if len(twin._schema.arguments) < len(node.args) + len(node.kwargs):
        return
    promoted = _promoted(node)
    if promoted is not None and promoted != target.meta["val"].dtype:
        return  # in place rounds to the target's dtype, out of place promotes
    node.target = twin


def _promoted(node: torch.fx.Node) -> torch.dtype | None:
    """The dtype the operator without the underscore gives, None for an operator of one tensor."""
    tensors = [arg.meta["val"] for arg in node.args if isinstance(arg, torch.fx.Node) and "val" in arg.meta]
    tensors = [value for value in tensors if isinstance(value, torch.Tensor)]
    if len(tensors) < 2:
        return None
    dtype: torch.dtype = tensors[0].dtype
    for value in tensors[1:]:
        dtype = torch.result_type(tensors[0], value) if value.dtype != torch.bool else dtype
    return dtype


def _owns_memory(node: torch.fx.Node) -> bool:
    """Whether `node` made its result: no input, no weight, no view of either."""
    return node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload) and not is_view(node)


def is_view(node: torch.fx.Node) -> bool:
    """Whether the result of `node` may be the memory of an argument.

    Schemas tell for primitive operators. Composite ones may return their argument without saying so (`reshape`,
    `contiguous`, `to`, `dropout`), so only those known to make their result count as fresh.
    """
    if not isinstance(node.target, torch._ops.OpOverload):
        return node.op == "call_function"
    schema = node.target._schema
    if any(result.alias_info is not None for result in schema.returns):
        return True
    name = node.target.name()  # type: ignore[no-untyped-call]  # torch's own
    composite = torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd")
    return composite and schema.name.removeprefix("aten::") not in _FRESH_COMPOSITES


_FRESH = """matmul linear conv1d conv2d conv3d softmax log_softmax layer_norm group_norm batch_norm rms_norm square
outer std var ones_like zeros_like scaled_dot_product_attention cosine_similarity upsample_nearest2d where"""
_FRESH_COMPOSITES = frozenset(_FRESH.split())


def _by_torch(program: ExportedProgram) -> ExportedProgram:
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            result: ExportedProgram = program.run_decompositions({})
    except Exception as error:  # torch raises what its tracing raises
        reason = " ".join(str(error).split())[:200]
        raise GraphlabError(
            f"the program writes in place and torch cannot make it functional: {reason}",
            hint="rewrite the model without in-place assignment",
        ) from error
    result._guards_code = list(getattr(program, "_guards_code", None) or ())
    return result
