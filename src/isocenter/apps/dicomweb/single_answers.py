"""Answers of one thing: conditional requests and ranges (PS3.18 8.7.8, RFC 9110 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from isocenter.apps.dicomweb.empty import empty_answer
from isocenter.apps.dicomweb.errors import problem
from isocenter.apps.dicomweb.files_sent import Content, cut, length_of, streamed

#: Kept by whoever asked, never used without asking again.
ASK_AGAIN = "private, no-cache"
_IN_MEMORY_BYTES = 1 << 22
_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*")


def etag_of(*parts: object, is_weak: bool = False) -> str:
    """An entity tag: the parts in quotes, without letters that it may not have."""
    text = "-".join(re.sub(r"[^0-9A-Za-z.*+_]", "", str(part)) for part in parts)
    return f'W/"{text}"' if is_weak else f'"{text}"'


def not_modified(request: HttpRequest, etag: str) -> HttpResponse | None:
    """304 where the client has this already (``If-None-Match``); else None."""
    asked = request.headers.get("If-None-Match", "")
    if not asked:
        return None
    known = {each.strip().removeprefix("W/") for each in asked[:8192].split(",")}
    if "*" not in known and etag.removeprefix("W/") not in known:
        return None
    return empty_answer(304, {"ETag": etag, "Cache-Control": ASK_AGAIN, "Vary": "Accept"})


def single_answer(
    request: HttpRequest, contents: Sequence[Content], content_type: str, *, etag: str = ""
) -> HttpResponseBase:
    """One thing, or the range of it that is asked for: 200, 206, 304 or 416.

    Several ranges at once are answered with the whole, as RFC 9110 14.2 allows.
    """
    if etag and (same := not_modified(request, etag)):
        return same
    size = length_of(contents)
    asked = _range(request, size, etag)
    if asked is not None and asked[0] >= asked[1]:
        return problem(
            416, "this range lies behind the end", f"{size} bytes", Content_Range=f"bytes */{size}"
        )
    first, end = asked or (0, size)
    wanted = cut(contents, first, end - first) if asked else list(contents)
    if length_of(wanted) <= _IN_MEMORY_BYTES and all(isinstance(each, bytes) for each in wanted):
        whole = b"".join(each for each in wanted if isinstance(each, bytes))
        response: HttpResponseBase = HttpResponse(whole, content_type=content_type)
        response.headers["Content-Length"] = str(len(whole))
    else:
        response = streamed(request, wanted, content_type=content_type, length=end - first)
    if asked:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Vary"] = "Accept"
    response.headers["Cache-Control"] = ASK_AGAIN
    if etag:
        response.headers["ETag"] = etag
    return response


def _range(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | None:
    """First byte and end of what is asked for; None: everything. Empty: beyond the end."""
    match = _RANGE.fullmatch(request.headers.get("Range", ""))
    if match is None or not (match[1] or match[2]):
        return None
    condition = request.headers.get("If-Range", "")
    if condition and condition != etag:
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size if int(match[2]) else 0
    first = int(match[1])
    end = min(size, int(match[2]) + 1) if match[2] else size
    if match[2] and int(match[2]) < first:
        return None  # no range at all (RFC 9110 14.1.1)
    return first, end
