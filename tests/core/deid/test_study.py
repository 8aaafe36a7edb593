"""Whole studies: two passes, nothing released before it was searched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from pydicom import dcmread

from isocenter.core.deid import study, workers
from isocenter.core.deid.dataset.values import read_values
from isocenter.core.deid.engine import ObjectResult
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.pool import Pool, Task
from isocenter.core.deid.proof.identifiers import Identifiers
from isocenter.core.deid.proof.report import write
from isocenter.core.deid.proof.verifier import Allowed, verify
from isocenter.core.deid.pseudonyms.issuing import KeyedPseudonyms
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret
from isocenter.core.deid.rules.site_rules import RuleSet
from isocenter.core.deid.standard.actions import Record
from isocenter.core.deid.study import Run, deidentify_paths, deidentify_study
from isocenter.core.errors import Refused
from pool_tasks import lines

SECRET = Secret(b"a project's secret, for ever and ever")


@pytest.fixture
def originals(shared_data: Path, tmp_path: Path) -> Path:
    """Five slices and the structure set of one study."""
    folder = tmp_path / "in"
    folder.mkdir()
    files = sorted((shared_data / "rt_STS_001" / "CT").rglob("*.dcm"))
    small = sorted(files, key=lambda path: path.stat().st_size)
    for path in [*files[:5], small[-1]]:
        shutil.copy(path, folder / path.name)
    return folder


def run_for(out: Path, policy: Policy | None = None, **more: object) -> Run:
    return Run(
        out,
        policy or Policy(),
        SECRET,
        KeyedPseudonyms(SECRET),
        out.with_name("quarantine"),
        **more,  # type: ignore[arg-type]
    )


def outputs(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*.dcm"))}


def test_a_study_comes_out_with_references_whole(originals: Path, tmp_path: Path) -> None:
    report = deidentify_paths(originals.iterdir(), run_for(tmp_path / "out"))
    assert [study.state for study in report.studies] == ["released"]
    assert report.is_clean
    written = [dcmread(path) for path in (tmp_path / "out").rglob("*.dcm")]
    assert len(written) == 6
    assert len({dataset.StudyInstanceUID for dataset in written}) == 1
    (structures,) = (dataset for dataset in written if dataset.Modality == "RTSTRUCT")
    study = structures.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    series = study.RTReferencedSeriesSequence[0].SeriesInstanceUID
    assert series in {d.SeriesInstanceUID for d in written if d.Modality == "CT"}
    for path in (tmp_path / "out").rglob("*.dcm"):
        dataset = dcmread(path)
        folder = tmp_path / "out" / dataset.StudyInstanceUID / dataset.SeriesInstanceUID
        assert path == folder / f"{dataset.SOPInstanceUID}.dcm"


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """More processes than one, however little there is to do."""
    monkeypatch.setattr(study, "FEW_FILES", 0)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("dates", ["remove", "shift"])
def test_processes_and_runs_make_no_difference(originals: Path, tmp_path: Path, dates: str) -> None:
    policy = Policy(dates=dates, options=frozenset((Option.CLEAN_DESCRIPTORS,)))  # type: ignore[arg-type]
    deidentify_paths(originals.iterdir(), run_for(tmp_path / "one", policy))
    deidentify_paths(originals.iterdir(), run_for(tmp_path / "two", policy), processes=2)
    deidentify_paths(originals.iterdir(), run_for(tmp_path / "two", policy))
    assert outputs(tmp_path / "one") == outputs(tmp_path / "two")
    logs = [next((tmp_path / name / "actions").iterdir()).read_text() for name in ("one", "two")]
    assert logs[0] == logs[1]


def test_nothing_is_left_lying_about(originals: Path, tmp_path: Path) -> None:
    deidentify_paths(originals.iterdir(), run_for(tmp_path / "out"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_a_dry_run_releases_nothing(originals: Path, tmp_path: Path) -> None:
    report = deidentify_paths(originals.iterdir(), run_for(tmp_path / "out", dry_run=True))
    assert report.studies[0].searched == 6
    assert list((tmp_path / "out").iterdir()) == []


@pytest.fixture
def leaking(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An engine that copies what it is given."""

    def copies(source: Path, target: Path, context: object, **more: object) -> ObjectResult:
        shutil.copy(source, target)
        return ObjectResult("2.25.3", "2.25.2", "2.25.1", "1.2.3", [], None)

    monkeypatch.setattr(workers, "deidentify_object", copies)
    return


