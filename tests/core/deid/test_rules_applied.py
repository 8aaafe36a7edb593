"""Site rules, presets and imported rules in the bytes that the engine writes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset

from isocenter.core.deid.engine import ObjectResult
from isocenter.core.deid.importers import import_ctp, import_karnak, import_recipe
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.rules.presets import preset
from isocenter.core.deid.rules.site_rules import RuleSet

SECRET = Secret(b"a secret for tests, of 256 bits.")  # as in conftest, with a shift of -100 days
Deidentify = Callable[..., tuple[Dataset, ObjectResult]]


@pytest.fixture
def run(ct: Dataset, deidentify: Deidentify) -> Callable[[str], Dataset]:
    """Rules, each as the inside of a YAML table, on the CT object."""

    def applied(*rules: str) -> Dataset:
        listed = "".join(f"  - {{{rule}}}\n" for rule in rules)
        return deidentify(ct, rules=RuleSet.from_yaml(f"rules:\n{listed}"))[0]

    return applied


def test_values_are_written(run: Callable[..., Dataset], ct: Dataset) -> None:
    ct.PatientWeight = "72.4"
    ct.SeriesDescription = "Thorax 12345 Größe"
    ct.StationName = "ROOM1"
    ct.ProtocolName = "P"
    new = run(
        "tags: PatientWeight, action: round, to: 5",
        r"tags: SeriesDescription, action: regex-replace, pattern: '\d+', by: '#'",
        "tags: StationName, action: hash, length: 6",
        "tags: ProtocolName, action: template, template: '{pseudonym} {Modality}'",
        "tags: StudyDate, action: shift, days: -1",
        "tags: ContentDate, action: shift",
        "tags: SeriesDate, action: round, to: year",
        "tags: StudyID, action: pseudonym",
        "tags: AccessionNumber, action: replace, value: Ä1",
    )
    assert new.PatientWeight == 70
    assert new.SeriesDescription == "Thorax # Größe"
    assert new.StationName == SECRET.hash_text("ROOM1", 6)
    assert new.ProtocolName == "ANON0001 CT"
    assert new.StudyDate == "20240228"
    assert new.ContentDate == "20231121"
    assert new.SeriesDate == "20240101"
    assert new.StudyID == "ANON0001"
    assert new.AccessionNumber == "Ä1"


def test_conditions_look_at_the_original(run: Callable[..., Dataset]) -> None:
    new = run(
        "tags: InstitutionName, action: keep, if: {PatientID: {starts: PID}}",
        "tags: ReferringPhysicianName, action: keep, if: {StationName: {present: true}}",
        "tags: StudyDescription, action: keep, when: {contains: nothing}",
    )
    assert new.InstitutionName == "Klinikum Musterstadt"
    assert new.ReferringPhysicianName == ""
    assert "StudyDescription" not in new


def test_numbers_in_binary_get_no_text(run: Callable[..., Dataset], ct: Dataset) -> None:
    ct.add_new(0x00189073, "FD", 4.5)  # AcquisitionDuration
    ct.add_new(0x00280106, "US", 7)  # SmallestImagePixelValue
    new = run(
        "tags: '(0018,907x)', action: replace, value: '5'",
        "tags: SmallestImagePixelValue, action: hash",
    )
    assert new.AcquisitionDuration == 0
    assert new.SmallestImagePixelValue == 0


def test_nested_and_private_elements(run: Callable[..., Dataset], ct: Dataset) -> None:
    inner = Dataset()
    inner.ScheduledProcedureStepDescription = "Scan"
    inner.RequestedProcedureID = "R9"
    ct.RequestAttributesSequence = [inner]
    block = ct.private_block(0x0019, "ACME 1", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x0D, "LO", "secret")
    new = run(
        "tags: RequestAttributesSequence/ScheduledProcedureStepDescription, action: keep",
        "tags: /RequestedProcedureID, action: keep",
        "tags: '(0019,xx0C,\"ACME 1\")', action: keep",
    )
    if "RequestAttributesSequence" in new:
        item = new.RequestAttributesSequence[0]
        assert item.get("RequestedProcedureID") != "R9"
    assert new.private_block(0x0019, "ACME 1")[0x0C].value == 1000
    assert 0x0D not in new.private_block(0x0019, "ACME 1")


def test_an_object_can_be_refused(ct: Dataset, deidentify: Deidentify) -> None:
    rules = RuleSet.from_yaml("rules: [{name: no CT, tags: Modality, when: CT, action: refuse}]")
    new, result = deidentify(ct, rules=rules)
    assert not new
    assert result.refused is not None
    assert "no CT" in result.refused


def test_presets(ct: Dataset, deidentify: Deidentify) -> None:
    ct.OperatorsName = "Op^A"
    new, _ = deidentify(ct, rules=preset("netrt"))
    assert new.PatientID == "ANON0001"
    assert new.AccessionNumber == new.StudyID == new.PatientBirthDate == ""
    assert "OperatorsName" not in new
    new, _ = deidentify(ct, rules=preset("editor-17"))
    assert new.OperatorsName == new.InstitutionName == new.StudyDescription == "Anonymous"
    assert (new.SeriesNumber, new.InstanceNumber) == (1, 1)
    assert new.StudyDate == new.PatientSex == ""


def test_imported_rules(ct: Dataset, deidentify: Deidentify) -> None:
    ctp = import_ctp(
        '<script><p t="DAYS">-3</p><e en="T" t="00080020" n="StudyDate">'
        '@incrementdate(this,@DAYS)</e><e en="T" t="00081030" n="StudyDescription">'
        '@if(Modality,equals,"ct"){Chest}{@remove()}</e>'
        '<r en="T" t="unspecifiedelements"/></script>'
    )
    new, _ = deidentify(ct, *ctp.options, rules=ctp.rules)
    assert new.StudyDate == "20240226"
    assert new.StudyDescription == "Chest"
    assert new.Manufacturer == ""  # Type 2
    assert new.PixelData == ct.PixelData
    karnak = import_karnak(
        "profileElements:\n  - {name: k, codename: action.on.specific.tags, action: K, "
        "tags: ['(0008,0080)']}\n  - {name: b, codename: basic.dicom.profile}"
    )
    assert deidentify(ct, rules=karnak.rules)[0].InstitutionName == "Klinikum Musterstadt"
    recipe = import_recipe("FORMAT dicom\n%header\nREPLACE PatientID var:id\nJITTER StudyDate 1\n")
    new, _ = deidentify(ct, rules=recipe.rules)
    assert (new.PatientID, new.StudyDate) == ("ANON0001", "20240301")


def test_what_an_object_needs_is_not_removed_but_empty_or_a_dummy(
    ct: Dataset, deidentify: Deidentify
) -> None:
    ct.StationName = "ROOM1"
    text = "rules:\n  - {tags: [Modality, ReferringPhysicianName, StationName], action: remove}\n"
    new, result = deidentify(ct, rules=RuleSet.from_yaml(text))
    assert new.Modality == "REMOVED"  # Type 1
    assert new.ReferringPhysicianName == ""  # Type 2
    assert "StationName" not in new
    said = {record.path: record.rule for record in result.records}
    assert said["(0008,0060)"] == "site rule rule 1; not removed, Type 1"
    assert said["(0008,0090)"] == "site rule rule 1; not removed, Type 2"
    assert said["(0008,1010)"] == "site rule rule 1"
