"""Frames that have to be made of the bytes of their file: never all of them in memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from isocenter.apps.dicomweb import frames as frames_module

from .conftest import STUDY, image, parts_of

SERIES = f"{STUDY}.1"
FRAMES = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1/frames"
SIDE, COUNT = 4001, 12  # 4001 x 4001 bits are no whole number of bytes


def mask() -> tuple[Dataset, np.ndarray]:
    """A one-bit image of several frames, and its pixels."""
    pixels = np.random.default_rng(1).integers(0, 2, (COUNT, SIDE, SIDE), "u1")
    dataset = image(1, NumberOfFrames=COUNT, Rows=SIDE, Columns=SIDE, HighBit=0)
    dataset.BitsAllocated = dataset.BitsStored = 1
    data = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    dataset.PixelData = data + bytes(len(data) % 2)
    return dataset, pixels


@pytest.fixture
def pixels(archived: Any) -> np.ndarray:
    dataset, pixels = mask()
    archived(dataset)
    return pixels


def test_one_bit_frames_are_made_while_they_are_sent(client, pixels):
    for number, (_, data) in enumerate(parts_of(client.get(f"{FRAMES}/1-{COUNT}"))):
        bits = np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")
        assert np.array_equal(bits[: SIDE * SIDE], pixels[number].ravel())
        assert not bits[SIDE * SIDE :].any()
    length = (SIDE * SIDE + 7) // 8
    tracemalloc.start()
    try:
        answer = client.get(f"{FRAMES}/1-{COUNT}")
        for _ in answer.streaming_content:
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert int(answer.headers["Content-Length"]) > COUNT * length
    assert peak < 4 * length


def test_a_range_of_a_one_bit_frame_is_cut_exactly(client, pixels):
    alone = {"Accept": "application/octet-stream"}
    whole = client.get(f"{FRAMES}/2", headers=alone)
    whole = b"".join(whole.streaming_content)
    first, last = len(whole) - 1_500_000, len(whole) - 3
    part = client.get(f"{FRAMES}/2", headers=alone | {"Range": f"bytes={first}-{last}"})
    assert b"".join(part.streaming_content) == whole[first : last + 1]


@pytest.mark.parametrize("frames", ["2,2", "1-3,2"])
def test_a_frame_is_asked_for_once(client, archived, frames):
    archived(image(1, NumberOfFrames=3, PixelData=bytes(96)))
    answer = client.get(f"{FRAMES}/{frames}")
    assert answer.status_code == 400
    assert "twice" in answer.json()["error"]


def test_of_very_many_frames_the_parts_are_made_while_they_are_sent(client, archived, monkeypatch):
    archived(image(1, NumberOfFrames=3, PixelData=bytes(96)))
    announced = client.get(f"{FRAMES}/1-3")
    monkeypatch.setattr(frames_module, "_MOST_ANNOUNCED", 2)
    answer = client.get(f"{FRAMES}/1-3")
    assert "Content-Length" in announced.headers
    assert "Content-Length" not in answer.headers
    assert parts_of(answer) == parts_of(announced)
