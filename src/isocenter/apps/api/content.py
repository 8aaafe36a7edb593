"""Reading what is sent: bounded, and nothing that PostgreSQL cannot keep."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.parser import Parser

MAX_BODY_BYTES = 4 << 20


class JsonParser(Parser):
    """JSON without NUL, lone surrogates, NaN and endless nesting."""

    def parse_body(self, request: HttpRequest) -> Any:
        if len(request.body) > MAX_BODY_BYTES:
            raise HttpError(413, f"at most {MAX_BODY_BYTES} bytes")
        try:
            content = json.loads(request.body, parse_constant=_refuse)
            _check(content)
        except (ValueError, RecursionError) as error:
            reason = "too deep" if isinstance(error, RecursionError) else str(error)
            raise HttpError(400, f"the body is no JSON that can be used: {reason}") from None
        return content


def is_clean(text: str) -> bool:
    """Whether text has neither NUL nor lone surrogates."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def text_of(request: HttpRequest) -> str:
    """A body that is text in UTF-8.

    Raises:
        HttpError: it is none, or too long.
    """
    if len(request.body) > MAX_BODY_BYTES:
        raise HttpError(413, f"at most {MAX_BODY_BYTES} bytes")
    try:
        text = request.body.decode("utf-8")
    except UnicodeDecodeError:
        raise HttpError(400, "the body is no text in UTF-8") from None
    if not is_clean(text):
        raise HttpError(400, "the body holds a NUL")
    return text


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _check(content: Any) -> None:
    if isinstance(content, str):
        if not is_clean(content):
            raise ValueError("text has a NUL or half a surrogate pair")
    elif isinstance(content, dict):
        for key, value in content.items():
            _check(key)
            _check(value)
    elif isinstance(content, list):
        for item in content:
            _check(item)
