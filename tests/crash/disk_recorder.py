"""Stands between the product and ``os``, and writes down every change below a folder."""

from __future__ import annotations

import functools
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crash.disk_model import Change, Disk, File


class PowerCut(BaseException):
    """The power is gone; no handler of errors may catch it."""


class DiskRecorder:
    """Writes down what happens below ``root`` while it is installed.

    Args:
        root: an existing folder; what is in it already counts as safe.
        stop_at: number of changes after which the power goes (`PowerCut` is raised from then on).
    """

    def __init__(self, root: Path, stop_at: int | None = None) -> None:
        self.root = root.resolve()
        self.changes: list[Change] = []
        self.stop_at = stop_at
        self._lock = threading.RLock()
        self._numbers: dict[str, int] = {}
        self._descriptors: dict[int, int] = {}
        self._next = 0
        self._start = Disk()
        self._real: dict[str, Any] = {}
        self._take_inventory()

    def disk_at(self, count: int) -> Disk:
        """The disk after the first ``count`` changes."""
        return next(disk for number, disk in self.disks() if number == count)

    def disks(self) -> Iterator[tuple[int, Disk]]:
        """The disk after 0, 1, 2 … changes; one object, moving on."""
        disk = Disk()
        disk.names = dict(self._start.names)
        disk.safe_names = dict(self._start.safe_names)
        for number, one in self._start.files.items():
            disk.files[number] = File(bytearray(one.current), one.safe)
        yield 0, disk
        for number, change in enumerate(self.changes, 1):
            disk.apply(change)
            yield number, disk

    def marks_before(self, count: int) -> list[str]:
        return [c.path for c in self.changes[:count] if c.kind == "mark"]

    def mark(self, text: str) -> None:
        """Note that something was promised to somebody at this point."""
        with self._lock:
            self.changes.append(Change("mark", text))

    def install(self, patch: pytest.MonkeyPatch) -> DiskRecorder:
        wrappers = {
            "open": self._open, "write": self._write, "pwrite": self._pwrite,
            "pwritev": self._pwritev, "copy_file_range": self._copy_file_range,
            "ftruncate": self._ftruncate, "posix_fallocate": self._fallocate,
            "fsync": self._fsync, "fdatasync": self._fsync, "rename": self._rename,
            "replace": self._rename, "link": self._link, "unlink": self._unlink,
            "remove": self._unlink, "rmdir": self._unlink, "mkdir": self._mkdir,
            "close": self._close, "dup": self._dup,
        }  # fmt: skip
        for name, wrapper in wrappers.items():
            self._real[name] = getattr(os, name)
            patch.setattr(os, name, functools.partial(self._locked, name, wrapper))
        return self

    # -- the wrappers: do it, then write it down -----------------------------------------------

    def _locked(self, name: str, wrapper: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            if name == "close":
                return wrapper(*args)
            self._check_power()
            if name in ("fsync", "fdatasync", "write", "pwrite", "pwritev"):
                return wrapper(self._real[name], *args)
            return wrapper(self._real[name], *args, **kwargs)

    def _check_power(self) -> None:
        if self.stop_at is not None and len(self.changes) >= self.stop_at:
            raise PowerCut

    def _add(self, kind: str, **fields: Any) -> None:
        self.changes.append(Change(kind, **fields))

    def _inside(self, path: Any, dir_fd: int | None = None) -> str | None:
        """A path relative to the root, or None when it is elsewhere."""
        text = os.fspath(path)
        if dir_fd is not None:
            text = f"{Path(f'/proc/self/fd/{dir_fd}').readlink()}/{text}"
        absolute = os.path.abspath(text)  # noqa: PTH100 - resolve() would follow a link's target
        prefix = f"{self.root}/"
        return absolute[len(prefix) :] if absolute.startswith(prefix) else None

    def _open(self, real: Any, path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        where = self._inside(path, kwargs.get("dir_fd")) if not isinstance(path, int) else None
        descriptor: int = real(path, flags, *args, **kwargs)
        if where is None and Path(os.path.abspath(path)) != self.root:  # noqa: PTH100
            self._descriptors.pop(descriptor, None)
            return descriptor
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            self._numbers.setdefault(f"folder {where or ''}", -1)
            self._descriptors[descriptor] = -1
            return descriptor
        assert where is not None
        if where not in self._numbers:
            self._numbers[where] = self._number()
            self._add("create", path=where, number=self._numbers[where])
        elif flags & os.O_TRUNC:
            self._add("resize", number=self._numbers[where], offset=0)
        self._descriptors[descriptor] = self._numbers[where]
        return descriptor

    def _dup(self, real: Any, descriptor: int) -> int:
        copy: int = real(descriptor)
        if descriptor in self._descriptors:
            self._descriptors[copy] = self._descriptors[descriptor]
        return copy

    def _close(self, descriptor: int) -> None:
        self._descriptors.pop(descriptor, None)
        self._real["close"](descriptor)

    def _write(self, real: Any, descriptor: int, content: Any) -> int:
        count: int = real(descriptor, content)
        if self._descriptors.get(descriptor, -1) >= 0:
            end = os.lseek(descriptor, 0, os.SEEK_CUR)
            self._written(descriptor, end - count, bytes(memoryview(content).cast("B")[:count]))
        return count

    def _pwrite(self, real: Any, descriptor: int, content: Any, offset: int) -> int:
        count: int = real(descriptor, content, offset)
        self._written(descriptor, offset, bytes(memoryview(content).cast("B")[:count]))
        return count

    def _pwritev(self, real: Any, descriptor: int, pieces: Any, offset: int) -> int:
        count: int = real(descriptor, pieces, offset)
        self._written(descriptor, offset, b"".join(bytes(p) for p in pieces)[:count])
        return count

    def _copy_file_range(
        self, real: Any, source: int, target: int, count: int,
        offset_src: int | None = None, offset_dst: int | None = None,
    ) -> int:  # fmt: skip
        at = os.lseek(target, 0, os.SEEK_CUR) if offset_dst is None else offset_dst
        done: int = real(source, target, count, offset_src, offset_dst)
        with Path(f"/proc/self/fd/{target}").open("rb") as stream:
            stream.seek(at)
            self._written(target, at, stream.read(done))
        return done

    def _written(self, descriptor: int, offset: int, content: bytes) -> None:
        number = self._descriptors.get(descriptor, -1)
        if number >= 0:
            self._add("write", number=number, offset=offset, content=content)

    def _ftruncate(self, real: Any, descriptor: int, size: int) -> None:
        real(descriptor, size)
        if self._descriptors.get(descriptor, -1) >= 0:
            self._add("resize", number=self._descriptors[descriptor], offset=size)

    def _fallocate(self, real: Any, descriptor: int, offset: int, count: int) -> None:
        real(descriptor, offset, count)
        if self._descriptors.get(descriptor, -1) >= 0:
            size = os.fstat(descriptor).st_size
            self._add("resize", number=self._descriptors[descriptor], offset=size)

    def _fsync(self, real: Any, descriptor: int) -> None:
        real(descriptor)
        number = self._descriptors.get(descriptor)
        if number == -1:
            folder = Path(f"/proc/self/fd/{descriptor}").readlink()
            where = "" if folder == self.root else self._inside(folder)
            if where is not None:
                self._add("sync-folder", path=where)
        elif number is not None:
            self._add("sync", number=number)

    def _mkdir(self, real: Any, path: Any, *args: Any, **kwargs: Any) -> None:
        real(path, *args, **kwargs)
        if (where := self._inside(path, kwargs.get("dir_fd"))) is not None:
            self._add("mkdir", path=where)

    def _rename(self, real: Any, source: Any, target: Any, **kwargs: Any) -> None:
        before, after = self._inside(source), self._inside(target)
        real(source, target, **kwargs)
        if before is not None and after is not None:
            for path in [p for p in self._numbers if p == before or p.startswith(before + "/")]:
                self._numbers[after + path[len(before) :]] = self._numbers.pop(path)
            self._add("rename", path=before, target=after)

    def _link(self, real: Any, source: Any, target: Any, **kwargs: Any) -> None:
        before, after = self._inside(source), self._inside(target)
        real(source, target, **kwargs)
        if before is not None and after is not None:
            self._numbers[after] = self._numbers.get(before, -1)
            self._add("link", path=before, target=after)

    def _unlink(self, real: Any, path: Any, **kwargs: Any) -> None:
        where = self._inside(path, kwargs.get("dir_fd"))
        real(path, **kwargs)
        if where is not None:
            self._numbers.pop(where, None)
            self._add("unlink", path=where)

    # -- what was there before -----------------------------------------------------------------

    def _number(self) -> int:
        self._next += 1
        return self._next

    def _take_inventory(self) -> None:
        for path in sorted(self.root.rglob("*")):
            where = str(path.relative_to(self.root))
            number = -1
            if path.is_file():
                number = self._numbers[where] = self._number()
                content = path.read_bytes()
                self._start.files[number] = File(bytearray(content), content)
            elif not path.is_dir():
                continue  # sockets
            self._start.names[where] = self._start.safe_names[where] = number
