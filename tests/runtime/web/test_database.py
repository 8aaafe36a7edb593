"""Connections of the web process: one that the server has closed is seen without asking."""

from __future__ import annotations

import time

import psycopg
import pytest
from django.db import connection

from isocenter.runtime.web.database.base import _is_sound


@pytest.mark.django_db
def test_a_closed_connection_is_seen():
    address = connection.get_connection_params() | {"autocommit": True}
    address.pop("cursor_factory")
    with psycopg.connect(**address) as ours, psycopg.connect(**address) as other:
        assert _is_sound(ours)
        other.execute("SELECT pg_terminate_backend(%s)", [ours.info.backend_pid])
        deadline = time.monotonic() + 10
        while _is_sound(ours) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not _is_sound(ours)
        assert _is_sound(other)


@pytest.mark.django_db
def test_a_connection_that_has_something_to_say_is_asked():
    address = connection.get_connection_params() | {"autocommit": True}
    with psycopg.connect(**address) as ours, psycopg.connect(**address) as other:
        ours.execute("LISTEN sound")
        other.execute("NOTIFY sound")
        time.sleep(0.2)
        assert _is_sound(ours)
