"""A body of JSON metadata with bulk data beside it: kept on the data disk, made to Part 10 in a
child process, then deposited as if it had come so."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from django.conf import settings

from isocenter.apps.archive import services
from isocenter.apps.archive.services import Deposit, Failure
from isocenter.apps.dicomweb.accept import JSON, OCTETS, PLAIN_JSON
from isocenter.core.errors import ChildError, ChildFailed, DataSetError, SpoolError
from isocenter.core.isolation import Limits, run_isolated
from isocenter.core.network.multipart import (
    MultipartDecoder,
    MultipartError,
    MultipartLimits,
    PartEnd,
    PartStart,
    PartTooLong,
    parse_media_type,
)

_MAX_METADATA_BYTES = 64 << 20
_MAX_PARTS = 20_000
_LIMITS = Limits(memory_bytes=2 << 30, timeout_s=300)
_CHUNK = 1 << 20


class DescribedBody:
    """``multipart/related; type="application/dicom+json"``."""

    def __init__(self, deposit: Deposit, boundary: str, *, max_part_bytes: int) -> None:
        limits = MultipartLimits(max_parts=_MAX_PARTS, max_part_bytes=max_part_bytes)
        self._decoder = MultipartDecoder(boundary, limits)
        self._deposit = deposit
        self._bulk: list[dict[str, str]] = []
        self._file: BinaryIO | None = None
        self._has_metadata = False
        self._left = 0
        self._stack = ExitStack()

    def __enter__(self) -> DescribedBody:
        folder = self._stack.enter_context(
            tempfile.TemporaryDirectory(prefix="stow-", dir=settings.LAYOUT.uploads)
        )
        self._folder = Path(folder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
        self._stack.close()

    def feed(self, piece: bytes) -> None:
        for event in self._decoder.feed(piece):
            if isinstance(event, PartStart):
                self._open(event)
            elif isinstance(event, PartEnd):
                if self._file is not None:
                    self._file.close()
                    self._file = None
            elif self._file is not None:
                self._left -= len(event)
                if self._left < 0:
                    raise PartTooLong(f"metadata has at most {_MAX_METADATA_BYTES} bytes")
                if not services.has_room_for(len(event)):
                    raise SpoolError("the disk is full up to its reserve", hint="try again later")
                self._file.write(event)

    def finish(self) -> None:
        self._decoder.finish()
        if not self._has_metadata:
            raise MultipartError(f"no part of this body is {JSON}")
        for made in self._made():
            if made["reason"]:
                self._deposit.fail(
                    Failure.CANNOT_UNDERSTAND,
                    made["reason"],
                    sop_class_uid=made["sop_class_uid"],
                    sop_instance_uid=made["sop_instance_uid"],
                )
            else:
                self._take(Path(made["path"]))

    def _open(self, start: PartStart) -> None:
        kind = parse_media_type(start.headers.get("content-type") or OCTETS)
        if start.headers.get("content-encoding", "identity").lower() != "identity":
            raise MultipartError("a part with a Content-Encoding is not taken")
        if kind.type in (JSON, PLAIN_JSON):
            if self._has_metadata:
                raise MultipartError("several parts of this body are metadata")
            self._has_metadata = True
            self._left = _MAX_METADATA_BYTES
            self._file = (self._folder / "metadata.json").open("wb")
            return
        location = start.headers.get("content-location", "")
        if not location:
            raise MultipartError("a part of bulk data has no Content-Location")
        path = self._folder / f"bulk-{len(self._bulk)}"
        self._bulk.append(
            {
                "location": location,
                "path": str(path),
                "media_type": kind.type,
                "transfer_syntax": kind.parameters.get("transfer-syntax", ""),
            }
        )
        self._left = int(settings.ISOCENTER.limits.max_request_mb) << 20
        self._file = path.open("wb")

    def _made(self) -> list[dict[str, Any]]:
        made = self._folder / "made"
        made.mkdir()
        try:
            answer = run_isolated(
                "isocenter.core.dicom.described:run",
                {
                    "metadata": str(self._folder / "metadata.json"),
                    "folder": str(made),
                    "bulk": self._bulk,
                },
                work_dir=self._folder,
                limits=_LIMITS,
            )
        except ChildFailed as error:
            if error.kind == "DataSetError":
                raise DataSetError(str(error.args[0])) from None
            raise ChildError("the metadata cannot be made to instances") from None
        return list(answer["instances"])

    def _take(self, path: Path) -> None:
        self._deposit.begin()
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK):
                self._deposit.write(piece)
        self._deposit.end()
        path.unlink()