def test_a_hit_holds_the_study(originals: Path, tmp_path: Path, leaking: None) -> None:
    (first, *_) = sorted(originals.iterdir())
    report = deidentify_study(
        [first], tmp_path / "out", Policy(), SECRET, KeyedPseudonyms(SECRET),
        quarantine=tmp_path / "quarantine",
    )  # fmt: skip
    assert report.state == "held"
    assert report.released == 0
    assert ("2.25.3", "(0010,0010)") in {(uid, where) for uid, where, _ in report.findings}
    assert outputs(tmp_path / "out") == {}
    assert (tmp_path / "quarantine" / report.study_uid / "2.25.2" / "2.25.3.dcm").exists()
    reasons = json.loads((tmp_path / "quarantine" / "reasons.json").read_text())
    assert reasons[0]["file"] == str(first)
    assert "at (0010,0010)" in reasons[0]["reason"]


KEEPS = "rules:\n  - {{name: as it is, tags: [{}], action: keep}}\n"


def keeping(*keywords: str) -> Policy:
    return Policy(rules=RuleSet.from_yaml(KEEPS.format(", ".join(keywords))))


def test_a_rule_that_keeps_is_obeyed_and_told_object_by_object(
    originals: Path, tmp_path: Path
) -> None:
    first, *rest = sorted(originals.iterdir())
    for path in (first, *rest):
        dataset = dcmread(path)
        dataset.InstitutionName, dataset.AccessionNumber = "Nowhere General", "ACC-778812"
        if path != first:
            del dataset.InstitutionName
        dataset.StudyDate = "20000229"
        dataset.save_as(path)
    policy = keeping("InstitutionName", "AccessionNumber", "StudyDate")
    report = deidentify_paths(originals.iterdir(), run_for(tmp_path / "out", policy)).studies[0]
    assert report.state == "released", report.findings
    assert report.excused == {"(0008,0020)": 6, "(0008,0050)": 6, "(0008,0080)": 1}
    assert report.kept_by_rule == {"AccessionNumber": 6, "InstitutionName": 1, "StudyDate": 6}
    with_it = [o.sop_uid for o in report.objects if "(0008,0080)" in o.excused]
    paths = {dcmread(p).SOPInstanceUID: dcmread(p) for p in (tmp_path / "out").rglob("*.dcm")}
    assert [paths[uid].InstitutionName for uid in with_it] == ["Nowhere General"]
    assert sorted(len(one["objects"]) for one in report.kept_in) == [1, 5]


@pytest.mark.parametrize(
    ("keyword", "value", "kind"),
    [
        ("PatientName", "Zimmermann^Klaus", "name"),
        ("PatientID", "HX-778812", "id"),
        ("PatientBirthDate", "19500229", "date"),
        ("PatientAddress", "12 Mulberry Crescent", "address"),
        ("PatientTelephoneNumbers", "0761 5553214", "phone"),
        ("OperatorsName", "Okonkwo^Ada", "name"),
    ],
)
def test_no_rule_lets_out_what_identifies_people(
    originals: Path, tmp_path: Path, keyword: str, value: str, kind: str
) -> None:
    for path in originals.iterdir():
        dataset = dcmread(path)
        setattr(dataset, keyword, value.replace("0229", "0228"))
        dataset.save_as(path)
    run = run_for(tmp_path / "out", keeping(keyword, "InstitutionName"))
    report = deidentify_paths(originals.iterdir(), run).studies[0]
    assert (report.state, outputs(tmp_path / "out")) == ("held", {})
    assert {found for _, _, found in report.findings} == {kind}
    assert f"site rule as it is lets {keyword} through" in report.reason


def test_a_patients_number_in_the_accession_number_is_not_let_out(
    originals: Path, tmp_path: Path
) -> None:
    for path in originals.iterdir():
        dataset = dcmread(path)
        dataset.PatientID, dataset.AccessionNumber = "HX-778812", "HX-778812"
        dataset.save_as(path)
    run = run_for(tmp_path / "out", keeping("AccessionNumber"))
    assert deidentify_paths(originals.iterdir(), run).studies[0].state == "held"


