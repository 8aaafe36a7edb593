"""What completion and conditions know of a study, gathered from the index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from isocenter.apps.archive import rows
from isocenter.apps.archive.completion import Arrival, Facts, SourceCount
from isocenter.apps.archive.models import Instance, Series, Study


def referring(study: Study) -> list[dict[str, Any]]:
    """Received instances that name others: UID, modality, references."""
    found = (
        Instance.objects.filter(study=study, is_derived=False)
        .exclude(references={})
        .order_by("id")
        .values("sop_uid", "modality", "references")
    )
    return [dict(row) for row in found]


def content(
    study: Study,
    *,
    naming: Sequence[Mapping[str, Any]],
    source: SourceCount | None = None,
) -> Facts:
    """The facts that a completion rule is asked about; ``naming`` is what `referring` said."""
    arrivals = tuple(
        Arrival(row["revision"], row["count"], row["first"]) for row in rows.arrivals(study)
    )
    return Facts(
        instances=sum(arrival.count for arrival in arrivals),
        last_received_at=study.last_received_at,
        arrivals=arrivals,
        missing=tuple(missing_series(study, naming)),
        source=source,
    )


def missing_series(study: Study, naming: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each series that an object of the study names and that is not here."""
    named = {uid for row in naming for uid in row["references"].get("series", ())}
    present = rows.present_series(study, named) if named else set()
    by: dict[str, str] = {}
    for row in naming:
        for uid in row["references"].get("series", ()):
            if uid not in present:
                by.setdefault(uid, f"{row['modality']} {row['sop_uid']}")
    return [f"series {uid} named by {who} is not here" for uid, who in by.items()]


def dangling_references(naming: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each object that names single instances which nobody has sent."""
    named = {uid for row in naming for uid in row["references"].get("instances", ())}
    present: set[str] = set()
    if named:
        found = Instance.objects.filter(sop_uid__in=named).values_list("sop_uid", flat=True)
        present = set(found)
    sentences = []
    for row in naming:
        count = len(set(row["references"].get("instances", ())) - present)
        if count:
            noun = "instance that is" if count == 1 else "instances that are"
            sentences.append(f"{row['modality']} {row['sop_uid']} names {count} {noun} not here")
    return sentences


def study_facts(study: Study) -> dict[str, Any]:
    """What a condition can ask of a study; received content only, keys are DICOM keywords.

    Returns:
        the study's attributes (text), ``ModalitiesInStudy`` (list), the two counts, ``SourceAE``,
        ``CalledAE``, ``SourceAddress``, ``FirstReceived``, ``LastReceived`` (aware datetimes), and
        ``Series``: a list with the same kind of dict per series.
    """
    source = study.source
    return {
        "StudyInstanceUID": study.study_uid,
        "PatientID": study.patient_id,
        "IssuerOfPatientID": study.issuer_of_patient_id,
        "PatientName": study.patient_name,
        "PatientBirthDate": study.patient_birth_date,
        "PatientSex": study.patient_sex,
        "StudyDate": study.study_date,
        "StudyTime": study.study_time,
        "AccessionNumber": study.accession_number,
        "StudyID": study.study_id,
        "StudyDescription": study.study_description,
        "ReferringPhysicianName": study.referring_physician_name,
        "ModalitiesInStudy": list(study.modalities),
        "NumberOfStudyRelatedInstances": study.instance_count,
        "NumberOfStudyRelatedSeries": study.series_count,
        "SourceAE": source.calling_ae_title if source else "",
        "CalledAE": source.called_ae_title if source else "",
        "SourceAddress": source.address if source else "",
        "FirstReceived": study.first_received_at,
        "LastReceived": study.last_received_at,
        "Series": _series_facts(study),
    }


def _series_facts(study: Study) -> list[dict[str, Any]]:
    received = Series.objects.filter(study=study, is_derived=False, instance_count__gt=0)
    classes: dict[int, Counter[str]] = {}
    for series_id, sop_class in Instance.objects.filter(study=study, is_derived=False).values_list(
        "series_id", "sop_class_uid"
    ):
        classes.setdefault(series_id, Counter())[sop_class] += 1
    return [
        {
            "SeriesInstanceUID": row.series_uid,
            "Modality": row.modality,
            "SeriesNumber": row.series_number,
            "SeriesDescription": row.series_description,
            "BodyPartExamined": row.body_part_examined,
            "FrameOfReferenceUID": row.frame_of_reference_uid,
            "NumberOfSeriesRelatedInstances": row.instance_count,
            "SOPClassUID": next(iter(dict(classes.get(row.pk, Counter()).most_common(1))), ""),
        }
        for row in received.order_by("series_number", "id")
    ]
