"""De-identification and the search after it, as child processes are asked for them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from isocenter.core.deid import guard_job, study_job
from isocenter.core.deid.guard_job import GuardInstructions
from isocenter.core.deid.policy import Policy
from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.study_job import StudyInstructions
from isocenter.core.errors import Refused
from isocenter.core.phantoms import head_phantom

SECRET = Secret(bytes(range(32)))
ALIAS = PatientAlias("TRIAL_0001", "TRIAL_0001", -40)
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"


def quiet(fraction: float, message: str) -> None:
    assert 0 <= fraction < 1.001, message


@pytest.fixture
def originals(tmp_path: Path) -> list[Path]:
    files = head_phantom(
        "a", slices=2, rows=16, columns=16, spacing_mm=8, slice_distance_mm=60
    ).write(tmp_path / "in")
    for path in files:
        ds = pydicom.dcmread(path)
        ds.PatientName, ds.PatientID = "Zimmermann^Klaus", "HX-778812"
        ds.save_as(path)
    return files


def deidentify(
    paths: list[Path],
    out: Path,
    **more: Any,
) -> dict[str, Any]:
    request = {
        "inputs": [
            {"path": str(path), "sop_uid": str(pydicom.dcmread(path).get("SOPInstanceUID", ""))}
            for path in paths
        ],
        "out_dir": str(out),
        "stamp": {"project": "trial"},
        **more,
    }
    out.mkdir()
    private = StudyInstructions(SECRET, Policy(), ALIAS).sealed()
    return study_job.run(json.loads(json.dumps(request)), quiet, private)


def search(originals: list[Path], files: list[Path], **change: str) -> list[tuple[str, str]]:
    request = {
        "originals": [str(path) for path in originals],
        "files": [
            {
                "path": str(path),
                "name": path.name,
                "digest": hashlib.sha256(path.read_bytes()).hexdigest(),
                "is_dicom": path.suffix == ".dcm",
                **change,
            }
            for path in files
        ],
    }
    told = GuardInstructions(Policy(), ALIAS).sealed()
    answer = guard_job.run(json.loads(json.dumps(request)), quiet, told)
    assert answer["searched"] == len(files)
    return [(item["where"], item["kind"]) for item in answer["findings"]]


def test_every_output_names_its_input(originals, tmp_path):
    answer = deidentify(originals, tmp_path / "out")

    assert (answer["state"], answer["stamp"]) == ("released", {"project": "trial"})
    assert sorted(item["input"] for item in answer["outputs"]) == [0, 1, 2]
    for item in answer["outputs"]:
        source, made = pydicom.dcmread(originals[item["input"]]), pydicom.dcmread(item["path"])
        assert (made.Modality, made.PatientID) == (source.Modality, "TRIAL_0001")
        assert made.SOPInstanceUID == item["sop_uid"] != source.SOPInstanceUID
    assert {Path(path).name for path in answer["reports"]} == {
        "report.json", "report.html", "actions.jsonl"
    }  # fmt: skip
    assert not search(originals, [Path(item["path"]) for item in answer["outputs"]])
    assert "Zimmermann" not in json.dumps(answer)


def test_what_is_no_object_of_the_study_is_left_out_by_name(originals, tmp_path):
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = MEDIA_DIRECTORY
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3.9"
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.FileSetID = "ZIMMERMANN"
    directory.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)

    answer = deidentify([*originals, tmp_path / "DICOMDIR"], tmp_path / "out")

    assert answer["state"] == "released"
    assert list(answer["skipped"].values()) == [1]
    assert "DICOMDIR" in str(answer["skipped"])


def test_one_object_that_cannot_be_read_holds_the_study(originals, tmp_path):
    whole = originals[0].read_bytes()
    broken = tmp_path / "in" / "broken.dcm"
    broken.write_bytes(whole[: len(whole) // 2])
    inputs = [*originals[1:], broken]

    answer = deidentify(inputs, tmp_path / "held")
    assert (answer["state"], answer["outputs"]) == ("refused", [])
    assert sum(answer["refused"].values()) == 1
    assert not list((tmp_path / "held").rglob("*.dcm"))

    answer = deidentify(inputs, tmp_path / "skipped", whole_studies=False)
    assert (answer["state"], len(answer["outputs"])) == ("released", 2)
    with pytest.raises(Refused, match="1 of 3 received files cannot be read"):
        search(inputs, [Path(item["path"]) for item in answer["outputs"]])


def test_the_search_finds_what_is_left_and_what_was_changed(originals, tmp_path):
    assert ("(0010,0010)", "name") in search(originals, originals[:1])
    text = tmp_path / "a.txt"
    text.write_text("nobody")
    assert search(originals, [text]) == []
    assert search(originals, [text], digest="0" * 64) == [("file", "changed")]
    assert search(originals, [text], name="Zimmermann.txt") == [("file name", "name")]
    assert search(originals, [text], path=str(tmp_path / "b.txt")) == [("file", "gone")]


def test_what_a_project_keeps_by_a_rule_is_excused_there_alone(originals, tmp_path):
    for path in originals:
        ds = pydicom.dcmread(path)
        ds.InstitutionName, ds.AccessionNumber = "Nowhere General Hospital", "ACC-778812"
        ds.save_as(path)
    kept = ["(0008,0050)", "(0008,0080)", "(0010,0010)", "(0010,0020)", "(0008,0018)"]
    files = [
        {"path": str(path), "name": "a.dcm", "is_dicom": True, "excused": excused,
         "digest": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path, excused in zip(originals[:2], (kept, []), strict=True)
    ]  # fmt: skip
    request = {"originals": [str(path) for path in originals], "files": files}
    answer = guard_job.run(request, quiet, GuardInstructions(Policy(), ALIAS).sealed())
    first, second = (
        {(item["where"], item["kind"]) for item in answer["findings"] if item["file"] == number}
        for number in (0, 1)
    )
    institution = {("(0008,0080)", "institution"), ("(0008,0050)", "id"), ("(0008,0018)", "uid")}
    assert not institution & first
    assert institution <= second
    assert {("(0010,0010)", "name"), ("(0010,0020)", "id")} <= first & second


@pytest.mark.parametrize("job", [study_job.run, guard_job.run])
def test_instructions_of_another_kind_are_refused(job, tmp_path):
    import pickle

    with pytest.raises(TypeError, match="no instructions"):
        job({}, quiet, pickle.dumps({"secret": "x"}))


def test_instructions_show_nothing_of_themselves():
    shown = repr(StudyInstructions(SECRET, Policy(), ALIAS, ("word",)))
    assert "TRIAL" not in shown
    assert "word" not in shown
    assert SECRET.key.hex() not in shown
    assert "TRIAL" not in repr(GuardInstructions(Policy(), ALIAS, frozenset(("20240101",))))
