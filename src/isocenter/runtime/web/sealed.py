"""Values that go through an address but must not be readable in it: whom somebody searched for."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings


def seal(values: dict[str, Any]) -> str:
    """Plain values as text for an address; no one reads or changes it without our secret key."""
    return _box().encrypt(json.dumps(values, ensure_ascii=False).encode()).decode().rstrip("=")


def unseal(text: str) -> dict[str, Any]:
    """What was sealed; empty for what was not, or with another key."""
    try:
        padded = text + "=" * (-len(text) % 4)
        values = json.loads(_box().decrypt(padded.encode()))
    except (InvalidToken, ValueError, UnicodeError):
        return {}
    return values if isinstance(values, dict) else {}


def _box() -> Fernet:
    digest = hashlib.sha256(b"isocenter address" + str(settings.SECRET_KEY).encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
