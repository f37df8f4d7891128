"""What a pickle would import and call, told from its opcodes: nothing is ever unpickled here.

A pickle is a small program. Its opcodes are run over stand-ins (constants, tuples, names of globals,
"something"), which is exact enough to resolve every global through the memo, and to see the arguments of
the calls that matter. What cannot be resolved is unsafe.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from graphlab.errors import SourceError, UnsafeSourceError

GlobalName: TypeAlias = tuple[str, str]
"""(module, qualified name) that a pickle would import."""


class NotAPickleError(SourceError):
    """Bytes that are no complete pickle."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A string or bytes constant of a pickle."""

    value: str | bytes


@dataclass(frozen=True, slots=True)
class Import:
    """A global that a pickle imports."""

    name: GlobalName


@dataclass(frozen=True, slots=True)
class Group:
    """A tuple on the stack."""

    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """The result of calling `function` (a stand-in too) with `arguments`."""

    function: Any
    arguments: Any


@dataclass(frozen=True, slots=True)
class _Other:
    """Something whose value does not matter here."""


MAX_LINE_BYTES = 1 << 16
"""Longest line of a text opcode: such lines hold numbers and names; without a bound, weights read as one."""
_OTHER = _Other()
_MARK = object()


@dataclass(frozen=True, slots=True)
class PickleScan:
    """What one pickle would do: globals in order, calls, the bytes it spans and its first number (torch's magic)."""

    globals: tuple[GlobalName, ...]
    calls: tuple[Call, ...]
    end: int
    number: int | None


@dataclass(slots=True)
class _Machine:
    what: str
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    globals: dict[GlobalName, None] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    unsafe: str | None = None

    def distrust(self, reason: str) -> None:
        """Note the first reason not to load the pickle; raised at its end, since weights may look like a start."""
        self.unsafe = self.unsafe or f"{self.what}: a pickle {reason}"
        self.stack.append(_OTHER)

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise NotAPickleError(f"{self.what} is no pickle: an opcode finds nothing on the stack")
        return self.stack.pop()

    def pop_to_mark(self) -> tuple[Any, ...]:
        items: list[Any] = []
        while self.stack and self.stack[-1] is not _MARK:
            items.append(self.stack.pop())
        if not self.stack:
            raise NotAPickleError(f"{self.what} is no pickle: an opcode finds no mark")
        self.stack.pop()
        return tuple(reversed(items))

    def load(self, index: int) -> Any:
        if index not in self.memo:
            raise NotAPickleError(f"{self.what} is no pickle: memo entry {index} is read before it is written")
        return self.memo[index]

    def store(self, index: int, position: int) -> None:
        # CPython sizes its memo by the largest index, so an index past the number of opcodes is an attack.
        if not self.stack or index < 0 or index > position + 1:
            raise NotAPickleError(f"{self.what} is no honest pickle: memo index {index} at byte {position}")
        self.memo[index] = self.stack[-1]

    def bring_in(self, module: Any, name: Any) -> None:
        if not (isinstance(module, Constant) and isinstance(name, Constant)):
            self.distrust("computes the name of what it imports, which only an attack does")
            return
        key = (_text(module.value), _text(name.value))
        self.globals[key] = None
        self.stack.append(Import(key))

    def call(self, function: Any, arguments: Any) -> None:
        made = Call(function, arguments)
        self.calls.append(made)
        self.stack.append(made)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _extension(machine: _Machine, argument: Any, _position: int) -> None:
    machine.distrust(f"imports through extension code {argument}, whose target the file does not show")


def _global(machine: _Machine, argument: Any, _position: int) -> None:
    module, _, name = str(argument).partition(" ")
    machine.bring_in(Constant(module), Constant(name))


def _stack_global(machine: _Machine, _argument: Any, _position: int) -> None:
    name, module = machine.pop(), machine.pop()
    machine.bring_in(module, name)


def _inst(machine: _Machine, argument: Any, position: int) -> None:
    arguments = Group(machine.pop_to_mark())
    _global(machine, argument, position)
    machine.call(machine.pop(), arguments)


def _obj(machine: _Machine, _argument: Any, _position: int) -> None:
    items = machine.pop_to_mark()
    if not items:
        raise NotAPickleError(f"{machine.what} is no pickle: OBJ without a class")
    machine.call(items[0], Group(items[1:]))


def _reduce(machine: _Machine, _argument: Any, _position: int) -> None:
    arguments, function = machine.pop(), machine.pop()
    machine.call(function, arguments)


def _newobj_ex(machine: _Machine, _argument: Any, _position: int) -> None:
    keywords, arguments, function = machine.pop(), machine.pop(), machine.pop()
    machine.call(function, Group((arguments, keywords)))


def _build(machine: _Machine, _argument: Any, _position: int) -> None:
    machine.pop()
    if not machine.stack:
        raise NotAPickleError(f"{machine.what} is no pickle: BUILD without an object")


def _dup(machine: _Machine, _argument: Any, _position: int) -> None:
    top = machine.pop()
    machine.stack += [top, top]


def _pop(machine: _Machine, _argument: Any, _position: int) -> None:
    if not machine.stack:
        raise NotAPickleError(f"{machine.what} is no pickle: POP on an empty stack")
    machine.stack.pop()


def _pop_mark(machine: _Machine, _argument: Any, _position: int) -> None:
    machine.pop_to_mark()


def _persistent(machine: _Machine, _argument: Any, _position: int) -> None:
    machine.pop()
    machine.stack.append(_OTHER)


def _tuple_of(count: int) -> Callable[[_Machine, Any, int], None]:
    def run(machine: _Machine, _argument: Any, _position: int) -> None:
        items = [machine.pop() for _ in range(count)]
        machine.stack.append(Group(tuple(reversed(items))))

    return run


