"""Hostile store requests to a whole platform: a clear refusal, nothing stored, and it goes on."""

from __future__ import annotations

import contextlib
import copy
import gzip
import json
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pydicom import Dataset

from isocenter.core.dicom.part10 import DEFLATED_LITTLE, FileMeta, encode_file_meta
from isocenter.core.dicom.writing import encode_dataset
from isocenter.core.network.multipart import encode
from platform_under_test import Platform

LIMIT = "limit"
TYPE = f'multipart/related; type="application/dicom"; boundary={LIMIT}'
PART = {"Content-Type": "application/dicom"}
CT = "1.2.840.10008.5.1.4.1.1.2"
GROWTH_MB = 150


class Victim:
    """A platform, and what a stranger with a token can say to it."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        made = platform.json("token", "create", "--user", "admin", "--scope", "upload")
        self.token = str(made["token"])
        self.web = psutil.Process(platform.runtime["parts"]["web"]["pid"])
        self.idle = self.web.memory_info().rss

    def raw(self, request: bytes, *, ends: bool = False) -> tuple[int, bytes]:
        """Status and all that is answered; 0 where the connection is closed without an answer."""
        with socket.create_connection(("127.0.0.1", self.platform.http_port), 60) as link:
            with contextlib.suppress(OSError):  # closed already; its answer can still be read
                link.sendall(request)
                if ends:
                    link.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := link.recv(1 << 16):
                    answer += piece
        return (int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0), answer

    def head(self, *lines: str, path: str = "/dicom-web/studies") -> bytes:
        fixed = (
            f"POST {path} HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {self.token}",
            "Connection: close",
        )
        return ("\r\n".join((*fixed, *lines)) + "\r\n\r\n").encode()

    def post(self, body: bytes, *lines: str, content_type: str = TYPE) -> tuple[int, bytes]:
        head = self.head(f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *lines)
        return self.raw(head + body)

    def stored(self) -> int:
        archive = self.platform.data_dir / "archive"
        return sum(1 for path in archive.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def victim(module_folder: Path) -> Iterator[Victim]:
    platform = Platform(module_folder / "platform").start()
    try:
        yield Victim(platform)
        assert "Traceback" not in platform.output(1000)
    finally:
        platform.end()


@pytest.fixture(autouse=True)
def _unharmed(victim: Victim, valid_instance: Callable[[], tuple[str, bytes]]) -> Iterator[None]:
    before = victim.stored()
    yield
    uid, data_set = valid_instance()
    status, answer = victim.post(encode([(PART, part10(uid, data_set))], LIMIT))
    assert status == 200, answer
    expected = before + 1
    victim.platform.wait_for(lambda: victim.stored() >= expected)
    assert victim.stored() == expected
    assert victim.web.memory_info().rss - victim.idle < GROWTH_MB << 20
    assert list((victim.platform.data_dir / "uploads").iterdir()) == []


def part10(uid: str, data_set: bytes, syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    return encode_file_meta(FileMeta(CT, uid, syntax)) + data_set


def instance(image: Dataset, **values: str) -> bytes:
    """A file with values that pydicom would not let pass."""
    changed = copy.deepcopy(image)
    for keyword, value in values.items():
        if keyword == "PatientName":
            changed.PatientName = value
        else:
            changed[keyword]._value = value
    return part10("", encode_dataset(changed, "1.2.840.10008.1.2.1"))


@pytest.mark.parametrize(
    "length",
    ["99999999999999999999", "9" * 400, "18446744073709551615", "200000000000", "-1", "1x"],
)
def test_giant_and_senseless_lengths(victim: Victim, length: str) -> None:
    status, answer = victim.raw(
        victim.head(f"Content-Type: {TYPE}", f"Content-Length: {length}") + b"--limit\r\n"
    )
    assert 400 <= status < 500, answer


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Transfer-Encoding: gzip, chunked", "Content-Length: 5"),
    ],
    ids=range(4),
)
def test_two_lengths_smuggle_nothing(victim: Victim, lines: tuple[str, ...]) -> None:
    """What follows is never taken for a request of its own that is answered as allowed."""
    inner = victim.head("Content-Length: 0", path="/dicom-web/studies/1.2.3")
    body = b"0\r\n\r\n" + inner
    status, answer = victim.raw(victim.head(f"Content-Type: {TYPE}", *lines) + body)
    assert 400 <= status < 500 or status == 0, answer
    assert answer.count(b"HTTP/1.1 2") == 0


def test_a_body_that_ends_early(victim: Victim, image: Dataset) -> None:
    body = encode([(PART, instance(image))] * 3, LIMIT)
    head = victim.head(f"Content-Type: {TYPE}", f"Content-Length: {len(body) + 1000}")
    status, answer = victim.raw(head + body[: len(body) // 2], ends=True)
    assert status in (0, 400), answer


def test_a_length_that_is_too_short(victim: Victim, image: Dataset) -> None:
    body = encode([(PART, instance(image))], LIMIT)
    head = victim.head(f"Content-Type: {TYPE}", f"Content-Length: {len(body) // 2}")
    status, answer = victim.raw(head + body)
    assert status == 400, answer


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, identity", "x-gzip"])
def test_bombs_are_not_unpacked(victim: Victim, coding: str) -> None:
    packed = gzip.compress(bytes(64 << 20)) if "gzip" in coding else zlib.compress(bytes(64 << 20))
    status, answer = victim.post(packed, f"Content-Encoding: {coding}")
    assert status == 415, answer
    part = {**PART, "Content-Encoding": coding}
    status, answer = victim.post(encode([(part, packed)], LIMIT))
    assert status == 409, answer


def test_a_deflated_data_set_that_is_a_bomb(victim: Victim) -> None:
    """Zeros, and an element that is all of them, in a transfer syntax of its own."""
    element = struct.pack("<HH2sxxL", 0x0009, 0x1001, b"OB", 2 << 30)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = packer.compress(element)
    for _ in range(512):
        packed += packer.compress(bytes(1 << 20))
    packed += packer.flush()
    body = encode([(PART, part10("1.2.3", packed, DEFLATED_LITTLE))], LIMIT)
    status, answer = victim.post(body)
    assert status == 409, answer


@pytest.mark.parametrize(
    "uid",
    [
        "../../../../etc/passwd",
        "/etc/passwd",
        "..",
        "1.2/../../3",
        "1.2\\..\\3",
        "1.2;rm",
        "1..2",
        "<script>alert(1)</script>",
        "9" * 65,
    ],
    ids=range(9),
)
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_uids_that_are_none(victim: Victim, image: Dataset, keyword: str, uid: str) -> None:
    status, answer = victim.post(encode([(PART, instance(image, **{keyword: uid}))], LIMIT))
    assert status == 409, answer
    assert uid.encode() not in answer


@pytest.mark.parametrize("path", ["..%2f..%2fetc", "%3Cscript%3E", "1.2%00", "a", "1" * 300])
def test_studies_that_are_none(victim: Victim, image: Dataset, path: str) -> None:
    body = encode([(PART, instance(image))], LIMIT)
    head = victim.head(
        f"Content-Type: {TYPE}",
        f"Content-Length: {len(body)}",
        path=f"/dicom-web/studies/{path}",
    )
    status, answer = victim.raw(head + body)
    assert 400 <= status < 500, answer
    assert b"<script" not in answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--limit--",
        b"--limit\r\n" * 1000,
        b"--limit\r\n\r\nx\r\n--limit2\r\n\r\ny\r\n--limit--",
        b"--limit\r\nContent-Type: a/b\r\nContent-Type: text/html\r\n\r\n\r\n--limit--",
        b"--limit\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\n\r\n--limit--",
        b"--limit\r\nContent-Length: 99999999999\r\n\r\nx\r\n--limit--",
        b"--limit\r\n<script>alert(1)</script>: 1\r\n\r\nx\r\n--limit--",
        b"\r\n" * (1 << 20),
        b"--limit\r\n\r\n\r\n--limit--" + bytes(1 << 20),
    ],
    ids=range(10),
)
def test_bodies_that_are_none(victim: Victim, body: bytes) -> None:
    status, answer = victim.post(body)
    assert status in (400, 413), answer
    assert b"<script" not in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


def test_very_many_parts(victim: Victim) -> None:
    status, answer = victim.post(b"--limit\r\n\r\n\r\n" * 60_000 + b"--limit--")
    assert status == 413, answer


def test_names_with_script_are_text(victim: Victim, image: Dataset) -> None:
    """A failed instance names nothing that it holds; answers are never a page."""
    name = "<script>alert(1)</script>"
    file = instance(image, PatientName=name, StudyInstanceUID="..")
    status, answer = victim.post(encode([(PART, file)], LIMIT))
    assert status == 409
    head, _, content = answer.partition(b"\r\n\r\n")
    assert b"<script" not in answer
    assert b"content-type: application/dicom+json" in head.lower()
    assert b"x-content-type-options: nosniff" in head.lower()
    assert json.loads(content)["00081198"]


def test_nobody_is_told_before_the_body(victim: Victim) -> None:
    head = victim.head(f"Content-Type: {TYPE}", "Content-Length: 100000000")
    status, _ = victim.raw(head.replace(victim.token.encode(), b"iso_" + b"x" * 40))
    assert status == 401
