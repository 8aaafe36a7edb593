"""People who look at nodes, and nodes to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import Client

from isocenter.apps.accounts.models import User
from isocenter.apps.transfers.models import Node


@pytest.fixture
def client_as(db: None) -> Callable[[str], Client]:
    """A browser in which somebody of a role is signed in."""

    def make(role: str) -> Client:
        user, _ = User.objects.get_or_create(username=f"a-{role}", defaults={"role": role})
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def staff(client_as: Callable[[str], Client]) -> Client:
    return client_as("staff")


@pytest.fixture
def folder_node(db: None, tmp_path: Path) -> Iterator[Node]:
    """A folder that can be written."""
    return Node.objects.create(name="out", kind="folder", folder=str(tmp_path / "out"))
