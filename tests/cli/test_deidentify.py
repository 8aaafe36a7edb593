"""``isocenter deidentify``: folders without a server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pydicom import dcmread

from isocenter.cli.main import build
from isocenter.cli.platform import run


@pytest.fixture
def folder(shared_data: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for path in sorted((shared_data / "rt_STS_001" / "CT").rglob("*.dcm"))[:3]:
        shutil.copy(path, folder)
    return folder


def deidentify(*arguments: object) -> int:
    return run(build(["deidentify"]), ["deidentify", *map(str, arguments)])


def test_a_folder_comes_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, secret = tmp_path / "out", tmp_path / "secret"
    code = deidentify(folder, out, "--secret-file", secret, "--create-secret", "--json")
    assert code == 0
    content = json.loads(capsys.readouterr().out)
    assert content == json.loads((out / "report.json").read_text())
    assert content["studies"][0]["state"] == "released"
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    assert len(list(out.rglob("*.dcm"))) == 3
    assert secret.stat().st_mode & 0o077 == 0


def test_options_count(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = deidentify(
        folder, out, "--project", "trial-1", "--projects-dir", tmp_path / "projects",
        "--option", "clean-descriptors,retain-uids", "--option", "retain-patient-characteristics",
        "--dates", "shift", "--processes", 1,
    )  # fmt: skip
    assert code == 0
    dataset = dcmread(next(out.rglob("*.dcm")))
    codes = {item.CodeValue for item in dataset.DeidentificationMethodCodeSequence}
    assert {"113100", "113105", "113107", "113108", "113110"} <= codes
    assert (tmp_path / "projects" / "trial-1" / "secret.key").exists()


def test_what_rules_keep_is_told_and_nobody_is_among_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in folder.iterdir():
        dataset = dcmread(path)
        dataset.InstitutionName = "Nowhere General Hospital"
        dataset.save_as(path)
    rules = tmp_path / "keep.yaml"
    given = ("--project", "trial", "--projects-dir", tmp_path / "projects", "--rules", rules)
    rules.write_text("rules:\n  - {tags: InstitutionName, action: keep}\n")
    assert deidentify(folder, tmp_path / "out", *given) == 0
    assert "kept by rule 3: InstitutionName" in capsys.readouterr().out

    rules.write_text("rules:\n  - {tags: [PatientName, PatientID], action: keep}\n")
    assert deidentify(folder, tmp_path / "none", *given) == 3
    told = capsys.readouterr().out
    assert "site rule rule 1 lets PatientID, PatientName through" in told
    assert not list((tmp_path / "none").rglob("*.dcm"))


def test_a_list_of_pseudonyms_is_a_list_of_patients(folder: Path, tmp_path: Path) -> None:
    patient = dcmread(next(folder.iterdir())).PatientID
    listed = tmp_path / "map.csv"
    listed.write_text(f"PatientID,Pseudonym\n{patient},TRIAL-0001\n")
    common = ("--secret-file", tmp_path / "secret", "--create-secret", "--pseudonyms", listed)
    assert deidentify(folder, tmp_path / "out", *common) == 0
    assert dcmread(next((tmp_path / "out").rglob("*.dcm"))).PatientID == "TRIAL-0001"
    listed.write_text("PatientID,Pseudonym\nsomebody else,TRIAL-0001\n")
    assert deidentify(folder, tmp_path / "other", *common) == 3
    assert not list((tmp_path / "other").rglob("*.dcm"))


def test_pseudonyms_by_a_pattern_go_on_where_they_were(folder: Path, tmp_path: Path) -> None:
    secret, named = tmp_path / "secret", tmp_path / "secret.pseudonyms.csv"
    common = ("--secret-file", secret, "--create-secret", "--pattern", "{site}_{counter:04}",
              "--site", "HD")  # fmt: skip
    assert deidentify(folder, tmp_path / "try", *common, "--dry-run") == 0
    assert not named.exists()
    assert deidentify(folder, tmp_path / "one", *common) == 0
    assert dcmread(next((tmp_path / "one").rglob("*.dcm"))).PatientID == "HD_0001"
    assert named.stat().st_mode & 0o077 == 0
    for path in folder.iterdir():
        dataset = dcmread(path)
        dataset.PatientID = dataset.PatientName = "Somebody Else"
        dataset.StudyInstanceUID = "1.2.3.4.5"
        dataset.save_as(path)
    assert deidentify(folder, tmp_path / "two", *common) == 0
    assert dcmread(next((tmp_path / "two").rglob("*.dcm"))).PatientID == "HD_0002"
    assert len(named.read_text().splitlines()) == 3
    projects = ("--project", "trial", "--projects-dir", tmp_path, "--pattern", "T{counter}")
    assert deidentify(folder, tmp_path / "three", *projects) == 0
    assert "T1" in (tmp_path / "trial" / "pseudonyms.csv").read_text()


def test_refusals_have_their_exit_code(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sorted(folder.iterdir())[0]
    dataset = dcmread(path)
    dataset.BurnedInAnnotation = "YES"
    dataset.save_as(path)
    out = tmp_path / "out"
    assert deidentify(folder, out, "--secret-file", tmp_path / "s", "--create-secret") == 3
    assert "Burned In Annotation" in capsys.readouterr().out
    assert len(list(out.rglob("*.dcm"))) == 2
    reasons = json.loads((tmp_path / "out.quarantine" / "reasons.json").read_text())
    assert [entry["file"] for entry in reasons] == [str(path)]


def test_a_dry_run_writes_nothing(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = deidentify(folder, out, "--secret-file", tmp_path / "s", "--create-secret", "--dry-run")
    assert code == 0
    assert not list(out.rglob("*"))


def test_output_below_the_input_is_not_read_again(folder: Path, tmp_path: Path) -> None:
    arguments = (folder, folder / "out", "--secret-file", tmp_path / "s", "--create-secret")
    assert deidentify(*arguments) == 0
    assert deidentify(*arguments) == 0
    assert len(list((folder / "out").rglob("*.dcm"))) == 3


@pytest.mark.parametrize("name", ["PatientName", "0010,0010", "(0010,0010)", "00100010"])
def test_it_explains(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert deidentify("--explain", name) == 0
    assert "(0010,0010)" in capsys.readouterr().out


def test_it_explains_a_site_s_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = tmp_path / "site.yaml"
    rules.write_text(
        "rules:\n  - name: our names\n    tags: [StudyDescription]\n"
        "    action: template\n    template: 'T {StudyDate}'\n"
    )
    assert deidentify("--explain", "StudyDescription", "--rules", str(rules)) == 0
    told = capsys.readouterr().out
    assert "'our names' (line 2)" in told
    assert "template 'T {StudyDate}'" in told
    assert deidentify("--explain", "SeriesDescription", "--rules", str(rules)) == 0
    assert "our names" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--explain", "Nonsense"),
        (),
        ("{in}", "{out}"),
        ("{in}", "{out}", "--secret-file", "{missing}"),
        ("{in}", "{out}", "--project", "a", "--secret-file", "b"),
        ("{in}", "{out}", "--project", "../a"),
        ("{in}", "{out}", "--secret-file", "{missing}", "--option", "clean-everything"),
        ("{in}", "{out}", "--secret-file", "{missing}", "--dates", "later"),
        ("{in}", "{in}", "--secret-file", "{made}", "--create-secret"),
        ("{in}", "{out}", "--secret-file", "{made}", "--create-secret", "--site", "HD"),
        (
            "{in}",
            "{out}",
            "--secret-file",
            "{made}",
            "--create-secret",
            "--pattern",
            "{site}_{counter}",
        ),
        ("{in}", "{out}", "--secret-file", "{made}", "--create-secret", "--pattern", "same"),
    ],
)
def test_wrong_use_is_told(folder: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    places = {
        "{in}": folder, "{out}": tmp_path / "out", "{missing}": tmp_path / "none",
        "{made}": tmp_path / "made",
    }  # fmt: skip
    assert deidentify(*(places.get(argument, argument) for argument in arguments)) == 2
    assert not list((tmp_path / "out").rglob("*.dcm"))
