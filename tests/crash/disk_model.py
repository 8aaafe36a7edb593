"""What a power cut leaves of a folder, by the strictest reading of POSIX.

`Disk` replays a record of changes and says what would be on the platter if the power went then:
bytes are safe after fsync or fdatasync of their file, names (of files and folders) after fsync of
the folder that holds them. Of what is not safe, any 4 KiB block and any name may be there or not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = 4096


@dataclass
class File:
    """Bytes as the kernel sees them, and as the platter has them."""

    current: bytearray = field(default_factory=bytearray)
    safe: bytes = b""
    dirty: set[int] = field(default_factory=set)

    def write(self, offset: int, content: bytes) -> None:
        end = offset + len(content)
        self.resize(max(end, len(self.current)))
        self.current[offset:end] = content
        self.dirty.update(range(offset // BLOCK, (end + BLOCK - 1) // BLOCK))

    def resize(self, size: int) -> None:
        if size < len(self.current):
            del self.current[size:]
        else:
            self.current.extend(bytes(size - len(self.current)))

    def sync(self) -> None:
        self.safe = bytes(self.current)
        self.dirty.clear()

    def left(self, toss: Callable[[], bool]) -> bytes:
        """Its bytes after a power cut; ``toss`` decides about each unsafe block and the size."""
        size = len(self.current) if toss() else len(self.safe)
        image = bytearray(self.safe[:size].ljust(size, b"\0"))
        for block in sorted(self.dirty):
            first = block * BLOCK
            piece = self.current[first : min(first + BLOCK, size)]
            if piece and toss():
                image[first : first + len(piece)] = piece
        return bytes(image)


@dataclass(frozen=True)
class Change:
    """One entry of the record.

    ``kind``: create, mkdir, write, resize, sync, sync-folder, rename, link, unlink, mark.
    """

    kind: str
    path: str = ""
    target: str = ""
    offset: int = 0
    content: bytes = b""
    number: int = 0  # of the file, which may change its name


@dataclass(frozen=True)
class _Names:
    """A change of names that is not safe yet; atomic, as on every journalling file system."""

    sets: tuple[tuple[str, int | None], ...]  # path -> file number, None: gone; folders: -1

    @property
    def paths(self) -> set[str]:
        return {path for path, _ in self.sets}


class Disk:
    """The state of a folder at one point of a record."""

    def __init__(self) -> None:
        self.files: dict[int, File] = {}
        self.safe_names: dict[str, int] = {}
        self.pending: list[_Names] = []
        self.names: dict[str, int] = {}

    def apply(self, change: Change) -> None:
        getattr(self, "_" + change.kind.replace("-", "_"))(change)

    def unsafe_paths(self, below: str = "") -> set[str]:
        """Paths below a folder with bytes or names that a power cut could take."""
        found = {path for names in self.pending for path in names.paths}
        found |= {path for path, number in self.names.items() if self._is_dirty(number)}
        return {path for path in found if path.startswith(below)}

    def left(self, toss: Callable[[], bool]) -> dict[str, bytes | None]:
        """Paths and contents after a power cut; None stands for a folder."""
        names = dict(self.safe_names)
        refused: set[str] = set()
        for one in self.pending:
            if one.paths & refused or not toss():
                refused |= one.paths
                continue
            for path, number in one.sets:
                names.pop(path, None) if number is None else names.update({path: number})
        found: dict[str, bytes | None] = {}
        for path in sorted(names):  # parents come first
            parent = path.rpartition("/")[0]
            if parent and found.get(parent, b"") is not None:
                continue  # a folder whose own name is lost takes everything in it with it
            number = names[path]
            found[path] = None if number < 0 else self.files[number].left(toss)
        return found

    def write_left(self, folder: Path, toss: Callable[[], bool]) -> None:
        """Make a folder that looks as after the power cut."""
        folder.mkdir(parents=True)
        for path, content in self.left(toss).items():
            if content is None:
                (folder / path).mkdir()
            else:
                (folder / path).write_bytes(content)

    def _is_dirty(self, number: int) -> bool:
        if number < 0:
            return False
        one = self.files[number]
        return bool(one.dirty) or len(one.safe) != len(one.current)

    def _change_names(self, *sets: tuple[str, int | None]) -> None:
        self.pending.append(_Names(sets))
        for path, number in sets:
            if number is None:
                self.names.pop(path, None)
            else:
                self.names[path] = number

    def _mark(self, change: Change) -> None:
        """Nothing changes on the disk."""

    def _create(self, change: Change) -> None:
        self.files[change.number] = File()
        self._change_names((change.path, change.number))

    def _mkdir(self, change: Change) -> None:
        self._change_names((change.path, -1))

    def _write(self, change: Change) -> None:
        self.files[change.number].write(change.offset, change.content)

    def _resize(self, change: Change) -> None:
        self.files[change.number].resize(change.offset)

    def _sync(self, change: Change) -> None:
        self.files[change.number].sync()

    def _rename(self, change: Change) -> None:
        below = change.path + "/"
        olds = [p for p in self.names if p == change.path or p.startswith(below)]
        moved = {old: change.target + old[len(change.path) :] for old in olds}
        sets = [(new, self.names[old]) for old, new in moved.items()]
        self._change_names(*[(old, None) for old in moved], *sets)

    def _link(self, change: Change) -> None:
        if change.path in self.names:
            self._change_names((change.target, self.names[change.path]))

    def _unlink(self, change: Change) -> None:
        self._change_names((change.path, None))

    def _sync_folder(self, change: Change) -> None:
        """Names in this folder are safe, and with them what they build on."""
        wanted: set[str] = set()
        keep: list[_Names] = []
        for one in reversed(self.pending):
            here = any(path.rpartition("/")[0] == change.path for path in one.paths)
            if here or one.paths & wanted:
                wanted |= one.paths
            else:
                keep.append(one)
        safe = [one for one in self.pending if one not in keep]
        self.pending = keep[::-1]
        for one in safe:
            for path, number in one.sets:
                if number is None:
                    self.safe_names.pop(path, None)
                else:
                    self.safe_names[path] = number


def tosses(seed: int) -> Iterator[tuple[str, Callable[[], bool]]]:
    """Ways the power can go: everything unsafe lost, everything kept, and mixtures."""
    yield "nothing unsynced is left", lambda: False
    yield "everything is left", lambda: True
    for share in (0.2, 0.5, 0.8):
        dice = random.Random(f"{seed}-{share}")
        yield f"{share:.0%} of it is left", lambda d=dice, s=share: d.random() < s
