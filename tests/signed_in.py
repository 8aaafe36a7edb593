"""People who look at pages through the test client."""

from __future__ import annotations

from django.test import Client

from isocenter.apps.accounts.models import User


def browser(role: str = "administrator") -> Client:
    """A browser in which somebody of a role is signed in."""
    user, _ = User.objects.get_or_create(username=f"a-{role}", defaults={"role": role})
    client = Client()
    client.force_login(user)
    return client


def text_of(answer: object) -> str:
    """A page's text."""
    return answer.content.decode()
