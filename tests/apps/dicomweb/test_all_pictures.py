"""Pictures of a whole series as parts: what is left out is said, never silently short."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from isocenter.apps.archive import queries
from isocenter.apps.dicomweb import pixels
from isocenter.core.errors import IsocenterError, PixelError

from .conftest import STUDY, body_of, image, parts_of

PLACE = f"/dicom-web/studies/{STUDY}/rendered"
PARTS = {"Accept": 'multipart/related; type="image/jpeg"'}


@pytest.fixture(scope="module", autouse=True)
def _no_processes_left() -> Iterator[None]:
    yield
    pixels.close()


@pytest.fixture
def stock(archived: Any) -> None:
    archived(image(1), image(2), image(3))


def test_an_image_whose_file_is_gone_is_missed(client: Any, stock: None) -> None:
    whole = client.get(PLACE, headers=PARTS)
    assert (whole.status_code, len(parts_of(whole))) == (200, 3)
    assert "Warning" not in whole.headers
    list(queries.stored(study_uid=STUDY))[1].path.unlink()
    answer = client.get(PLACE, headers=PARTS)
    assert (answer.status_code, len(parts_of(answer))) == (206, 2)
    assert answer.headers["Warning"] == (
        '299 isocenter "2 of 3 images are here: 1 cannot be drawn"'
    )
    assert answer.headers["ETag"] != whole.headers["ETag"]


def test_jpeg_with_twelve_bits_is_missed_before_the_answer_begins(
    client: Any, stock: None, twelve_bits: Any
) -> None:
    answer = client.get(PLACE, headers=PARTS)
    assert (answer.status_code, len(parts_of(answer))) == (206, 3)
    assert answer.headers["Warning"] == (
        '299 isocenter "3 of 4 images are here: 1 cannot be drawn"'
    )


def test_an_image_that_cannot_be_drawn_after_all_breaks_the_transfer(
    client: Any, stock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = pixels.drawn

    def failing(row: Any, *more: Any, **options: Any) -> Any:
        if row.sop_uid.endswith(".2"):
            raise PixelError("the decoder failed on it")
        return drawn(row, *more, **options)

    monkeypatch.setattr(pixels, "drawn", failing)
    answer = client.get(PLACE, headers=PARTS)
    assert answer.status_code == 200
    with pytest.raises(IsocenterError):
        body_of(answer)


def test_images_that_may_name_the_patient_are_missed_by_who_may_not_know(
    client_of: Any, archived: Any, stock: None
) -> None:
    archived(image(4, BurnedInAnnotation="YES"), image(5, series=f"{STUDY}.2", Modality="US"))
    answer = client_of("student").get(PLACE, headers=PARTS)
    assert (answer.status_code, len(parts_of(answer))) == (206, 3)
    assert "2 may name the patient" in answer.headers["Warning"]
    answer = client_of("physician").get(PLACE, headers=PARTS)
    assert (answer.status_code, len(parts_of(answer))) == (200, 5)


@pytest.mark.parametrize("known", [{}, {"If-None-Match": "*"}], ids=["", "known"])
def test_where_nothing_may_be_seen_it_is_refused(
    client_of: Any, archived: Any, known: dict[str, str]
) -> None:
    archived(image(1, Modality="US"), image(2, Modality="US"))
    answer = client_of("student").get(PLACE, headers=PARTS | known)
    assert answer.status_code == 403
