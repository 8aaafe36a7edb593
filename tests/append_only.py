"""The audit's triggers refuse to empty its tables; between two tests it has to be done."""

from __future__ import annotations

TABLES = ("audit_event", "audit_eventseal")


def unguarded(*statements: str) -> list[str]:
    """SQL statements, run by the tables' owner while the triggers are off."""
    return [
        *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in TABLES),
        *statements,
        *(f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in TABLES),
    ]
