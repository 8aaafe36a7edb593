"""Studies as rows, and people who look at them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
from isocenter.apps.archive.models import Study

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MakeStudy = Callable[..., Study]
Look = Callable[..., Client]


@pytest.fixture
def study(db: None) -> MakeStudy:
    """Makes a study; the next one was received a minute later."""
    made: list[Study] = []

    def make(**values: Any) -> Study:
        number = len(made) + 1
        at = NOW + timedelta(minutes=number)
        row = Study.objects.create(
            **{
                "study_uid": f"1.2.3.{number}",
                "patient_name": f"Doe^Number{number}",
                "patient_id": f"ID{number}",
                "first_received_at": at,
                "last_received_at": at,
                "state": Study.State.COMPLETE,
                "modalities": ["CT"],
                **values,
            }
        )
        made.append(row)
        return row

    return make


@pytest.fixture
def look(db: None) -> Look:
    """The browser of somebody with a role; signed in by a token, which every request carries."""

    def make(role: str = "administrator") -> Client:
        user, _ = User.objects.get_or_create(username=f"a-{role}", defaults={"role": role})
        token = create_token(user, ["all"]).text
        return Client(headers={"Authorization": f"Bearer {token}"})

    return make
