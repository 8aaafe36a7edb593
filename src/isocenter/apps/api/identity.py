"""What tells who a patient is, taken out for those who may not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive.queries import flags_for

IDENTIFYING = (
    "patient_id",
    "issuer_of_patient_id",
    "patient_name",
    "patient_birth_date",
    "patient_sex",
    "accession_number",
    "study_id",
    "referring_physician_name",
)


def may_identify(request: HttpRequest) -> bool:
    """Whether who asks may know whose studies they are."""
    return principal_of(request).may(Right.VIEW_IDENTIFIED)


def shown_to(request: HttpRequest, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as who asks may see it."""
    if may_identify(request):
        return dict(row)
    shown: dict[str, Any] = {
        key: None if key in IDENTIFYING else value for key, value in row.items()
    }
    if "flags" in shown:
        shown["flags"] = flags_for(shown["flags"], identified=False)
    return shown