def _tuple(machine: _Machine, _argument: Any, _position: int) -> None:
    machine.stack.append(Group(machine.pop_to_mark()))


def _marked(machine: _Machine, _argument: Any, _position: int) -> None:
    machine.pop_to_mark()
    machine.stack.append(_OTHER)


def _into_marked(machine: _Machine, _argument: Any, _position: int) -> None:
    machine.pop_to_mark()
    if not machine.stack:
        raise NotAPickleError(f"{machine.what} is no pickle: items without a container")


def _drop(count: int) -> Callable[[_Machine, Any, int], None]:
    def run(machine: _Machine, _argument: Any, _position: int) -> None:
        for _ in range(count):
            machine.pop()

    return run


def _constant(machine: _Machine, argument: Any, _position: int) -> None:
    machine.stack.append(Constant(argument) if isinstance(argument, str | bytes) else _OTHER)


def _push(machine: _Machine, _argument: Any, _position: int) -> None:
    machine.stack.append(_OTHER)


def _nothing(_machine: _Machine, _argument: Any, _position: int) -> None:
    return None


def _put(machine: _Machine, argument: Any, position: int) -> None:
    machine.store(int(argument), position)


def _memoize(machine: _Machine, _argument: Any, position: int) -> None:
    machine.store(len(machine.memo), position)


def _get(machine: _Machine, argument: Any, _position: int) -> None:
    machine.stack.append(machine.load(int(argument)))


_OPCODES: dict[str, Callable[[_Machine, Any, int], None]] = {
    "GLOBAL": _global, "STACK_GLOBAL": _stack_global, "INST": _inst, "OBJ": _obj,
    "EXT1": _extension, "EXT2": _extension, "EXT4": _extension,
    "REDUCE": _reduce, "NEWOBJ": _reduce, "NEWOBJ_EX": _newobj_ex, "BUILD": _build,
    "PERSID": _push, "BINPERSID": _persistent, "DUP": _dup, "POP": _pop, "POP_MARK": _pop_mark,
    "MARK": lambda machine, _argument, _position: machine.stack.append(_MARK),
    "TUPLE": _tuple, "EMPTY_TUPLE": _tuple_of(0), "TUPLE1": _tuple_of(1), "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3), "LIST": _marked, "DICT": _marked, "FROZENSET": _marked,
    "APPENDS": _into_marked, "SETITEMS": _into_marked, "ADDITEMS": _into_marked,
    "APPEND": _drop(1), "SETITEM": _drop(2),
    "PUT": _put, "BINPUT": _put, "LONG_BINPUT": _put, "MEMOIZE": _memoize,
    "GET": _get, "BINGET": _get, "LONG_BINGET": _get,
    "PROTO": _nothing, "FRAME": _nothing, "READONLY_BUFFER": _nothing,
    "EMPTY_LIST": _push, "EMPTY_DICT": _push, "EMPTY_SET": _push, "NONE": _push, "NEWTRUE": _push,
    "NEWFALSE": _push, "NEXT_BUFFER": _push,
}  # fmt: skip
_CONSTANT_NAMES = (
    "STRING BINSTRING SHORT_BINSTRING UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES "
    "BINBYTES8 BYTEARRAY8 INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT"
)
_CONSTANTS = frozenset(_CONSTANT_NAMES.split())


def scan_one(data: memoryview | bytes, what: str) -> PickleScan:
    """What the pickle at the start of `data` would import and call; `what` names it in messages.

    NotAPickleError when the bytes are no complete pickle, UnsafeSourceError when its imports cannot be told.
    """
    machine = _Machine(what)
    number: int | None = None
    end = 0
    for name, argument, position in _operations(data, what):
        if name == "STOP":
            if len(machine.stack) != 1:
                raise NotAPickleError(f"{what} is no pickle: {len(machine.stack)} values are left at its end")
            if machine.unsafe is not None:
                raise UnsafeSourceError(machine.unsafe, hint="nothing was loaded; do not load this file")
            end = position + 1
            break
        if number is None and isinstance(argument, int) and name in _CONSTANTS:
            number = argument
        handler = _constant if name in _CONSTANTS else _OPCODES.get(name)
        if handler is None:
            raise NotAPickleError(f"{what} is no pickle that graphlab knows: it uses the opcode {name}")
        handler(machine, argument, position)
    return PickleScan(tuple(machine.globals), tuple(machine.calls), end, number)


def _operations(data: memoryview | bytes, what: str) -> Iterator[tuple[str, Any, int]]:
    try:
        for opcode, argument, position in pickletools.genops(_Reader(memoryview(data))):  # type: ignore[arg-type]
            yield opcode.name, argument, position or 0
    except (SourceError, GeneratorExit):
        raise
    except Exception as error:  # pickletools raises whatever decoding raises
        raise NotAPickleError(f"{what} is no complete pickle ({error})", hint="fetch or save the file again") from error


class _Reader:
    """A memoryview as the stream pickletools wants (read, readline, tell), copied only as far as it is read."""

    def __init__(self, view: memoryview) -> None:
        self._view, self._at = view, 0

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> bytes:
        data = bytes(self._view[self._at : self._at + max(size, 0)])
        self._at += len(data)
        return data

    def readline(self) -> bytes:
        line = bytes(self._view[self._at : self._at + MAX_LINE_BYTES])
        stop = line.find(b"\n")
        if stop < 0 and len(line) == MAX_LINE_BYTES:
            raise ValueError(f"a line of more than {MAX_LINE_BYTES} bytes")
        line = line if stop < 0 else line[: stop + 1]
        self._at += len(line)
        return line
