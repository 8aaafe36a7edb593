"""Answers of several parts, ``multipart/related`` (RFC 2387, PS3.18 8.7.1)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponseBase

from isocenter.apps.dicomweb.files_sent import Content, length_of, pieces_of, streamed
from isocenter.runtime.web.streaming import Work


@dataclass(frozen=True)
class Part:
    """One part of an answer.

    Attributes:
        content_type: with its parameters, as ``application/dicom; transfer-syntax=…``.
        content: its bytes, in one or more pieces of memory and files.
        location: address of what it is.
    """

    content_type: str
    content: tuple[Content, ...]
    location: str = ""

    def head(self, boundary: str) -> bytes:
        """What stands before its bytes."""
        where = f"Content-Location: {self.location}\r\n" if self.location else ""
        return (
            f"--{boundary}\r\nContent-Type: {self.content_type}\r\n{where}"
            f"Content-Length: {length_of(self.content)}\r\n\r\n"
        ).encode("latin-1", "replace")


def multipart_answer(
    request: HttpRequest, parts: Iterable[Part], media_type: str, *, work: Work = Work.READING
) -> HttpResponseBase:
    """An answer of parts, made while it is sent.

    A list is announced with its length. Parts of an iterator are asked for one by one, in a
    thread, without the database; the answer is chunked then. An error of the iterator breaks the
    transfer.

    Args:
        media_type: of the parts, for the answer's parameter ``type``.
        work: what making a part is.
    """
    boundary = secrets.token_hex(20)
    content: Sequence[Content] | Iterator[bytes] = pieces_of(_contents(parts, boundary))
    length = None
    if isinstance(parts, Sequence):
        content = list(_contents(parts, boundary))
        length = length_of(content)
    return streamed(
        request,
        content,
        content_type=f'multipart/related; type="{media_type}"; boundary={boundary}',
        length=length,
        work=work,
    )


def _contents(parts: Iterable[Part], boundary: str) -> Iterator[Content]:
    try:
        for part in parts:
            yield part.head(boundary)
            yield from part.content
            yield b"\r\n"
        yield _last(boundary)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()


def _last(boundary: str) -> bytes:
    return f"--{boundary}--\r\n".encode()
