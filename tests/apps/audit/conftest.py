"""People who look at events."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from isocenter.apps.accounts.models import User


@pytest.fixture
def client_as(db: None) -> Callable[[str], Client]:
    """A browser in which somebody of a role is signed in."""

    def make(role: str) -> Client:
        user, _ = User.objects.get_or_create(username=f"a-{role}", defaults={"role": role})
        client = Client()
        client.force_login(user)
        return client

    return make
