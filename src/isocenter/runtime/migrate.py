"""Migrations of the database, one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import call_command
from django.db import connection

from isocenter.core.errors import ConfigurationError

OLDEST_SERVER = 15
_LOCK = 0x1507E41  # any number that nobody else uses; two hosts migrate one after the other


def migrate() -> int:
    """Bring the tables up to date. Says how many migrations were applied.

    Raises:
        ConfigurationError: the server is older than what we are tested with.
    """
    with connection.cursor() as cursor:
        cursor.execute("select current_setting('server_version_num')::int / 10000")
        (major,) = cursor.fetchone()
    if major < OLDEST_SERVER:
        raise ConfigurationError(
            f"the database server is PostgreSQL {major}",
            hint=f"Isocenter needs PostgreSQL {OLDEST_SERVER} or later",
        )
    with _alone():
        pending = len(pending_migrations())
        if pending:
            call_command("migrate", interactive=False, verbosity=0)
        from isocenter.apps.audit.services import go_on_growing

        go_on_growing()
    return pending


def pending_migrations() -> list[str]:
    """Migrations that this program knows and the database has not."""
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


@contextmanager
def _alone() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", [_LOCK])
        try:
            yield
        finally:
            cursor.execute("select pg_advisory_unlock(%s)", [_LOCK])