def test_a_newborns_study_date_may_be_kept_by_a_rule(originals: Path, tmp_path: Path) -> None:
    for path in originals.iterdir():
        dataset = dcmread(path)
        dataset.PatientBirthDate = dataset.StudyDate = "20000229"
        dataset.save_as(path)
    run = run_for(tmp_path / "out", keeping("StudyDate"))
    assert deidentify_paths(originals.iterdir(), run).studies[0].state == "released"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("action: shift, days: -1", "20000228"),
        ("action: shift", None),
        ("action: round, to: year", "20000101"),
        ("action: replace, value: '20000101'", "20000101"),
        ("action: template, template: '{shift:SeriesDate}'", None),
    ],
)
def test_a_day_that_a_rule_makes_may_be_another_day_of_the_study(
    originals: Path, tmp_path: Path, rule: str, expected: str | None
) -> None:
    """Every day is one of the study's: from 1998 to 2000, so shifted ones are, too."""
    begin = date(1998, 1, 1)
    days = [(begin + timedelta(number)).strftime("%Y%m%d") for number in range(365 * 3)]
    for path in originals.iterdir():
        dataset = dcmread(path)
        dataset.StudyDate = dataset.SeriesDate = "20000229"
        dataset.DateOfLastCalibration = days
        dataset.save_as(path)
    rules = RuleSet.from_yaml(f"rules:\n  - {{tags: StudyDate, {rule}}}\n")
    report = deidentify_paths(originals.iterdir(), run_for(tmp_path / "out", Policy(rules=rules)))
    assert report.studies[0].state == "released", report.studies[0].findings
    (new,) = {str(dcmread(path).StudyDate) for path in (tmp_path / "out").rglob("*.dcm")}
    assert new in days
    assert expected in (None, new)


def test_a_rule_for_one_attribute_excuses_no_other(originals: Path, tmp_path: Path) -> None:
    path = sorted(originals.iterdir())[0]
    dataset = dcmread(path)
    dataset.StudyDate, dataset.SeriesDate = "20000229", "20000228"
    rules = RuleSet.from_yaml("rules:\n  - {tags: StudyDate, action: shift, days: -1}\n")
    dataset.save_as(path)
    identifiers = workers.look_at([path])[0].identifiers
    alias = KeyedPseudonyms(SECRET).alias_for(PatientKey("", "X"), {})
    found = verify([path], identifiers, Policy(rules=rules), allowed=Allowed(patient=alias))
    assert "(0008,0021)" in {finding.where for finding in found}


def test_a_newborn_whose_dates_are_kept_leaves(originals: Path, tmp_path: Path) -> None:
    for path in originals.iterdir():
        dataset = dcmread(path)
        dataset.PatientBirthDate = dataset.StudyDate = "20200214"
        dataset.save_as(path)
    assert verify([path], workers.look_at([path])[0].identifiers, Policy(dates="keep"))
    report = deidentify_paths(originals.iterdir(), run_for(tmp_path / "out", Policy(dates="keep")))
    assert report.studies[0].state == "released", report.studies[0].findings
    written = [dcmread(path) for path in (tmp_path / "out").rglob("*.dcm")]
    assert {(one.StudyDate, one.PatientBirthDate) for one in written} == {("20200214", "")}


def test_a_patient_without_an_id_is_refused(originals: Path, tmp_path: Path) -> None:
    for path in originals.iterdir():
        dataset = dcmread(path)
        dataset.PatientID = ""
        dataset.save_as(path)
    report = deidentify_paths(originals.iterdir(), run_for(tmp_path / "out"))
    assert [(s.state, s.reason) for s in report.studies] == [("refused", "Patient ID is empty")]
    assert not report.is_clean
    assert outputs(tmp_path / "out") == {}


def test_two_patients_in_a_study_are_refused(originals: Path, tmp_path: Path) -> None:
    path = sorted(originals.iterdir())[0]
    dataset = dcmread(path)
    dataset.PatientID = "SOMEBODY ELSE"
    dataset.save_as(path)
    report = deidentify_paths(originals.iterdir(), run_for(tmp_path / "out"))
    assert report.studies[0].reason == "its objects are of different patients"


def test_refused_objects_stay_and_the_rest_leaves(originals: Path, tmp_path: Path) -> None:
    path = sorted(originals.iterdir())[0]
    dataset = dcmread(path)
    dataset.BurnedInAnnotation = "YES"
    dataset.save_as(path)
    report = deidentify_paths(originals.iterdir(), run_for(tmp_path / "out"))
    assert report.studies[0].state == "released"
    assert [one.refused for one in report.studies[0].refused] == [
        "Burned In Annotation is YES and the policy does not clean pixels (templates or ocr do)"
    ]
    assert len(outputs(tmp_path / "out")) == 5
    whole = run_for(tmp_path / "whole", whole_studies=True)
    assert deidentify_paths(originals.iterdir(), whole).studies[0].state == "refused"
    assert outputs(tmp_path / "whole") == {}


@pytest.mark.usefixtures("few_are_many")
def test_two_objects_with_one_uid_do_not_overwrite_each_other(
    originals: Path, tmp_path: Path
) -> None:
    first, second, *_ = sorted(originals.iterdir())
    dataset = dcmread(first)
    dataset.InstanceNumber = 4711
    dataset.save_as(second)
    shutil.copy(first, originals / "the same again.dcm")
    report = deidentify_paths(originals.iterdir(), run_for(tmp_path / "out"), processes=2)
    assert [one.refused for one in report.studies[0].refused] == [
        "another object in this study has the same SOP Instance UID"
    ]


