"""What C-FIND and QIDO find: every kind of matching of PS3.4 C.2.2.2."""

from __future__ import annotations

from typing import Any

import pytest

from isocenter.apps.archive.queries import Level, Question, search, stored

from .conftest import image

pytestmark = pytest.mark.django_db


def test_a_study_that_came_in_is_found_at_every_level(intake: Any) -> None:
    intake.take(image(1), image(2), image(1, series="1.2.826.0.1.3680043.10.1.2", Modality="MR"))
    for level, count in zip(Level, (1, 1, 2, 3), strict=True):
        found = list(search(Question(level, {0x00100020: "ZZSECRETZZ1"})))
        assert len(found) == count, level
    assert [row.instance_number for row in stored(study_uid="1.2.826.0.1.3680043.10.1")] == [
        1,
        2,
        1,
    ]
