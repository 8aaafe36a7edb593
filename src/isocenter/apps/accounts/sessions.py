"""Sessions of browsers: rows that end after idle time, after their whole time, or by a person.

This is Django's session engine (``SESSION_ENGINE``); a row knows whose it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.http import HttpRequest
from django.utils import timezone

from isocenter.apps.accounts.models import Session, User
from isocenter.apps.accounts.queries import session_id, sessions_of
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record

SEEN_EVERY = timedelta(minutes=1)  # how exactly the last use is kept
_STARTED = "started_at"
_ADDRESS = "address"
_BROWSER = "browser"
_USER = "_auth_user_id"  # Django's key


class SessionStore(DatabaseStore):
    """Keeps session data in `Session`; never reads one that has ended."""

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        now = timezone.now()
        started_at = _moment(data.get(_STARTED)) or now
        row = cast(Session, super().create_model_instance(data))
        row.expire_date = ends_at(started_at, now)
        row.user_id = int(data[_USER]) if data.get(_USER) else None
        row.started_at, row.last_seen_at = started_at, now
        row.address = str(data.get(_ADDRESS, ""))
        row.browser = str(data.get(_BROWSER, ""))
        return row


def ends_at(started_at: datetime, seen_at: datetime) -> datetime:
    """When a session ends that nobody uses any more."""
    rules = settings.ISOCENTER.accounts
    return min(
        seen_at + timedelta(minutes=rules.session_idle_minutes),
        started_at + timedelta(hours=rules.session_hours),
    )


def begin(request: HttpRequest, address: str) -> None:
    """Write into the session of somebody who has just signed in what its owner wants to see."""
    request.session[_STARTED] = timezone.now().isoformat()
    request.session[_ADDRESS] = address[:64]
    request.session[_BROWSER] = browser_name(request.headers.get("User-Agent", ""))


def keep_alive(request: HttpRequest) -> None:
    """Somebody used the session: its idle time begins anew.

    Parts of pages that renew themselves do not count, or an open page would never be signed out.
    """
    started_at = _moment(request.session.get(_STARTED))
    if started_at is None or is_polling(request):
        return
    now = timezone.now()
    Session.objects.filter(
        session_key=request.session.session_key, last_seen_at__lt=now - SEEN_EVERY
    ).update(last_seen_at=now, expire_date=ends_at(started_at, now))


def is_polling(request: HttpRequest) -> bool:
    """Whether a page asks for a part of itself, by itself."""
    return request.method == "GET" and "HX-Request" in request.headers and "part" in request.GET


def end_session(user: User, session: str, *, actor: str) -> bool:
    """Sign a person out in one of their browsers; whether there was one.

    Args:
        session: its id (`queries.session_id`).
    """
    for row in sessions_of(user):
        if session_id(row) == session:
            row.delete()
            record(Kind.SIGNED_OUT, actor=actor, account=user.username, elsewhere=True)
            return True
    return False


def end_sessions(user: User, *, but: str | None = None) -> int:
    """Sign a person out everywhere, except in one session; how many ended."""
    ended, _ = user.sessions.exclude(session_key=but or "").delete()
    return ended


def remove_ended() -> None:
    """Rows that nobody can use any more."""
    Session.objects.filter(expire_date__lte=timezone.now()).delete()


def browser_name(user_agent: str) -> str:
    """``Mozilla/5.0 (X11; Linux x86_64) … Firefox/128.0`` → ``Firefox on Linux``."""
    browsers = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrom": "Chrome"}
    browsers |= {"Safari": "Safari"}
    systems = {"Windows": "Windows", "Android": "Android", "iPhone": "iOS", "iPad": "iOS"}
    systems |= {"Mac OS": "macOS", "Linux": "Linux"}
    other = user_agent.partition("/")[0][:40] or "unknown"
    browser = next((name for mark, name in browsers.items() if mark in user_agent), other)
    system = next((name for mark, name in systems.items() if mark in user_agent), "")
    return f"{browser} on {system}" if system else browser


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
