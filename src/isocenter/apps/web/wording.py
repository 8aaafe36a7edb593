"""Values of the index as people read them."""

from __future__ import annotations

import datetime as dt
import re

from isocenter.core.dicom.person_names import person_name

__all__ = ["ago", "dicom_date", "dicom_time", "duration", "person_name", "size"]

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_SECONDS = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s"))
_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")


def dicom_date(text: str) -> str:
    """A DA (PS3.5 6.2) as ISO 8601; what is none stays as it is."""
    found = _DATE.fullmatch(text.strip())
    return "-".join(found.groups()) if found else text


def dicom_time(text: str) -> str:
    """A TM without its fraction: ``101112.5`` → ``10:11:12``."""
    digits = text.strip().partition(".")[0].replace(":", "")
    if not digits.isdigit() or len(digits) not in (2, 4, 6):
        return text
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def size(count: float | None) -> str:
    """Bytes in units of 1024."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TB"


def duration(value: dt.timedelta | float | None) -> str:
    """Seconds as people say them: ``350 ms``, ``12 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if value is None:
        return ""
    seconds = value.total_seconds() if isinstance(value, dt.timedelta) else float(value)
    if seconds < 1:
        return f"{max(0, seconds) * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    left = round(seconds)
    parts: list[tuple[int, str]] = []
    for length, unit in _SECONDS:
        count, left = divmod(left, length)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count)


def ago(moment: dt.datetime, now: dt.datetime) -> str:
    """How long ago, or in how long; app.js says the same."""
    seconds = (now - moment).total_seconds()
    far = abs(seconds)
    if far < 5:
        return "now"
    if far < _MINUTE:
        text = f"{far:.0f} s"
    elif far < _HOUR:
        text = f"{far // _MINUTE:.0f} min"
    elif far < _DAY:
        text = f"{far // _HOUR:.0f} h"
    elif far < 30 * _DAY:
        text = f"{far // _DAY:.0f} d"
    else:
        return f"{moment:%Y-%m-%d}"
    return f"{text} ago" if seconds > 0 else f"in {text}"
