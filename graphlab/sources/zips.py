"""Zip archives of strangers, read so strictly that no other reader can see a different archive.

Scanning a file with Python's zipfile is worth nothing if torch's reader (miniz) then finds other members:
names that differ in case only, a second central directory, data in front of the first member. All of that
is refused. Nothing is unpacked except members that are asked for, and none beyond its declared size.
"""

from __future__ import annotations

import io
import mmap
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from graphlab.errors import SourceError, UnsafeSourceError

MAX_DEFLATED_BYTES = 256 << 20
"""Uncompressed bytes that compressed members may always reach; torch's own files are stored uncompressed."""
MAX_RATIO = 100
"""Uncompressed over compressed bytes allowed past that: JSON of graphs compresses 20 to 40 times."""
_END = b"PK\x05\x06"
_END_BYTES = 22


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive: its name, its uncompressed bytes, and where its data starts when it is stored."""

    name: str
    nbytes: int
    start: int | None


class Window(io.RawIOBase):
    """A seekable read-only file over a memoryview, without copying it."""

    def __init__(self, view: memoryview) -> None:
        self._view, self._at = view, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._view)}[whence]
        if base + offset < 0:
            raise ValueError("negative seek")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = len(self._view) if size is None or size < 0 else min(self._at + size, len(self._view))
        data = bytes(self._view[self._at : end])
        self._at = max(self._at, end)
        return data

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer is 3.12+
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@dataclass(frozen=True, slots=True)
class Archive:
    """An opened archive: `what` names it in messages, `members` are in the order of its directory."""

    what: str
    view: memoryview
    members: dict[str, Member]
    file: zipfile.ZipFile

    def read(self, name: str, limit: int | None = None) -> bytes:
        """The bytes of member `name`, at most `limit` of them; SourceError when missing or damaged."""
        if name not in self.members:
            raise SourceError(f"{self.what} has no member {name}", hint="the file is damaged or of another kind")
        try:
            with self.file.open(name) as stream:
                return stream.read() if limit is None else stream.read(limit)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError) as error:
            raise SourceError(
                f"{self.what}: member {name} is damaged ({error})", hint="fetch the file again"
            ) from error

    def stored(self, name: str) -> memoryview:
        """A view of member `name` without a copy where it is stored, else of its unpacked bytes."""
        member = self.members[name]
        if member.start is None:
            return memoryview(self.read(name))
        return self.view[member.start : member.start + member.nbytes]


@contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """The bytes of `path`, memory-mapped read-only; SourceError when missing, no file, empty or unreadable."""
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist" if not path.exists() else "is no regular file"
            raise SourceError(f"{path} {what}, expected a file", hint="check the path")
        with path.open("rb") as file:
            if file.seek(0, io.SEEK_END) == 0:
                raise SourceError(f"{path} is empty (0 bytes)", hint="fetch or save the file again")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {error}", hint="check the path and its permissions") from error
    # The map is closed when its last view is gone; closing it here would break views a caller still holds.
    yield memoryview(data)


def open_zip(view: memoryview, what: str) -> Archive:
    """The archive in `view`; SourceError when it is damaged, UnsafeSourceError when readers could disagree on it."""
    _check_end(view, what)
    try:
        file = zipfile.ZipFile(io.BufferedReader(Window(view)))
        infos = file.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise SourceError(f"{what} is a damaged zip archive ({error})", hint="fetch or save the file again") from error
    except Exception as error:  # struct.error, IndexError and the like from a directory full of noise
        raise SourceError(f"{what} is a damaged zip archive ({type(error).__name__})") from error
    if not infos:
        raise SourceError(f"{what} is an empty zip archive", hint="fetch or save the file again")
    _check_names(infos, what)
    _check_sizes(infos, len(view), what)
    members = {info.filename: Member(info.filename, info.file_size, _start(view, info, what)) for info in infos}
    return Archive(what, view, members, file)


def _check_end(view: memoryview, what: str) -> None:
    tail = bytes(view[-_END_BYTES:])
    if len(view) < _END_BYTES or bytes(view[:4]) != b"PK\x03\x04" or _END not in bytes(view[-(1 << 16) :]):
        raise SourceError(
            f"{what} is a truncated zip archive: {len(view)} bytes without a directory at the end",
            hint="fetch or save the file again",
        )
    if not tail.startswith(_END) or tail[-2:] != b"\0\0" or tail.count(_END) != 1:
        raise UnsafeSourceError(
            f"{what}: the zip archive has data behind its directory, so readers could disagree on its members",
            hint="save the file again with torch",
        )


def _check_names(infos: list[zipfile.ZipInfo], what: str) -> None:
    seen: set[str] = set()
    for info in infos:
        name = info.filename
        # miniz finds members without regard to case, and does not stop at a zero byte as zipfile does.
        if name.casefold() in seen or info.orig_filename != name:
            raise UnsafeSourceError(f"{what}: two members could be taken for {name!r}", hint="save the file again")
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise UnsafeSourceError(f"{what}: member {name!r} points outside the archive", hint="save the file again")
        seen.add(name.casefold())
    if min(info.header_offset for info in infos) != 0:
        raise UnsafeSourceError(f"{what}: data stands in front of the zip archive", hint="save the file again")


def _check_sizes(infos: list[zipfile.ZipInfo], size: int, what: str) -> None:
    packed = sum(info.compress_size for info in infos)
    deflated = sum(info.file_size for info in infos if info.compress_type != zipfile.ZIP_STORED)
    for info in infos:
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise SourceError(f"{what}: member {info.filename} is encrypted or compressed in an unusual way")
        if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
            raise SourceError(f"{what}: member {info.filename} has two sizes", hint="fetch the file again")
    if packed > size:
        raise SourceError(f"{what}: its members claim {packed} bytes, the file has {size}", hint="fetch it again")
    if deflated > max(MAX_DEFLATED_BYTES, MAX_RATIO * size):
        raise SourceError(
            f"{what} unpacks from {size} to {deflated} bytes, past {MAX_RATIO} times its size: refused as a zip bomb",
            hint="save it uncompressed, as torch does",
        )


def _start(view: memoryview, info: zipfile.ZipInfo, what: str) -> int | None:
    """Where the data of a stored member begins: behind its local header, its name and its extra field."""
    if info.compress_type != zipfile.ZIP_STORED:
        return None
    header = bytes(view[info.header_offset : info.header_offset + 30])
    start = info.header_offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    if header[:4] != b"PK\x03\x04" or start + info.file_size > len(view):
        raise SourceError(f"{what}: member {info.filename} lies outside the file", hint="fetch the file again")
    return start
