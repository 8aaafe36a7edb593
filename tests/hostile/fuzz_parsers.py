"""Fuzzes parsers of what strangers send with atheris: ``make fuzz``, or

    python tests/hostile/fuzz_parsers.py multipart|media-type|qido|accept [libFuzzer options]

Coverage leads it where random bytes do not come. A crash is an exception that is no refusal of
ours, or a body that is read differently when it comes in other pieces.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import atheris  # type: ignore[import-not-found]
import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isocenter.runtime.django")
with atheris.instrument_imports(
    include=["isocenter.core.network.multipart", "isocenter.apps.dicomweb"]
):
    django.setup()
    from isocenter.apps.dicomweb.accept import parse_accept
    from isocenter.apps.dicomweb.errors import BadRequest
    from isocenter.apps.dicomweb.qido_parameters import read_parameters
    from isocenter.core.network.multipart import (
        MultipartDecoder,
        MultipartError,
        MultipartLimits,
        PartEnd,
        PartStart,
        parse_media_type,
    )

LIMITS = MultipartLimits(
    max_parts=20, max_part_bytes=5000, max_header_bytes=200, max_filling_bytes=200
)
SEARCHABLE = {0x00100010, 0x00100020, 0x0020000D, 0x00080020, 0x00080061, 0x00400275}
INSIDE = {0x00400275: {0x00400009}}


def parts_of(body: bytes, step: int) -> list[Any] | None:
    """Headers and payloads; None where the body is refused."""
    decoder = MultipartDecoder("b", LIMITS)
    found: list[Any] = []
    try:
        for start in range(0, len(body), step):
            for event in decoder.feed(body[start : start + step]):
                if isinstance(event, PartStart):
                    found.append([dict(event.headers), bytearray()])
                elif isinstance(event, PartEnd):
                    assert event.length == len(found[-1][1])
                else:
                    found[-1][1] += event
        decoder.finish()
    except MultipartError:
        return None
    return found


def multipart(data: bytes) -> None:
    body = data[1:]
    step = 1 + (data[0] if data else 0) % 16
    assert parts_of(body, step) == parts_of(body, max(len(body), 1))


def media_type(data: bytes) -> None:
    with contextlib.suppress(MultipartError):
        parse_media_type(data.decode("latin-1"))


def qido(data: bytes) -> None:
    items = parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True)
    with contextlib.suppress(BadRequest):
        read_parameters(items, SEARCHABLE, INSIDE)


def accept(data: bytes) -> None:
    with contextlib.suppress(BadRequest):
        parse_accept(data.decode("latin-1"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "multipart": multipart,
    "media-type": media_type,
    "qido": qido,
    "accept": accept,
}


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"one of: {', '.join(TARGETS)}")
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
