"""What lists of studies can be sorted by."""

from __future__ import annotations

from typing import Literal

#: Of `archive.queries.SORTS`, a minus for the other direction; empty: the last received first.
StudySort = Literal[
    "",
    "received",
    "-received",
    "study_date",
    "-study_date",
    "patient_name",
    "-patient_name",
    "patient_id",
    "-patient_id",
    "patient_birth_date",
    "-patient_birth_date",
    "accession_number",
    "-accession_number",
    "study_description",
    "-study_description",
    "instances",
    "-instances",
]
