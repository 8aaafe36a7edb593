"""A row of the worklist as HTML, kept as long as it would read the same.

What a row shows is brought together first; the template sees nothing else. So rows that show the
same are the same, and are rendered once: lists are looked at again and again, and most of their
rows have not changed.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from django.template import Context, Template, engines
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from isocenter.apps.archive.models import Study
from isocenter.apps.archive.queries import flags_for
from isocenter.apps.routing.queries import Standing
from isocenter.apps.web import wording
from isocenter.apps.web.kept import Kept
from isocenter.apps.web.templatetags.isocenter import HIDDEN, moment

_TEMPLATE = "web/worklist_row.html"
_MODALITIES = 3

_kept = Kept(2_000)  # of about 2 KB each


class ShownRow(NamedTuple):
    """All that a row shows, ready to be read. Names of `Study` mean what they mean there."""

    study_uid: str
    url: str
    identified: bool
    patient_name: str
    patient_id: str
    patient_birth_date: str
    patient_sex: str
    study_date: str
    study_time: str
    modalities: tuple[str, ...]
    more_modalities: int
    all_modalities: str
    study_description: str
    accession_number: str
    instance_count: int
    series_count: int
    source: str
    source_title: str
    received: dt.datetime
    ago: str  # the browser tells seconds
    state: str
    flags: int
    flags_text: str
    waits: str
    waits_more: int
    waits_text: str
    failed: str
    working: str
    waiting: str
    done: str


def row_html(study: Study, standing: Standing, *, identified: bool) -> SafeString:
    """A study as a row.

    Args:
        identified: whether who looks may know whose it is.
    """
    shown = _shown(study, standing, identified=identified)
    return _kept.get(shown, lambda: _render(shown))


def _render(shown: ShownRow) -> SafeString:
    context = shown._asdict() | {"received": moment(shown.received)}
    return _template().render(Context(context))


def _template() -> Template:
    template: Template = engines["django"].get_template(_TEMPLATE).template  # type: ignore[attr-defined]
    return template


def _shown(study: Study, standing: Standing, *, identified: bool) -> ShownRow:
    ago = wording.ago(study.last_received_at, timezone.now())
    flags = flags_for(study.flags, identified=identified)
    waits = study.waiting_for if study.state != Study.State.COMPLETE else []
    return ShownRow(
        study_uid=study.study_uid,
        url=reverse("study", args=[study.study_uid]),
        **_identity(study, identified=identified),
        study_date=wording.dicom_date(study.study_date),
        study_time=wording.dicom_time(study.study_time)[:5],
        modalities=tuple(study.modalities[:_MODALITIES]),
        more_modalities=max(0, len(study.modalities) - _MODALITIES),
        all_modalities=", ".join(study.modalities),
        study_description=study.study_description or "–",
        instance_count=study.instance_count,
        series_count=study.series_count,
        **_source(study),
        received=study.last_received_at,
        ago="" if ago.endswith(" s ago") else ago,
        state=str(study.state),
        flags=len(flags),
        flags_text="; ".join(str(flag.get("text", "")) for flag in flags),
        waits=str(waits[0]) if waits else "",
        waits_more=max(0, len(waits) - 1),
        waits_text="; ".join(str(text) for text in waits),
        failed=standing.failed_text if standing.failed else "",
        working=standing.working_text if standing.working else "",
        waiting=standing.waiting_text if standing.waiting else "",
        done=standing.done_text if standing.is_done else "",
    )


def _identity(study: Study, *, identified: bool) -> dict[str, Any]:
    if not identified:
        return {
            "identified": False,
            "patient_name": HIDDEN if study.patient_name else "",
            "patient_id": "",
            "patient_birth_date": "",
            "patient_sex": "",
            "accession_number": HIDDEN if study.accession_number else "",
        }
    return {
        "identified": True,
        "patient_name": wording.person_name(study.patient_name),
        "patient_id": study.patient_id,
        "patient_birth_date": wording.dicom_date(study.patient_birth_date),
        "patient_sex": study.patient_sex or "–",
        "accession_number": study.accession_number,
    }


def _source(study: Study) -> dict[str, Any]:
    source = study.source
    if source is None:
        return {"source": "", "source_title": ""}
    return {
        "source": source.calling_ae_title or source.kind,
        "source_title": f"{source.kind} {source.address}",
    }
