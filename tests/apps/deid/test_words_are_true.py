"""The summary of a policy against what the engine writes: topic by topic, for many policies."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite

from isocenter.apps.deid.documents import policy_of, read_document
from isocenter.apps.deid.fates import Fate, outcome
from isocenter.core.deid.engine import Context, deidentify_object
from isocenter.core.deid.proof.identifiers import collect
from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.standard.dictionary import tag_of_keyword
from isocenter.core.deid.text.descriptors import Cleaner

CT = "1.2.840.10008.5.1.4.1.1.2"
VALUES = {
    "PatientName": "Wolkenbruch^Zoe",
    "PatientID": "PID556677",
    "PatientBirthDate": "19610203",
    "PatientSex": "F",
    "PatientAge": "063Y",
    "PatientWeight": "72.5",
    "PatientAddress": "Seestrasse 4, Nirgendwo",
    "AccessionNumber": "ACC77801",
    "ReferringPhysicianName": "Hippocrates^Anna",
    "OperatorsName": "Kelvin^Lou",
    "InstitutionName": "Klinikum Musterstadt",
    "StudyDate": "20240229",
    "StudyTime": "101112",
    "ContentDate": "20240229",
    "StudyDescription": "CT chest of Wolkenbruch",
    "SeriesDescription": "Lung for Wolkenbruch",
    "ProtocolName": "Thorax PID556677",
    "ImageComments": "told by Wolkenbruch",
    "ManufacturerModelName": "Model One",
    "Manufacturer": "Example Systems",
    "DeviceSerialNumber": "SER99",
    "StationName": "ROOM1",
    "SliceThickness": "2.5",
    "KVP": "120",
    "StudyInstanceUID": "1.2.3.4.5.6",
    "SeriesInstanceUID": "1.2.3.4.5.6.7",
    "StudyID": "S1",
    "Modality": "CT",
    "SoftwareVersions": "VB20",
    "EthnicGroup": "X1",
    "SmokingStatus": "NO",
}
RULES = (
    "rules:\n"
    "- {name: keeps, tags: AccessionNumber, action: keep}\n"
    "- {name: hashes, tags: StudyID, action: hash}\n"
    "- {name: all, tags: '(0010,xxxx)', except: [PatientName, PatientID], action: remove}\n"
    "- {name: never, tags: SeriesDescription, action: keep, if: {Modality: {equals: MR}}}\n"
    "- {name: text, tags: StationName, action: replace, value: SOMEWHERE}\n"
)
DOCUMENTS = (
    {},
    {"dates": "shift"},
    {"dates": "shift", "keep_ages": True, "options": ["clean-descriptors"]},
    {"dates": "keep", "options": ["retain-patient-characteristics", "retain-uids"]},
    {"options": ["retain-device-identity", "retain-institution-identity", "clean-descriptors"]},
    {"rules": RULES},
    {"rules": RULES, "dates": "shift", "options": ["retain-patient-characteristics"]},
    {"presets": ["netrt"]},
    {"presets": ["editor-17"], "dates": "shift"},
)


def source(folder: Path) -> Path:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = CT
    dataset.SOPInstanceUID = "1.2.3.4.5.6.1"
    for keyword, value in VALUES.items():
        setattr(dataset, keyword, value)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CT, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta = meta
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    path = folder / "old.dcm"
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize("values", DOCUMENTS, ids=str)
def test_what_is_said_is_done(tmp_path: Path, values: dict[str, object]) -> None:
    policy = policy_of(read_document(values))
    old, new = source(tmp_path), tmp_path / "new.dcm"
    identifiers = collect([old])
    alias = PatientAlias("ANON0001", "ANON^0001", -100, "shift" if policy.keep_ages else "empty")
    cleaner = Cleaner(identifiers, policy=policy)
    secret = Secret(b"a secret for tests, of 256 bits.")
    deidentify_object(old, new, Context(secret, policy, alias, identifiers, cleaner), durable=False)
    before, after = pydicom.dcmread(old), pydicom.dcmread(new)
    wrong = []
    for keyword in VALUES:
        said = outcome(policy, CT, tag_of_keyword(keyword))
        was, found = str(before[keyword].value), after.get(keyword)
        is_true = {
            "kept": str(found) == was,
            "removed": keyword not in after,
            "emptied": keyword in after and str(found or "") == "",
        }.get(said.text.split()[0].strip(";"), found is not None and str(found) != was)
        if said.fate is Fate.CHANGED and said.text.startswith("kept as text"):
            is_true = found is not None and "olkenbruch" not in str(found)
        if not is_true:
            wrong.append(f"{keyword}: said {said.text!r}, {was!r} became {found!r}")
    assert wrong == []
