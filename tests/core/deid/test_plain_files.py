"""Files that are no DICOM, searched before they leave after de-identification."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from isocenter.core.deid.policy import Policy
from isocenter.core.deid.proof.identifiers import Identifiers
from isocenter.core.deid.proof.plain_files import PlainFinding, PlainSearch

WHO = Identifiers(
    names=frozenset({"Zimmermann^Klaus"}),
    texts=frozenset({("id", "4711"), ("phone", "0761 5553214")}),
    days=frozenset({"20240229"}),
    uids=frozenset({"1.2.840.99.7.1"}),
)
WORD = b"Zimmermann"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L4s", len(data), kind) + data + struct.pack(">L", zlib.crc32(kind + data))


def png(*chunks: bytes) -> bytes:
    return b"".join([b"\x89PNG\r\n\x1a\n", *chunks, chunk(b"IDAT", WORD), chunk(b"IEND", b"")])


def nifti(description: bytes = b"", extension: bytes = b"", voxels: bytes = WORD * 9) -> bytes:
    head = bytearray(348)
    struct.pack_into("<i", head, 0, 348)
    head[148 : 148 + len(description)] = description
    head[344:348] = b"n+1\0"
    struct.pack_into("<f", head, 108, 352 + len(extension))
    return bytes(head) + bytes(4) + extension + voxels


def stl(header: bytes) -> bytes:
    return header.ljust(80) + struct.pack("<L", 1) + WORD.ljust(50)


def jpeg(comment: bytes, behind: bytes = b"") -> bytes:
    segment = b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment
    return b"\xff\xd8" + segment + b"\xff\xda\0\2" + WORD + b"\xff\xd9" + behind


def nrrd(line: bytes) -> bytes:
    return b"NRRD0004\ntype: short\n" + line + b"\n\n" + gzip.compress(WORD, mtime=0)


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., set[PlainFinding]]:
    def check(content: bytes, name: str = "a.bin", policy: Policy = Policy()) -> set[PlainFinding]:  # noqa: B008
        path = tmp_path / "file"
        path.write_bytes(content)
        return set(PlainSearch(WHO, policy).check(path, name))

    return check


@pytest.mark.parametrize(
    "content",
    [
        png(chunk(b"tEXt", b"Comment\0Liver")),
        nifti(b"Liver"),
        gzip.compress(nifti(b"Liver"), mtime=0),
        stl(b"Liver"),
        jpeg(b"Liver"),
        nrrd(b"content: Liver"),
        json.dumps({"volume_ml": 4711, "day": 20, "rois": ["Liver"]}).encode(),
        b"roi,volume\nLiver,12.5\n",
        b"",
    ],
)
def test_what_says_nothing_of_the_patient_may_leave(found, content):
    # Samples hold the bytes of a name by chance: they are not text.
    assert not found(content)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (png(chunk(b"tEXt", b"Comment\0" + WORD)), "header"),
        (png(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(WORD))), "header"),
        (png(chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(WORD))), "header"),
        (png(chunk(b"iTXt", b"Comment\0\0\0\0\0" + WORD)), "header"),
        (nifti(WORD), "header"),
        (nifti(extension=WORD.ljust(2048)), "header"),
        (gzip.compress(nifti(extension=bytes(1500) + WORD.ljust(548)), mtime=0), "header"),
        (
            b"\x1f\x8b\x08\x08"
            + bytes(6)
            + WORD
            + b".nii\0"
            + gzip.compress(nifti(), mtime=0)[10:],
            "header",
        ),
        (stl(WORD), "header"),
        (jpeg(WORD), "header"),
        (jpeg(b"", behind=WORD), "header"),
        (nrrd(b"content: " + WORD), "header"),
        (b'{"Klaus": 1}', "text"),
        (b'{"roi": {"name": ["GTV ZIMMERMANN"]}}', "text"),
        (b"<p>Dr. Zimmermann</p>", "text"),
        (" zimmermann, klaus".encode("utf-8-sig"), "text"),
    ],
)
def test_a_name_is_found_wherever_text_can_be(found, content, where):
    assert found(content) == {PlainFinding(where, "name")}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"born 29.02.2024", "date"),
        (b'{"study": "1.2.840.99.7.1"}', "uid"),
        (b'["Tel. 0761/5553214"]', "phone"),
        (b"case 4711", "id"),
        (b'{"case": "4711"}', "id"),
    ],
)
def test_the_other_kinds_too(found, content, kind):
    assert found(content) == {PlainFinding("text", kind)}


def test_what_the_policy_keeps_is_not_looked_for(found):
    assert not found(b"on 29.02.2024", policy=Policy(dates="keep"))


def test_the_name_that_it_leaves_by(found):
    assert found(b"", "masks/Zimmermann.nii.gz") == {PlainFinding("file name", "name")}
    assert found(b"", "masks/4711_GTV.nii.gz") == {PlainFinding("file name", "id")}


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04" + bytes(40),
        b"%PDF-1.7\n\x00\x01\xff\xfe",
        gzip.compress(b"plain text of nobody", mtime=0),
        b"\x1f\x8b broken",
        gzip.compress(nifti(), mtime=0)[:20],
        b"NRRD0004\ntype: short\ndata file: other.raw\n\n",
        b"\x89PNG\r\n\x1a\n\0\0\0\x05zTXtC\0\0no",
        "für".encode("utf-16"),
    ],
)
def test_what_cannot_be_searched_is_told_of(found, content):
    assert found(content) == {PlainFinding("file", "unreadable")}
