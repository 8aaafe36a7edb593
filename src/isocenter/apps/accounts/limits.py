"""Counting failed sign-ins, per name and per address.

An attempt is counted before the password is looked at and taken back when it was right, so that
attempts at the same moment cannot be more than the limit allows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from isocenter.apps.accounts.models import SignInLimit


@dataclass(frozen=True)
class Limit:
    """So many failures of one key, then it has to wait."""

    key: str
    failures: int
    wait: timedelta


def of_name(name: str) -> Limit:
    """The limit of one name, whoever has it or has not."""
    rules = settings.ISOCENTER.accounts
    return Limit(key_of_name(name), rules.lock_after_failures, _wait())


def of_address(address: str) -> Limit:
    """The limit of one address, whatever names come from there."""
    rules = settings.ISOCENTER.accounts
    return Limit(_key("address", address), rules.address_failures, _wait())


def of_registration(address: str) -> Limit:
    """How many people may register from one address in an hour."""
    return Limit(_key("register", address), 10, timedelta(hours=1))


def key_of_name(name: str) -> str:
    return _key("name", name.upper().casefold())  # as the database compares names


def count(limit: Limit) -> datetime | None:
    """Count an attempt; until when it must not be made, None where it may be."""
    now = timezone.now()
    with transaction.atomic():
        _remove_old(now)
        SignInLimit.objects.get_or_create(key=limit.key, defaults={"first_at": now})
        row = SignInLimit.objects.select_for_update().get(key=limit.key)
        if row.locked_until and row.locked_until > now:
            return row.locked_until
        if row.locked_until or now - row.first_at > limit.wait:
            row.failures, row.first_at, row.locked_until = 0, now, None
        if row.failures >= limit.failures:  # as many are being tried at this moment
            return now + limit.wait
        row.failures += 1
        row.save()
    return None


def fail(limit: Limit) -> datetime | None:
    """A counted attempt was wrong. Until when the key is locked, where this was the last one."""
    now = timezone.now()
    locked = SignInLimit.objects.filter(
        key=limit.key, failures__gte=limit.failures, locked_until=None
    ).update(locked_until=now + limit.wait)
    return now + limit.wait if locked else None


def forget(limit: Limit) -> None:
    """A name is free again: it was right, or an administrator said so."""
    SignInLimit.objects.filter(key=limit.key).delete()


def take_back(limit: Limit) -> None:
    """A counted attempt was right."""
    SignInLimit.objects.filter(key=limit.key, failures__gt=0).update(failures=F("failures") - 1)


def locked_until(name: str) -> datetime | None:
    """Until when nobody can sign in under this name."""
    return (
        SignInLimit.objects.filter(key=key_of_name(name), locked_until__gt=timezone.now())
        .values_list("locked_until", flat=True)
        .first()
    )


def _wait() -> timedelta:
    return timedelta(minutes=settings.ISOCENTER.accounts.lock_minutes)


def _key(kind: str, text: str) -> str:
    digest = hashlib.sha256(f"{settings.SECRET_KEY!s}\0{kind}\0{text}".encode())
    return digest.hexdigest()


def _remove_old(now: datetime) -> None:
    """Rows that hold nobody back; made-up names must not fill the table."""
    old = now - max(_wait(), timedelta(hours=1))
    SignInLimit.objects.filter(
        Q(first_at__lt=old), Q(locked_until=None) | Q(locked_until__lt=now)
    ).delete()
