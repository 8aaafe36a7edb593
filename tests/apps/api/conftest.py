"""Programs that call the API, each with a token of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
from isocenter.apps.archive.incoming import FilePayload, Incoming, Origin
from isocenter.apps.archive.ingest import ingest_records
from isocenter.apps.archive.services import force_complete
from isocenter.core.phantoms import head_phantom


@dataclass
class Caller:
    """Somebody with a token."""

    client: Client
    token: str = ""

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The response to a request; ``body`` is sent as JSON, text as it is."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        sent: dict[str, Any] = {}
        if isinstance(body, str | bytes):
            sent = {"data": body, "content_type": "application/yaml"}
        elif body is not None:
            sent = {"data": json.dumps(body), "content_type": "application/json"}
        return self.client.generic(
            method, f"/api/v1/{path}", headers=headers, query_params=query or None, **sent
        )

    def send_files(self, path: str, files: Sequence[Any]) -> Any:
        """The response to a form with files."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.client.post(f"/api/v1/{path}", {"file": files}, headers=headers)

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, **query)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, body)

    def put(self, path: str, body: Any = None) -> Any:
        return self.call("PUT", path, body)

    def delete(self, path: str) -> Any:
        return self.call("DELETE", path)


@pytest.fixture
def caller(db: None) -> Callable[..., Caller]:
    """A program: ``caller("physician", scopes=["read"])``; ``caller("")`` is nobody."""

    def make(role: str = "administrator", scopes: Sequence[str] = ("all",)) -> Caller:
        if not role:
            return Caller(Client())
        user, _ = User.objects.get_or_create(username=f"a-{role}", defaults={"role": role})
        return Caller(Client(), create_token(user, list(scopes)).text)

    return make


@pytest.fixture
def admin(caller: Callable[..., Caller]) -> Caller:
    return caller()


@pytest.fixture
def study_uid(db: None, tmp_path: Path) -> str:
    """A study in the archive, complete: five CT slices and a structure set."""
    phantom = head_phantom("api", slices=5, rows=48, columns=64, slice_distance_mm=30.0)
    now = timezone.now()
    sender = Origin("dimse", "SENDER", "ISOCENTER", "127.0.0.1")
    files = phantom.write(tmp_path / "phantom")
    ingest_records([Incoming(FilePayload(path), sender, now) for path in files])
    force_complete(str(phantom.study_uid))
    return str(phantom.study_uid)
