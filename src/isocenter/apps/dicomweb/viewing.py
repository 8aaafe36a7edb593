"""Writing down who looks at a study, at little cost: a viewer asks hundreds of times."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock

from django.http import HttpRequest

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.audit.services import ONE_VIEW, record_view

_MOST = 4096
_lock = Lock()
_seen: OrderedDict[tuple[str, str, str, str], float] = OrderedDict()


def note_view(request: HttpRequest, study_uid: str, what: str) -> None:
    """An event ``STUDY_VIEWED``; the same again within five minutes is one view.

    Args:
        what: ``metadata``, ``images``, …
    """
    principal = principal_of(request)
    key = (principal.name, principal.token, study_uid, what)
    now = time.monotonic()
    with _lock:
        if now - _seen.get(key, -1e9) < ONE_VIEW.total_seconds():
            return
    record_view(principal, study_uid, what)
    with _lock:
        _seen[key] = now
        _seen.move_to_end(key)
        while len(_seen) > _MOST:
            _seen.popitem(last=False)


def forget_views() -> None:
    """For tests: every view is a new one."""
    with _lock:
        _seen.clear()
