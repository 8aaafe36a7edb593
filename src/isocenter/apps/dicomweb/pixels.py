"""Pictures and decoded frames of stored instances, made in warm child processes; pictures that
need no decoder at once.

A codec that crashes, hangs or eats memory ends its process and nothing else; what came of it is a
sentence for the client.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import structlog

from isocenter.apps.archive.queries import StoredInstance
from isocenter.core.dicom.frames import Frames
from isocenter.core.errors import (
    BoundsError,
    ChildBusy,
    ChildError,
    ChildFailed,
    ChildMemoryExceeded,
    ChildTimeout,
    DicomError,
    NotAllowed,
    PixelError,
)
from isocenter.core.isolation import Limits
from isocenter.core.isolation.pool import ChildPool
from isocenter.core.rendering.order import Order

log = structlog.get_logger(__name__)

_MOST_PROCESSES = 4
_LIMITS = Limits(memory_bytes=2 << 30, timeout_s=60)
_WAIT_S = 20.0
_JOB = "isocenter.core.rendering.job"
_PRELOAD = (_JOB, "gdcm", "jpeg_ls", "openjpeg", "rle", "pydicom.pixels.decoders")
_GROUP_BYTES = 8 << 20  # decoded in one call; more are decoded while these are sent
_FAILED = "the decoder failed on it"
#: What the processes raise of their own, and what is told of it.
_OURS: dict[str, type[PixelError | BoundsError | NotAllowed]] = {
    "NotAllowed": NotAllowed,
    "BoundsError": BoundsError,
    **dict.fromkeys(("PixelError", "DataSetError", "NotDicomError", "DicomError"), PixelError),
}


@cache
def _pool() -> ChildPool:
    size = min(_MOST_PROCESSES, len(os.sched_getaffinity(0)))
    return ChildPool(size, _LIMITS, preload=_PRELOAD, wait_s=_WAIT_S)


def close() -> None:
    """End the processes; the next picture begins anew."""
    _pool().close()


def drawn(row: StoredInstance, order: Order, *, identified: bool) -> bytes | bytearray:
    """A picture of an instance.

    Args:
        identified: who asks may know whose it is.

    Raises:
        NotAllowed: the image says that its pixels name the patient.
        PixelError, BoundsError: it cannot be drawn; says why.
        ChildBusy: too many are asked for at once.
    """
    from isocenter.core.rendering.job import plain_picture

    # What goes wrong with it is found again, and told, by a child.
    with contextlib.suppress(DicomError, OSError, ValueError):
        picture = plain_picture(row.path, order, identified=identified)
        if picture is not None:
            return picture
    return _asked("render", row, {"order": order.as_dict(), "identified": identified})[1]


def decoded(row: StoredInstance, indices: Sequence[int], *, identified: bool) -> list[bytes]:
    """Frames as native little endian, in the order asked for; indices from 0.

    Raises:
        NotAllowed, PixelError, BoundsError, ChildBusy: see :func:`drawn`.
    """
    request = {"frames": list(indices), "identified": identified}
    result, data = _asked("decode", row, request)
    view, frames, begin = memoryview(data), [], 0
    for size in result["sizes"]:
        frames.append(bytes(view[begin : begin + size]))
        begin += size
    return frames


def frames_decoded(
    row: StoredInstance, found: Frames, indices: Sequence[int], *, identified: bool
) -> Iterator[bytes]:
    """The same one after the other: some are decoded in one call, further ones when they are
    asked for.

    Raises:
        NotAllowed, PixelError, BoundsError, ChildBusy: see :func:`drawn`.
    """
    at_once = max(1, _GROUP_BYTES * 8 // max(1, found.frame_bits()))
    for begin in range(0, len(indices), at_once):
        yield from decoded(row, indices[begin : begin + at_once], identified=identified)


def _asked(
    function: str, row: StoredInstance, request: dict[str, Any]
) -> tuple[dict[str, Any], bytearray]:
    try:
        return _pool().call(f"{_JOB}:{function}", {"path": str(row.path), **request})
    except ChildBusy:
        raise
    except ChildFailed as error:
        if error.kind in _OURS:
            raise _OURS[error.kind](str(error.args[0])) from None
        reason, kind = _FAILED, error.kind
    except ChildTimeout as error:
        reason = f"decoding it takes longer than {_LIMITS.timeout_s:g} s"
        kind = type(error).__name__
    except ChildMemoryExceeded as error:
        reason, kind = "decoding it needs too much memory", type(error).__name__
    except ChildError as error:
        reason, kind = _FAILED, type(error).__name__
    log.warning("pixels_failed", sop_uid=row.sop_uid, what=function, kind=kind)
    raise PixelError(reason)
