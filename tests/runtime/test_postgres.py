"""The embedded PostgreSQL."""

from __future__ import annotations

import pytest
from django.db import connection


@pytest.mark.django_db
def test_django_speaks_to_the_embedded_server() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select current_setting('server_version_num')::int, current_user")
        version, user = cursor.fetchone()
    assert version >= 150000
    assert user == "isocenter"
