"""Django's settings, as ours decide them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from isocenter.runtime.boot import _under_public_url, allowed_hosts, password_validators
from isocenter.runtime.settings import Settings


def test_an_https_address_makes_cookies_secure_and_its_name_known():
    ours = Settings(web={"public_url": "https://gateway.example.org/"})
    assert _under_public_url(ours) == {
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "CSRF_TRUSTED_ORIGINS": ["https://gateway.example.org"],
    }
    assert allowed_hosts(ours) == ["127.0.0.1", "localhost", "[::1]", "gateway.example.org"]


def test_a_port_belongs_to_the_origin():
    ours = Settings(web={"public_url": "http://gateway.example.org:8080"})
    found = _under_public_url(ours)
    assert found["SESSION_COOKIE_SECURE"] is False
    assert found["CSRF_TRUSTED_ORIGINS"] == ["http://gateway.example.org:8080"]


def test_without_an_address_cookies_go_over_what_there_is():
    assert _under_public_url(Settings()) == {}
    assert allowed_hosts(Settings(web={"host": "0.0.0.0"})) == ["*"]


def test_the_length_of_passwords_is_a_setting():
    validators = password_validators(Settings(accounts={"password_length": 16}))
    assert {"min_length": 16} in [each.get("OPTIONS") for each in validators]
    with pytest.raises(ValidationError):
        Settings(accounts={"password_length": 4})
