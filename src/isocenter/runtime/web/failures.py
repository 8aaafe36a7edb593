"""What went wrong in a request, in the application log: under a number that its sender is shown.

Neither the address nor the error's message is written: what somebody searched for or sent stands
in both. The pattern of the address and the places in the program say enough.
"""

from __future__ import annotations

import traceback
import uuid

import structlog
from django.http import HttpRequest

log = structlog.get_logger(__name__)

_MOST_FRAMES = 12


def report(request: HttpRequest, error: BaseException | None, event: str) -> str:
    """Write down that this request failed.

    Args:
        error: what was raised; None where nobody knows any more.
        event: name of the line in the log.

    Returns:
        the number under which the log has it.
    """
    number = str(uuid.uuid4())
    found = getattr(request, "resolver_match", None)
    frames = traceback.extract_tb(error.__traceback__ if error is not None else None)
    log.error(
        event,
        id=number,
        method=request.method,
        path=f"/{found.route}" if found is not None else "",
        kind=type(error).__name__ if error is not None else "",
        trace=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-_MOST_FRAMES:]],
    )
    return number
