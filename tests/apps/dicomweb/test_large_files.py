"""One large instance in another transfer syntax: on the disk while it is sent, and gone then."""

from __future__ import annotations

import gc
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from .conftest import STUDY, body_of, image

SIDE = 3000  # 18 MB of pixels
PLACE = f"/dicom-web/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.1"
AS_FILE = {"Accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def test_a_large_file_that_was_made_is_not_held_in_memory(
    client: Any, archived: Any, temporary: Path
) -> None:
    pixels = bytes(range(250)) * (SIDE * SIDE * 2 // 250)
    large = image(1, Rows=SIDE, Columns=SIDE, PixelData=pixels)
    archived(large, syntax=DeflatedExplicitVRLittleEndian)
    part = client.get(PLACE, headers=AS_FILE | {"Range": "bytes=-1000"})
    assert (part.status_code, body_of(part)) == (206, pixels[-1000:])
    tracemalloc.start()
    try:
        answer = client.get(PLACE, headers=AS_FILE)
        length = sum(map(len, answer.streaming_content))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert length == int(answer.headers["Content-Length"]) > len(pixels)
    assert peak < 12 << 20
    assert list(temporary.iterdir()) == []
    unread = client.get(PLACE, headers=AS_FILE)
    assert client.head(PLACE, headers=AS_FILE).status_code == 200
    unread.close()
    del unread
    gc.collect()
    assert list(temporary.iterdir()) == []
