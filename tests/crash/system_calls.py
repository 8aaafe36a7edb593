"""What strace wrote, as calls and as changes of the disk."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crash.disk_model import Change

TRACED = (
    "openat,creat,write,writev,pwrite64,pwritev,pwritev2,copy_file_range,sendfile,fallocate,"
    "ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,"
    "mkdir,mkdirat,sendmsg,sendto"
)
OPTIONS = ("-f", "-y", "-xx", "-s", "400", "-e", f"trace={TRACED}")

_LINE = re.compile(r"^(\d+) +(.*)$")
_UNFINISHED = re.compile(r"^(\w+)\((.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
_WHOLE = re.compile(r"^(\w+)\((.*)\) += (-?\d+|\?)(.*)$")
_DESCRIPTOR = re.compile(r"^(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True)
class Call:
    """One system call; ``started`` and ``ended`` are lines of the trace."""

    thread: int
    name: str
    arguments: str
    result: int
    started: int
    ended: int

    @property
    def path(self) -> str:
        """Path of the descriptor that is its first argument."""
        match = _DESCRIPTOR.match(self.arguments)
        return _decoded(match[1]).decode() if match else ""

    @property
    def texts(self) -> list[bytes]:
        """Its strings; buffers are cut off after 400 bytes."""
        return [_decoded(text) for text in _TEXT.findall(self.arguments)]

    @property
    def paths(self) -> list[str]:
        """Paths that it names, made absolute with the folders that come with them."""
        text = self.arguments
        found = []
        for match in _TEXT.finditer(text):
            name = _decoded(match[1]).decode(errors="replace")
            if not name.startswith("/"):
                before = list(re.finditer(r"<((?:\\x[0-9a-f]{2})*)>", text[: match.start()]))
                name = f"{_decoded(before[-1][1]).decode()}/{name}" if before else name
            found.append(name)
        return found


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def calls(trace: Path) -> list[Call]:
    """Calls in the order in which they ended; those that never ended are left out."""
    begun: dict[int, tuple[str, str, int]] = {}
    found = []
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        match = _LINE.match(line)
        if not match:
            continue
        thread, rest = int(match[1]), match[2]
        started = number
        if unfinished := _UNFINISHED.match(rest):
            begun[thread] = (unfinished[1], unfinished[2], number)
            continue
        if (resumed := _RESUMED.match(rest)) and thread in begun:
            name, arguments, started = begun.pop(thread)
            rest = f"{name}({arguments}{resumed[2]}"
        if (whole := _WHOLE.match(rest)) and whole[3] != "?":
            found.append(Call(thread, whole[1], whole[2], int(whole[3]), started, number))
    return found


class Translator:
    """Turns calls into changes below ``root``. Of writes only that they happened is kept."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._numbers: dict[str, int] = {}
        self._next = 0

    def change(self, call: Call) -> Change | None:
        """What a call changed, or None."""
        if call.result < 0:
            return None
        if call.name in ("openat", "creat"):
            return self._create(call) if "O_CREAT" in call.arguments else None
        if call.name in ("mkdir", "mkdirat"):
            path = self._inside(call.paths[0])
            return Change("mkdir", path=path) if path else None
        if call.name in ("rename", "renameat", "renameat2"):
            return self._rename(*map(self._inside, call.paths))
        if call.name in ("unlink", "unlinkat", "rmdir"):
            path = self._inside(call.paths[0])
            self._numbers.pop(path, None)
            return Change("unlink", path=path) if path else None
        if call.name in ("fsync", "fdatasync"):
            return self._sync(call.path)
        number = self._numbers.get(self._inside(call.path))
        return None if number is None else Change("write", number=number, content=b"\1")

    def _inside(self, path: str) -> str:
        prefix = f"{self._root}/"
        return path.removeprefix(prefix) if path.startswith(prefix) else ""

    def _create(self, call: Call) -> Change | None:
        path = self._inside(call.paths[0])
        if not path or path in self._numbers:
            return None
        self._next += 1
        self._numbers[path] = self._next
        return Change("create", path=path, number=self._next)

    def _rename(self, before: str, after: str) -> Change | None:
        if not before or not after:
            return None
        for old in [p for p in self._numbers if p == before or p.startswith(f"{before}/")]:
            self._numbers[after + old[len(before) :]] = self._numbers.pop(old)
        return Change("rename", path=before, target=after)

    def _sync(self, path: str) -> Change | None:
        where = self._inside(path)
        if where in self._numbers:
            return Change("sync", number=self._numbers[where])
        return Change("sync-folder", path=where) if where or path == self._root else None


@contextmanager
def traced(pid: int, trace: Path) -> Iterator[None]:
    """Attach to a process that runs; what it calls meanwhile is in ``trace`` afterwards."""
    strace = subprocess.Popen(
        [shutil.which("strace") or "strace", *OPTIONS, "-o", str(trace), "-p", str(pid)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        assert strace.stderr is not None
        assert b"attached" in strace.stderr.readline(), "strace may not attach here"
        yield
        time.sleep(0.2)
    finally:
        strace.terminate()
        strace.communicate(timeout=10)
