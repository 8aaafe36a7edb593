"""Unique identifiers: checking, deriving, and turning them into file names."""

from __future__ import annotations

import hashlib
import re

_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")
_MAX_LENGTH = 64

#: Names this implementation in file meta information and in associations (PS3.7 D.3.3.2).
IMPLEMENTATION_CLASS_UID = "2.25.227681534098475046923781530922671034881"


def is_valid_uid(uid: str) -> bool:
    """Whether ``uid`` obeys PS3.5 9.1: 1 to 64 characters, numbers without leading zeros, dots."""
    return 0 < len(uid) <= _MAX_LENGTH and _UID.fullmatch(uid) is not None


def derive_uid(*parts: str | bytes) -> str:
    """A UID that is a function of its parts (PS3.5 B.2, form ``2.25.<128-bit number>``).

    Each part goes into a SHA-256 with its length in front, so that ``("ab", "c")`` and
    ``("a", "bc")`` differ; text counts as UTF-8. The first 128 bits become the number, with the
    version and variant bits of a UUID of version 8 (RFC 9562) set, as PS3.5 B.2 wants a UUID.
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    number = int.from_bytes(digest.digest()[:16], "big")
    number = number & ~(0xF << 76) | (0x8 << 76)
    number = number & ~(0x3 << 62) | (0x2 << 62)
    return f"2.25.{number}"


def safe_path_component(uid: str) -> str:
    """A file name for a UID that came from outside.

    A valid UID stays as it is; anything else (empty, ``..``, slashes, too long) becomes ``x`` and
    32 hexadecimal digits of its SHA-256, which no valid UID looks like.
    """
    if is_valid_uid(uid):
        return uid
    return "x" + hashlib.sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()[:32]
