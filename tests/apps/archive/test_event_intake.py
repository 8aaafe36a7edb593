"""What the receiver tells becomes events, once."""

from __future__ import annotations

from isocenter.apps.archive.intake import EventIntake
from isocenter.apps.archive.models import SpoolCursor
from isocenter.apps.archive.spool import EventJournal
from isocenter.apps.audit.models import Event
from isocenter.runtime.layout import Layout


def test_events_are_taken_in_once(db: None, installation: Layout) -> None:
    journal = EventJournal(installation.spool)
    journal.append("C_ECHO", {"calling_ae_title": "CT1", "address": "10.0.0.1"})
    journal.append("ASSOCIATION_REJECTED", {"calling_ae_title": "EVIL", "reason": 3})
    intake = EventIntake(installation.spool)
    assert intake.drain() == 2
    assert intake.drain() == 0
    journal.append("C_ECHO", {"calling_ae_title": "CT1"})
    assert intake.drain() == 1
    assert list(Event.objects.order_by("id").values_list("kind", "actor")) == [
        ("C_ECHO", "CT1"),
        ("ASSOCIATION_REJECTED", "EVIL"),
        ("C_ECHO", "CT1"),
    ]
    assert SpoolCursor.objects.count() == 1
    journal.close()
    intake.drain()
    assert SpoolCursor.objects.count() == 0
    assert not list((installation.spool / "events").iterdir())


def test_an_unknown_event_holds_nothing_up(db: None, installation: Layout) -> None:
    journal = EventJournal(installation.spool)
    journal.append("SOMETHING_NEW", {})
    journal.append("C_ECHO", {})
    journal.close()
    assert EventIntake(installation.spool).drain() == 1
    assert Event.objects.get().kind == "C_ECHO"
