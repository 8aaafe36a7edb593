"""``multipart/related`` bodies (RFC 2046 5.1, RFC 2387, PS3.18 8.6), read and written in pieces.

The decoder takes a body chunk by chunk and gives the bytes of its parts as views of those chunks:
a part is never held, and a chunk is copied only where a delimiter may begin at its very end.
Every payload comes out byte for byte, also one that ends in spaces or line ends or that holds the
beginning of a delimiter.

RFC 2046 forbids that a delimiter stands in a payload. A line that begins like a delimiter and goes
on otherwise is read differently by different programs, so such a body is refused as a whole.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from isocenter.core.errors import ProtocolError

# RFC 2046 ends at 70 characters; Orthanc's boundaries have 73.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,199}[0-9A-Za-z'()+_,\-./:=?]")
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_MEDIA_TYPE = re.compile(rf"\s*({_WORD}/{_WORD})\s*")
_PARAMETER = re.compile(rf';\s*({_WORD})\s*=\s*(?:({_WORD})|"((?:[^"\\]|\\.)*)")\s*')
# Boundaries often stand unquoted with characters that would need quotes.
_LOOSE_PARAMETER = re.compile(rf";\s*({_WORD})\s*=\s*([^\s;\"]+)\s*")
_FIELD = re.compile(rf"({_WORD}):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_LINE_BYTES = 128  # white space behind a delimiter
_MAX_TYPE = 4096


class MultipartError(ProtocolError):
    """A body that is no multipart body, is cut off, or goes beyond the bounds."""


class PartTooLong(MultipartError):
    """A part, or the number of parts, is beyond the bounds."""


@dataclass(frozen=True)
class MediaType:
    """A Content-Type: type in small letters, parameters by name in small letters."""

    type: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_media_type(text: str) -> MediaType:
    """Read a Content-Type (RFC 9110 8.3.1).

    Raises:
        MultipartError: it cannot be read, or names a parameter twice.
    """
    found = _MEDIA_TYPE.match(text) if len(text) <= _MAX_TYPE else None
    if found is None:
        raise MultipartError("the Content-Type cannot be read")
    parameters: dict[str, str] = {}
    at = found.end()
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None or (match.end() < len(text) and text[match.end()] != ";"):
            match = _LOOSE_PARAMETER.match(text, at)
        if match is None:
            if text[at:].strip(" \t;") == "":
                break
            raise MultipartError("a parameter of the Content-Type cannot be read")
        name = match[1].lower()
        if name in parameters:
            raise MultipartError(f"the Content-Type names {name} twice")
        quoted = match[3] if match.re is _PARAMETER else None
        parameters[name] = match[2] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        at = match.end()
    return MediaType(found[1].lower(), parameters)


@dataclass(frozen=True)
class MultipartLimits:
    """Bounds on a body.

    Attributes:
        max_parts: in one body.
        max_part_bytes: of one part.
        max_header_bytes: of the headers of one part.
        max_filling_bytes: before the first and behind the last delimiter.
    """

    max_parts: int = 100_000
    max_part_bytes: int = 8 << 30
    max_header_bytes: int = 16 << 10
    max_filling_bytes: int = 64 << 10


@dataclass(frozen=True)
class PartStart:
    """A part begins; header names are in small letters."""

    headers: Mapping[str, str]


@dataclass(frozen=True)
class PartEnd:
    """The part is over, and had so many bytes."""

    length: int


Event = PartStart | memoryview | PartEnd
Chunk = bytes | bytearray


class _State(Enum):
    PREAMBLE = auto()
    LINE = auto()  # the rest of a delimiter's line
    HEADERS = auto()
    BODY = auto()
    EPILOGUE = auto()


class MultipartDecoder:
    """Reads one body.

    Args:
        boundary: as the Content-Type names it.

    Raises:
        MultipartError: no boundary that RFC 2046 allows.
    """

    def __init__(self, boundary: str, limits: MultipartLimits | None = None) -> None:
        self._dashed = b"--" + _checked(boundary)
        self._delimiter = b"\r\n" + self._dashed
        self._limits = limits or MultipartLimits()
        self._state = _State.PREAMBLE
        self._held = b""  # the end of the data so far where a delimiter may have begun
        self._is_at_start = True  # the line end before a delimiter is not part of what is held
        self._block = bytearray()
        self._filling = 0
        self._parts = 0
        self._length = 0
        self._declared: int | None = None

    @property
    def is_complete(self) -> bool:
        """The last delimiter has come."""
        return self._state is _State.EPILOGUE

    @property
    def parts(self) -> int:
        """How many parts have begun."""
        return self._parts

    def feed(self, chunk: Chunk) -> list[Event]:
        """What a further piece of the body brings; views are of the chunk, valid as long as it is.

        Raises:
            MultipartError: the body breaks the rules or the bounds; nothing more can be fed.
        """
        events: list[Event] = []
        at = 0
        while at < len(chunk):
            if self._state in (_State.PREAMBLE, _State.BODY):
                chunk, at = self._joined(chunk, at)
                at = self._pass_data(chunk, at, events)
            elif self._state is _State.LINE:
                at = self._pass_line(chunk, at)
            elif self._state is _State.HEADERS:
                at = self._pass_headers(chunk, at, events)
            else:
                self._fill(len(chunk) - at)
                at = len(chunk)
        return events

    def finish(self) -> None:
        """The body is over.

        Raises:
            MultipartError: its last delimiter has not come.
        """
        # The two hyphens may be the very last bytes, without a line end.
        if self._state is _State.LINE and bytes(self._block).rstrip(b" \t") == b"--":
            self._state = _State.EPILOGUE
        if not self.is_complete:
            where = f"in part {self._parts}" if self._parts else "before its first part"
            raise MultipartError(f"the body ends {where}: its last delimiter is missing")

    def _joined(self, chunk: Chunk, at: int) -> tuple[Chunk, int]:
        if not self._held:
            return chunk, at
        held, self._held = self._held, b""
        return b"".join((held, memoryview(chunk)[at:])), 0

    def _pass_data(self, chunk: Chunk, at: int, events: list[Event]) -> int:
        """Bytes up to the next delimiter, or to where one may begin."""
        if self._is_at_start:
            begin = bytes(chunk[at : at + len(self._dashed)])
            if begin == self._dashed:
                return self._delimited(chunk, at, at, at + len(begin), events)
            if self._dashed.startswith(begin):
                self._held = begin
                return len(chunk)
            self._is_at_start = False
        found = chunk.find(self._delimiter, at)
        if found >= 0:
            return self._delimited(chunk, at, found, found + len(self._delimiter), events)
        keep = self._beginning(chunk, at)
        self._give(chunk, at, keep, events)
        self._held = bytes(chunk[keep:])
        return len(chunk)

    def _beginning(self, chunk: Chunk, at: int) -> int:
        """Where at the end of the chunk a delimiter may begin; its end when nowhere."""
        place = chunk.find(b"\r", max(at, len(chunk) - len(self._delimiter) + 1))
        while place >= 0:
            if self._delimiter.startswith(bytes(chunk[place:])):
                return place
            place = chunk.find(b"\r", place + 1)
        return len(chunk)

    def _delimited(self, chunk: Chunk, at: int, end: int, behind: int, events: list[Event]) -> int:
        self._give(chunk, at, end, events)
        if self._state is _State.BODY:
            if self._declared is not None and self._declared != self._length:
                raise MultipartError(
                    f"part {self._parts} declares {self._declared} bytes and has {self._length}"
                )
            events.append(PartEnd(self._length))
        self._state = _State.LINE
        self._block.clear()
        return behind

    def _give(self, chunk: Chunk, at: int, end: int, events: list[Event]) -> None:
        if end <= at:
            return
        if self._state is _State.PREAMBLE:
            self._fill(end - at)
            return
        self._length += end - at
        if self._length > self._limits.max_part_bytes:
            raise PartTooLong(
                f"part {self._parts} is longer than {self._limits.max_part_bytes} bytes"
            )
        events.append(memoryview(chunk)[at:end])

    def _pass_line(self, chunk: Chunk, at: int) -> int:
        taken = bytes(chunk[at : at + _LINE_BYTES])
        before = len(self._block)
        self._block += taken
        end = self._block.find(b"\r\n")
        if end < 0:
            if len(self._block) > _LINE_BYTES:
                raise _ambiguous(self._parts)
            line = bytes(self._block)
            if not b"--".startswith(line[:2]) and line.strip(b" \t\r"):
                raise _ambiguous(self._parts)
            return at + len(taken)
        line = bytes(self._block[:end]).rstrip(b" \t")
        if line == b"--":
            self._state = _State.EPILOGUE
        elif line == b"":
            self._parts += 1
            if self._parts > self._limits.max_parts:
                raise PartTooLong(f"more than {self._limits.max_parts} parts")
            self._state = _State.HEADERS
        else:
            raise _ambiguous(self._parts)
        self._block.clear()
        self._block += b"\r\n"  # headers that are none end at once
        return at + end + 2 - before

    def _pass_headers(self, chunk: Chunk, at: int, events: list[Event]) -> int:
        most = self._limits.max_header_bytes
        before = len(self._block)
        self._block += chunk[at : at + most]
        end = self._block.find(b"\r\n\r\n", max(before - 3, 0))
        if end < 0 or end > most:
            if len(self._block) > most:
                raise MultipartError(f"the headers of part {self._parts} exceed {most} bytes")
            return at + most
        headers = _headers(bytes(self._block[2:end]), self._parts)
        self._declared = _declared(headers, self._parts)
        if self._declared is not None and self._declared > self._limits.max_part_bytes:
            raise PartTooLong(
                f"part {self._parts} is longer than {self._limits.max_part_bytes} bytes"
            )
        events.append(PartStart(headers))
        self._state = _State.BODY
        self._is_at_start = True
        self._length = 0
        self._block.clear()
        return at + end + 4 - before

    def _fill(self, count: int) -> None:
        self._filling += count
        if self._filling > self._limits.max_filling_bytes:
            raise MultipartError(
                f"more than {self._limits.max_filling_bytes} bytes stand outside the parts"
            )


def _ambiguous(part: int) -> MultipartError:
    where = f"in part {part}" if part else "at the beginning"
    return MultipartError(
        f"{where} a line begins like a delimiter and is none: choose a boundary that is in no part"
    )


def _headers(block: bytes, part: int) -> dict[str, str]:
    unfolded = re.sub(rb"\r\n[ \t]+", b" ", block)
    found: dict[str, str] = {}
    for line in unfolded.split(b"\r\n"):
        if not line:
            continue
        match = _FIELD.fullmatch(line.decode("latin-1"))
        if match is None:
            raise MultipartError(f"a header of part {part} cannot be read")
        name = match[1].lower()
        if name in found:
            raise MultipartError(f"part {part} has the header {name} twice")
        found[name] = match[2].rstrip(" \t")
    return found


def _declared(headers: Mapping[str, str], part: int) -> int | None:
    text = headers.get("content-length")
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise MultipartError(f"the Content-Length of part {part} is no number")
    return int(text)


def _checked(boundary: str) -> bytes:
    if not _BOUNDARY.fullmatch(boundary):
        raise MultipartError("the boundary is none: 1 to 200 characters, those of RFC 2046")
    return boundary.encode("ascii")


# -- writing ----------------------------------------------------------------------------------


def new_boundary() -> str:
    """A boundary that no payload holds but by a chance of 1 in 2^128."""
    return f"isocenter-{secrets.token_hex(16)}"


def part_head(boundary: str, headers: Mapping[str, str], *, is_first: bool) -> bytes:
    """Delimiter and headers of a part; its payload follows at once.

    Raises:
        MultipartError: a boundary or header that cannot be written.
    """
    lines = [("" if is_first else "\r\n") + f"--{_checked(boundary).decode()}"]
    for name, value in headers.items():
        line = f"{name}: {value}"
        if not _FIELD.fullmatch(line) or not line.isascii():
            raise MultipartError(f"the header {name!r} cannot be written")
        lines.append(line)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def closing(boundary: str) -> bytes:
    """The last delimiter."""
    return b"\r\n--" + _checked(boundary) + b"--\r\n"


def encode(parts: Iterable[tuple[Mapping[str, str], bytes]], boundary: str) -> bytes:
    """A whole body in memory, for small ones.

    Raises:
        MultipartError: a payload holds the delimiter, or there is no part.
    """
    body = bytearray()
    for headers, payload in parts:
        if b"\r\n--" + _checked(boundary) in b"\r\n" + payload:
            raise MultipartError("a payload holds the boundary")
        body += part_head(boundary, headers, is_first=not body) + payload
    if not body:
        raise MultipartError("a multipart body has at least one part")
    return bytes(body) + closing(boundary)
