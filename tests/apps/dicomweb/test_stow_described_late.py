"""STOW-RS of a body that does not come to its end: the answer says what to do."""

from __future__ import annotations

from typing import Any

import pytest
from django.http.request import UnreadablePostError
from django.test import Client

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
from isocenter.apps.dicomweb.stow import views
from isocenter.runtime.layout import Layout
from isocenter.runtime.web.streamed_bodies import BodyCutOff


@pytest.mark.parametrize(("is_late", "status"), [(True, 408), (False, 400)])
def test_what_to_do_is_said(
    db: None,
    installation: Layout,
    monkeypatch: pytest.MonkeyPatch,
    is_late: bool,
    status: int,
) -> None:
    def read(*_: Any) -> None:
        raise UnreadablePostError("odd") from BodyCutOff("odd", is_late=is_late, hint="hurry")

    monkeypatch.setattr(views, "_read", read)
    user = User.objects.create(username="r", role="researcher")
    answer = Client().generic(
        "POST",
        "/dicom-web/studies",
        b"x",
        content_type='multipart/related; type="application/dicom+json"; boundary=limit',
        headers={"Authorization": f"Bearer {create_token(user, ['upload']).text}"},
    )
    assert answer.status_code == status
    hint = "hurry; nothing of this request was stored"
    assert answer.json() == {"error": "odd", "hint": hint}
