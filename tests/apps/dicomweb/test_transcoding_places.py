"""Transcoding for answers is bounded: who comes beyond is told when to come again."""

from __future__ import annotations

import gc
from threading import BoundedSemaphore

import pytest

from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.models import Event
from isocenter.apps.dicomweb import transcoding_places

from .conftest import STUDY, image, parts_of

ROOT = f"/dicom-web/studies/{STUDY}"
INSTANCE = f"{ROOT}/series/{STUDY}.1/instances/{STUDY}.1.1"
RLE = "1.2.840.10008.1.2.5"
ALONE = {"Accept": f"application/dicom; transfer-syntax={RLE}"}
IN_PARTS = {"Accept": f'multipart/related; type="application/dicom"; transfer-syntax={RLE}'}
AS_STORED = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


@pytest.fixture(autouse=True)
def one_place(archived, monkeypatch) -> None:
    """One transcoded answer at once, and one processor for single instances."""
    archived(image(1), image(2))
    monkeypatch.setattr(transcoding_places, "WAIT_S", 0.05)
    monkeypatch.setattr(transcoding_places, "_answers", {})
    monkeypatch.setattr(transcoding_places, "ANSWERS", 1)
    monkeypatch.setattr(transcoding_places, "_processors", BoundedSemaphore(1))


def test_an_answer_too_many_is_503_with_when_to_come_again_and_no_event(client):
    first = client.get(ROOT, headers=IN_PARTS)
    assert first.status_code == 200
    second = client.get(ROOT, headers=IN_PARTS)
    assert second.status_code == 503
    assert second.headers["Retry-After"] == "5"
    assert "transfer-syntax=*" in second.json()["hint"]
    assert Event.objects.filter(kind=Kind.RETRIEVED).count() == 1
    assert len(parts_of(client.get(ROOT, headers=AS_STORED))) == 2
    assert len(parts_of(first)) == 2


def test_one_account_leaves_places_to_others(client, client_of, monkeypatch):
    monkeypatch.setattr(transcoding_places, "ANSWERS", 3)
    monkeypatch.setattr(transcoding_places, "OF_ONE_ACCOUNT", 2)
    held = [client.get(ROOT, headers=IN_PARTS) for _ in range(2)]
    refused = client_of("administrator", "all").get(ROOT, headers=IN_PARTS)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    other = client_of("staff")
    held.append(other.get(ROOT, headers=IN_PARTS))
    assert [each.status_code for each in held] == [200] * 3
    refused = other.get(ROOT, headers=IN_PARTS)
    assert "too much is being transcoded" in refused.content.decode()
    assert len(parts_of(held[0])) == 2
    assert client.get(ROOT, headers=IN_PARTS).status_code == 200


def test_an_answer_that_ends_or_that_nobody_reads_makes_room(client):
    for _ in range(3):
        answer = client.get(ROOT, headers=IN_PARTS)
        assert len(parts_of(answer)) == 2
    for _ in range(3):
        answer = client.get(ROOT, headers=IN_PARTS)
        assert answer.status_code == 200
        del answer
        gc.collect()


def test_whoever_asks_for_the_head_takes_no_place(client):
    for _ in range(3):
        assert client.head(ROOT, headers=IN_PARTS).status_code == 200
    assert len(parts_of(client.get(ROOT, headers=IN_PARTS))) == 2


def test_single_instances_wait_a_while_for_a_processor(client):
    with transcoding_places.single_place():
        answer = client.get(INSTANCE, headers=ALONE)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert client.get(INSTANCE, headers=ALONE).status_code == 200
