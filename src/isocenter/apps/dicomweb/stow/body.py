"""A body of Part 10 files, piece by piece into a deposit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from isocenter.apps.archive.services import Deposit, Failure
from isocenter.apps.dicomweb.accept import DICOM
from isocenter.core.network.multipart import (
    MultipartDecoder,
    MultipartError,
    MultipartLimits,
    PartEnd,
    PartStart,
    PartTooLong,
    parse_media_type,
)

MAX_PARTS = 50_000


class Body(Protocol):
    """Takes the bytes of a request."""

    def feed(self, piece: bytes) -> None:
        """
        Raises:
            MultipartError: it breaks the rules or the bounds.
        """

    def finish(self) -> None:
        """
        Raises:
            MultipartError: it is cut off or has nothing in it.
        """


class PartsBody:
    """``multipart/related; type="application/dicom"``."""

    def __init__(self, deposit: Deposit, boundary: str, *, max_part_bytes: int) -> None:
        limits = MultipartLimits(max_parts=MAX_PARTS, max_part_bytes=max_part_bytes)
        self._decoder = MultipartDecoder(boundary, limits)
        self._deposit = deposit
        self._is_taken = False

    def feed(self, piece: bytes) -> None:
        deposit = self._deposit
        for event in self._decoder.feed(piece):
            if isinstance(event, memoryview):
                if self._is_taken:
                    deposit.write(event)
            elif isinstance(event, PartStart):
                reason = _refusal(event.headers)
                self._is_taken = not reason
                if reason:
                    deposit.fail(Failure.CANNOT_UNDERSTAND, reason)
                else:
                    deposit.begin()
            elif isinstance(event, PartEnd) and self._is_taken:
                deposit.end()

    def finish(self) -> None:
        self._decoder.finish()
        if not self._decoder.parts:
            raise MultipartError("there is no part in this body")


class SingleBody:
    """``application/dicom``: one instance, and nothing around it."""

    def __init__(self, deposit: Deposit, *, max_part_bytes: int) -> None:
        self._deposit = deposit
        self._most = max_part_bytes
        self._length = 0
        deposit.begin()

    def feed(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length > self._most:
            raise PartTooLong(f"an instance is longer than {self._most} bytes")
        self._deposit.write(piece)

    def finish(self) -> None:
        if not self._length:
            raise MultipartError("the body is empty")
        self._deposit.end()


def _refusal(headers: Mapping[str, str]) -> str:
    """Why a part is not taken; empty where it is."""
    coding = headers.get("content-encoding", "").lower()
    transfer = headers.get("content-transfer-encoding", "").lower()
    if coding not in ("", "identity") or transfer not in ("", "binary", "8bit", "7bit"):
        return "a part with an encoding of its own is not taken"
    try:
        kind = parse_media_type(headers.get("content-type") or DICOM).type
    except MultipartError as error:
        return str(error)
    return "" if kind == DICOM else f"a part is not {DICOM}"