def test_other_files_are_told_of(originals: Path, tmp_path: Path, shared_data: Path) -> None:
    (originals / "notes.txt").write_text("no DICOM")
    shutil.copy(shared_data / "dicomdir" / "DICOMDIR", originals)
    whole = sorted(originals.glob("*.dcm"))[0]
    (originals / "cut.dcm").write_bytes(whole.read_bytes()[:-100])
    report = deidentify_paths(originals.iterdir(), run_for(tmp_path / "out"))
    assert report.skipped["no DICOM"] == 1
    assert sum(report.skipped.values()) == 2
    assert list(report.unreadable.values()) == [1]
    assert len(outputs(tmp_path / "out")) == 6


def test_one_study_is_one_study(originals: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="0 studies"):
        deidentify_study([], tmp_path / "out", Policy(), SECRET, KeyedPseudonyms(SECRET))


def test_reports_name_nobody(originals: Path, tmp_path: Path) -> None:
    report = deidentify_paths(originals.iterdir(), run_for(tmp_path / "out"))
    write(report, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    assert content["studies"][0]["objects"] == {"all": 6, "released": 6}
    assert content["profile"]["codes"][0] == ["113100", "Basic Application Confidentiality Profile"]
    for path in originals.iterdir():
        for value in read_values(path).values:
            if value.tag in (0x00100010, 0x00100020, 0x0020000D, 0x00080018):
                old = value.decoder.decode(value.raw)
                for name in ("report.json", "report.html"):
                    assert old not in (tmp_path / "out" / name).read_text(), value.path
                for log in (tmp_path / "out" / "actions").iterdir():
                    assert old not in log.read_text(), value.path


@pytest.mark.parametrize("folder", ["charsets", "rt_plan_dose", "seg_sr_highdicom", "private_tags"])
def test_every_kind_leaves_clean_or_is_refused_by_name(
    shared_data: Path, tmp_path: Path, folder: str
) -> None:
    policy = Policy(
        options=frozenset((Option.CLEAN_STRUCTURED_CONTENT, Option.CLEAN_DESCRIPTORS)),
        dates="shift",
    )
    files = [path for path in (shared_data / folder).rglob("*") if path.is_file()]
    report = deidentify_paths(files, run_for(tmp_path / "out", policy))
    assert not [study for study in report.studies if study.findings]
    assert all(one.refused for study in report.studies for one in study.refused)
    parts = []
    for path in files:
        try:
            parts.append(workers.look_at([path])[0].identifiers)
        except OSError:
            continue
    everything = Identifiers.merged(parts)
    uids = replace(Identifiers(), uids=everything.uids)
    assert verify((tmp_path / "out").rglob("*.dcm"), uids) == []


def test_a_process_that_dies_costs_one_item_only() -> None:
    tasks = [
        Task(lines, "a ", ["b", "kill", "c"], lambda item: f"lost {item}"),
        Task(lines, "a ", ["d"], lambda item: f"lost {item}"),
    ]
    with Pool(2) as pool:
        results = [result for _, found in pool.run(iter(tasks)) for result in found]
    assert sorted(results) == ["a b", "a c", "a d", "lost kill"]


def test_beside_threads_processes_are_not_forked_from_this_one() -> None:
    def work() -> list[str]:
        task = Task(lines, "a ", ["b", "c"], lambda item: f"lost {item}")
        with Pool(2) as pool:
            ((_, found),) = pool.run(iter([task]))
        return found

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(work).result() == ["a b", "a c"]


def test_a_small_study_stays_in_one_process(
    originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def pool(processes: int) -> Pool:
        started.append(processes)
        return Pool(1)

    monkeypatch.setattr(study, "Pool", pool)
    for policy in (Policy(), Policy(pixels="templates"), Policy(faces="refuse")):
        deidentify_paths(originals.iterdir(), run_for(tmp_path / "out", policy), processes=2)
    monkeypatch.setattr(study, "LITTLE_BYTES", 1000)
    deidentify_paths(originals.iterdir(), run_for(tmp_path / "out"), processes=2)
    assert started == [1, 2, 2, 2]


def test_tasks_are_neither_tiny_nor_few() -> None:
    assert [Pool(2).chunk(count) for count in (1, 74, 600, 100_000)] == [8, 9, 64, 64]


def test_records_are_plain() -> None:
    assert Record.__slots__  # they go between processes by the thousand
