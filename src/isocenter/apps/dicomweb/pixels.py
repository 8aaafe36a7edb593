"""Pictures and decoded frames of stored instances, made in warm child processes.

A codec that crashes, hangs or eats memory ends its process and nothing else; what came of it is a
sentence for the client.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from isocenter.apps.archive.queries import StoredInstance
from isocenter.core.errors import (
    BoundsError,
    ChildBusy,
    ChildDied,
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

_MOST_PROCESSES = 4
_LIMITS = Limits(memory_bytes=2 << 30, timeout_s=60)
_WAIT_S = 20.0
_JOB = "isocenter.core.rendering.job"
_PRELOAD = (_JOB, "gdcm", "jpeg_ls", "openjpeg", "rle", "pydicom.pixels.decoders")
_OURS: dict[str, type[DicomError | NotAllowed]] = {
    kind.__name__: kind for kind in (PixelError, BoundsError, NotAllowed)
}


@cache
def _pool() -> ChildPool:
    size = min(_MOST_PROCESSES, len(os.sched_getaffinity(0)))
    return ChildPool(size, _LIMITS, preload=_PRELOAD, wait_s=_WAIT_S)


def close() -> None:
    """End the processes; the next picture begins anew."""
    _pool().close()


def drawn(row: StoredInstance, order: Order, *, identified: bool) -> bytearray:
    """A picture of an instance.

    Args:
        identified: who asks may know whose it is.

    Raises:
        NotAllowed: the image says that its pixels name the patient.
        DicomError: it cannot be drawn; says why.
        ChildBusy: too many are asked for at once.
    """
    request = {"path": str(row.path), "order": order.as_dict(), "identified": identified}
    return _asked("render", request)[1]


def decoded(row: StoredInstance, indices: Sequence[int], *, identified: bool) -> list[bytes]:
    """Frames as native little endian, in the order asked for; indices from 0.

    Raises:
        NotAllowed, DicomError, ChildBusy: see :func:`drawn`.
    """
    request = {"path": str(row.path), "frames": list(indices), "identified": identified}
    result, data = _asked("decode", request)
    view, frames, begin = memoryview(data), [], 0
    for size in result["sizes"]:
        frames.append(bytes(view[begin : begin + size]))
        begin += size
    return frames


def _asked(function: str, request: dict[str, Any]) -> tuple[dict[str, Any], bytearray]:
    try:
        return _pool().call(f"{_JOB}:{function}", request)
    except ChildBusy:
        raise
    except ChildFailed as error:
        message = str(error.args[0])
        if error.kind in _OURS:
            raise _OURS[error.kind](message) from None
        raise PixelError(message if error.kind.endswith("Error") else _CRASHED) from None
    except ChildTimeout:
        raise PixelError(f"decoding it takes longer than {_LIMITS.timeout_s:g} s") from None
    except ChildMemoryExceeded:
        raise PixelError("decoding it needs too much memory") from None
    except (ChildDied, ChildError):
        raise PixelError(_CRASHED) from None


_CRASHED = "the decoder failed on it"
