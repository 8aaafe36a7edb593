"""People, and browsers that they sign in with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.queries import principal_of_user
from isocenter.apps.accounts.rights import COMMAND_LINE, Principal
from isocenter.apps.accounts.services import create_user
from isocenter.runtime.settings import Settings

PASSWORD = "correct-horse-battery"


@pytest.fixture(autouse=True)
def _quick_hashes(settings: Any) -> None:
    """Hashing as slow as it should be would be most of the time of these tests."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def accounts_settings(installation: Any) -> Callable[..., None]:
    """Sets settings of the section ``accounts`` for this test."""

    def put(**values: Any) -> None:
        ours = settings.ISOCENTER
        settings.ISOCENTER = Settings(data_dir=ours.data_dir, accounts=values)

    return put


@pytest.fixture
def person(db: None) -> Callable[..., User]:
    """Makes people whose password is `PASSWORD` and need not be changed."""

    def make(name: str = "anna", role: str = "physician", **values: Any) -> User:
        given = {} if role == "service" else {"password": PASSWORD}
        user = create_user(name, by=COMMAND_LINE, role=role, **given, **values).user
        user.must_change_password = False
        user.save()
        return user

    return make


@pytest.fixture
def administrator(person: Callable[..., User]) -> Principal:
    return principal_of_user(person("root", "administrator"))


@pytest.fixture
def browser(person: Callable[..., User]) -> Callable[..., Client]:
    """A browser that somebody is signed in with, through the sign-in page."""

    def make(name: str, password: str = PASSWORD, **options: Any) -> Client:
        client = Client(**options)
        answer = client.post("/sign-in/", {"username": name, "password": password})
        assert answer.status_code == 302, answer.content.decode()
        return client

    return make
