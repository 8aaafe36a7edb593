"""Instances in a transfer syntax that the peer accepts, made only when it accepts no other.

Pixels are decoded in a child process: codecs crash on hostile files, and a delivery must not
die of one. A child does a group of files, because starting it costs more than decoding one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.errors import ChildCancelled, ChildError, PixelError
from isocenter.core.isolation import Limits, run_isolated

from .proposals import SendItem

_GROUP_FILES = 32
_GROUP_BYTES = 64 << 20  # encoded; bounds the time in which the peer hears nothing
_LIMITS = Limits(memory_bytes=2 << 30, timeout_s=600)


@dataclass(frozen=True)
class Conversion:
    """An instance and the transfer syntax that it has to be sent in."""

    item: SendItem
    syntax: str


class Converter:
    """Converts instances in the order in which they are sent, a group ahead.

    Args:
        wanted: all conversions of one association, in order.
        folder: for the converted files; the caller deletes it.
        cancelled: asked while a child works; True ends it.
    """

    def __init__(
        self,
        wanted: Sequence[Conversion],
        folder: Path,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._cancelled = cancelled
        self._waiting = list(wanted)
        self._folder = folder
        self._done: dict[Path, Path | str] = {}
        self._count = 0

    def path_of(self, item: SendItem) -> Path:
        """The converted file, made now when it is not there yet.

        Raises:
            PixelError: it cannot be converted; says why.
        """
        while item.path not in self._done and self._waiting:
            self._convert_group()
        result = self._done.get(item.path, "it was not asked for")
        if isinstance(result, str):
            raise PixelError(f"cannot be converted: {result}")
        return result

    def _convert_group(self) -> None:
        group = self._take_group()
        targets = {}
        for one in group:
            self._count += 1
            targets[one.item.path] = self._folder / f"{self._count}.dcm"
        files = [
            {
                "source": str(one.item.path.absolute()),
                "target": str(targets[one.item.path]),
                "syntax": one.syntax,
            }
            for one in group
        ]
        try:
            answer = run_isolated(
                "isocenter.core.dicom.transcode:run",
                {"files": files},
                work_dir=self._folder,
                limits=_LIMITS,
                cancelled=self._cancelled,
            )
            refused = answer["refused"]
        except ChildCancelled as error:
            refused = {file["source"]: str(error) for file in files}
        except ChildError as error:
            if len(group) > 1:  # find the one that kills the child; the others can be sent
                for one in group:
                    self._waiting.insert(0, one)
                    self._convert_one()
                return
            refused = {files[0]["source"]: str(error)}
        for one, file in zip(group, files, strict=True):
            self._done[one.item.path] = refused.get(file["source"], targets[one.item.path])

    def _convert_one(self) -> None:
        rest, self._waiting = self._waiting[1:], self._waiting[:1]
        self._convert_group()
        self._waiting = rest

    def _take_group(self) -> list[Conversion]:
        group: list[Conversion] = []
        size = 0
        while self._waiting and len(group) < _GROUP_FILES and size < _GROUP_BYTES:
            group.append(self._waiting.pop(0))
            try:
                size += group[-1].item.path.stat().st_size
            except OSError:
                continue  # the child says what is wrong with it
        return group
