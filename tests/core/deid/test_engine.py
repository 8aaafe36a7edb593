"""The engine on single objects: what goes, what stays, what the bytes look like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from isocenter.core.deid.dataset.elements import Item
from isocenter.core.deid.engine import (
    Context,
    ItemDecision,
    ObjectResult,
    Override,
    deidentify_object,
)
from isocenter.core.deid.policy import Option, Policy, PrivateKeep
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.rules.site_rules import RuleSet
from isocenter.core.deid.standard.actions import Action
from isocenter.core.errors import DataSetError

SECRET = Secret(b"a secret for tests, of 256 bits.")
Deidentify = Callable[..., tuple[Dataset, ObjectResult]]
SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"]


def item(**values: object) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize("syntax", [*SYNTAXES, "1.2.840.10008.1.2.1.99"])
def test_basic_profile(ct: Dataset, deidentify: Deidentify, tmp_path: Path, syntax: str) -> None:
    new, result = deidentify(ct, syntax=syntax)
    assert (new.PatientName, new.PatientID) == ("ANON^0001", "ANON0001")
    assert new.StudyDate == new.ContentDate == new.PatientBirthDate == new.PatientSex == ""
    assert new.AccessionNumber == new.ReferringPhysicianName == ""
    assert "SeriesDate" not in new
    assert "PatientAge" not in new
    assert "InstitutionName" not in new
    assert "StudyDescription" not in new
    assert new.Manufacturer == "Example Systems"
    turned = b"\2\1\4\3\6\5\x08\7"
    assert new.PixelData == (turned if syntax == "1.2.840.10008.1.2.2" else ct.PixelData)
    assert new.SOPInstanceUID == SECRET.uid("1.2.3.4.5.6.1") == result.sop_uid
    assert new.file_meta.MediaStorageSOPInstanceUID == new.SOPInstanceUID
    assert (result.series_uid, result.study_uid) == (new.SeriesInstanceUID, new.StudyInstanceUID)
    assert new.PatientIdentityRemoved == "YES"
    assert new.LongitudinalTemporalInformationModified == "REMOVED"
    codes = [
        (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning)
        for code in new.DeidentificationMethodCodeSequence
    ]
    assert codes == [("113100", "DCM", "Basic Application Confidentiality Profile")]
    assert (tags := [element.tag for element in new]) == sorted(tags)
    written = (tmp_path / "new.dcm").read_bytes()
    assert written[:128] == bytes(128)
    for word in (b"olkenbruch", b"PID556677", b"20240229", b"19610203", b"ACC77801", b"1.2.3.4"):
        assert word not in written


def test_dates_are_shifted_and_intervals_stay(ct: Dataset, deidentify: Deidentify) -> None:
    ct.AcquisitionDateTime = "20240301120000.5+0100"
    new, _ = deidentify(ct, dates="shift")
    assert new.StudyDate == "20231121"
    assert new.AcquisitionDateTime == "20231122120000.5+0100"
    assert new.StudyTime == "101112"
    assert new.PatientBirthDate == ""
    assert new.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [code.CodeValue for code in new.DeidentificationMethodCodeSequence] == [
        "113100",
        "113107",
    ]
    aged, _ = deidentify(ct, dates="shift", keep_ages=True)
    assert aged.PatientBirthDate == "19601026"


def test_full_dates_and_patient_characteristics_stay(ct: Dataset, deidentify: Deidentify) -> None:
    new, _ = deidentify(ct, Option.RETAIN_FULL_DATES, Option.RETAIN_PATIENT_CHARACTERISTICS)
    assert new.StudyDate == "20240229"
    assert (new.PatientSex, new.PatientAge) == ("F", "090Y")
    assert new.LongitudinalTemporalInformationModified == "UNMODIFIED"


def test_a_date_that_is_none_does_not_stay(ct: Dataset, deidentify: Deidentify) -> None:
    ct["StudyDate"]._value = "Wolkenbr"
    ct["StudyTime"]._value = "Zo"
    for dates in ("shift", "keep"):
        new, _ = deidentify(ct, dates=dates)
        assert new.StudyDate == new.StudyTime == ""


def test_type_1_and_2_are_not_lost(ct: Dataset, deidentify: Deidentify) -> None:
    ct.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"  # enhanced MR: DeviceSerialNumber is Type 1
    ct.DeviceSerialNumber = "SN4711"
    ct.AcquisitionDateTime = "20240229101112"
    new, _ = deidentify(ct)
    assert new.DeviceSerialNumber == "REMOVED"
    assert new.ContentDate == "19000101"
    assert "StudyDate" in new


def test_references_stay_whole(ct: Dataset, deidentify: Deidentify) -> None:
    reference = item(
        ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID="1.2.3.4.5.6.9"
    )
    ct.ReferencedImageSequence = Sequence([reference])
    ct.SourceImageSequence = Sequence([reference])
    new, _ = deidentify(ct)
    for sequence in (new.ReferencedImageSequence, new.SourceImageSequence):
        assert sequence[0].ReferencedSOPInstanceUID == SECRET.uid("1.2.3.4.5.6.9")
        assert sequence[0].ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    kept, _ = deidentify(ct, Option.RETAIN_UIDS)
    assert kept.SOPInstanceUID == kept.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.5.6.1"


def test_identity_in_a_kept_vocabulary_word_goes(ct: Dataset, deidentify: Deidentify) -> None:
    code = item(CodeValue="1", CodingSchemeDesignator="99X", CodeMeaning="Chest of Wolkenbruch")
    ct.ProcedureCodeSequence = Sequence([code])
    ct.BodyPartExamined = "CHEST"
    new, _ = deidentify(ct)
    assert "Wolkenbruch" not in str(new)
    assert new.ProcedureCodeSequence[0].CodeValue == "1"
    assert "Chest" in new.ProcedureCodeSequence[0].CodeMeaning
    assert new.BodyPartExamined == "CHEST"


def test_content_without_its_option_is_dummied(ct: Dataset, deidentify: Deidentify) -> None:
    ct.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    concept = item(CodeValue="121071", CodingSchemeDesignator="DCM", CodeMeaning="Finding")
    text = item(ValueType="TEXT", RelationshipType="CONTAINS", TextValue="Seen by Dr. House")
    text.ConceptNameCodeSequence = Sequence([concept])
    who = item(CodeValue="4711", CodingSchemeDesignator="99STAFF", CodeMeaning="House, Gregory")
    observer = item(VerifyingObserverName="House^Gregory", VerifyingOrganization="Princeton")
    observer.VerifyingObserverIdentificationCodeSequence = Sequence([who])
    ct.ContentSequence = Sequence([text])
    ct.VerifyingObserverSequence = Sequence([observer])
    new, _ = deidentify(ct)
    content = new.ContentSequence[0]
    assert (content.ValueType, content.TextValue) == ("TEXT", "REMOVED")
    assert content.ConceptNameCodeSequence[0].CodeMeaning == "Finding"
    assert "House" not in str(new)
    assert "4711" not in str(new)
    assert "VerifyingObserverName" in new.VerifyingObserverSequence[0]


def test_private_elements_go_but_the_lists_stay(ct: Dataset, deidentify: Deidentify) -> None:
    block = ct.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")  # on the safe list
    block.add_new(0x0F, "SH", "Fast")
    other = ct.private_block(0x0021, "ACME", create=True)
    other.add_new(0x01, "LO", "Wolkenbruch in the box")
    other.add_new(0x02, "PN", "Wolkenbruch^Zoë")
    other.add_new(0x03, "UI", "1.2.3.4.5.6.1")
    new, result = deidentify(ct)
    assert not any(element.tag.is_private for element in new)
    assert {r.rule for r in result.records if r.path.startswith("(0019")} == {"private"}
    safe, _ = deidentify(ct, Option.RETAIN_SAFE_PRIVATE)
    assert [str(e.tag) for e in safe if e.tag.is_private] == ["(0019,0010)", "(0019,100C)"]
    listed, _ = deidentify(ct, private_keep=(PrivateKeep("ACME", 0x21),))
    kept = listed.private_block(0x21, "ACME")
    assert "Wolkenbruch" not in kept[1].value
    assert 2 not in kept
    assert kept[3].value == SECRET.uid("1.2.3.4.5.6.1")


def test_overlays_curves_and_unknown_elements_go(ct: Dataset, deidentify: Deidentify) -> None:
    ct.add_new(0x60000010, "US", 2)
    ct.add_new(0x60003000, "OW", b"\1\0")
    ct.add_new(0x60004000, "LT", "Wolkenbruch")
    ct.add_new(0x50020010, "US", 2)
    ct.add_new(0x00189ABC, "LO", "Wolkenbruch")
    ct.add_new(0x00080001, "UL", 1)
    new, _ = deidentify(ct)
    assert not [e for e in new if e.tag.group >= 0x5000 and e.tag != 0x7FE00010]
    assert 0x00189ABC not in new


def test_wrong_vr_is_no_way_out(ct: Dataset, deidentify: Deidentify, tmp_path: Path) -> None:
    ct.add_new(0x00280030, "LO", "Wolkenbruch")  # PixelSpacing
    ct.add_new(0x00189087, "UT", "Wolkenbruch")  # DiffusionBValue
    ct.add_new(0x00201002, "IS", "0")
    ct[0x00201002]._value = "Zoe W."
    ct.add_new(0x00321064, "LO", "Wolkenbruch")  # a sequence
    deidentify(ct)
    assert b"olkenbruch" not in (tmp_path / "new.dcm").read_bytes()
    assert b"Zoe W" not in (tmp_path / "new.dcm").read_bytes()


def test_character_set_changes_only_if_it_must(
    ct: Dataset, encode: Callable[..., bytes], context: Callable[..., Context], tmp_path: Path
) -> None:
    from isocenter.core.deid.pseudonyms.issuing import PatientAlias

    ct.SpecificCharacterSet = "ISO_IR 100"
    ct.Manufacturer = "Röntgen AG"
    target = tmp_path / "new.dcm"
    deidentify_object(encode(ct), target, context(), durable=False)
    assert pydicom.dcmread(target).SpecificCharacterSet == "ISO_IR 100"
    alias = PatientAlias("一二三", "山田^太郎", -1)
    deidentify_object(encode(ct), target, context(alias=alias), durable=False)
    new = pydicom.dcmread(target)
    assert new.SpecificCharacterSet == "ISO_IR 192"
    assert (new.PatientName, new.Manufacturer) == ("山田^太郎", "Röntgen AG")
    assert (tags := [element.tag for element in new]) == sorted(tags)


def test_a_second_run_gives_the_same_bytes(
    ct: Dataset, encode: Callable[..., bytes], context: Callable[..., Context], tmp_path: Path
) -> None:
    data = encode(ct)
    written = []
    for name in ("one.dcm", "two.dcm"):
        deidentify_object(data, tmp_path / name, context())
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".dcm"] == []


def test_codes_of_an_earlier_run_stay(ct: Dataset, deidentify: Deidentify) -> None:
    ct.DeidentificationMethod = "by Wolkenbruch"
    ct.DeidentificationMethodCodeSequence = Sequence(
        [
            item(CodeValue="113101", CodingSchemeDesignator="DCM", CodeMeaning="Wolkenbruch"),
            item(CodeValue="4711", CodingSchemeDesignator="99X", CodeMeaning="Wolkenbruch"),
        ]
    )
    new, _ = deidentify(ct)
    assert "Wolkenbruch" not in str(new)
    codes = {c.CodeValue: c.CodeMeaning for c in new.DeidentificationMethodCodeSequence}
    assert codes["113101"] == "Clean Pixel Data Option"
    assert len(codes) == 2


def test_site_rules_go_before_the_profile(ct: Dataset, deidentify: Deidentify) -> None:
    rules = RuleSet.from_yaml(
        "rules:\n"
        "  - {tags: InstitutionName, action: keep}\n"
        "  - {tags: StudyDescription, action: replace, value: CHEST}\n"
        "  - {tags: Manufacturer, action: remove}\n"
    )
    new, result = deidentify(ct, rules=rules)
    assert new.InstitutionName == "Klinikum Musterstadt"
    assert new.StudyDescription == "CHEST"
    assert new.Manufacturer == ""  # Type 2
    assert any(record.rule.startswith("site rule") for record in result.records)


def test_handlers_decide_content_items(
    ct: Dataset, encode: Callable[..., bytes], context: Callable[..., Context], tmp_path: Path
) -> None:
    class Reading:
        seen: list[str] = []

        def item(self, path: str, item: Item) -> ItemDecision:
            self.seen.append(path)
            if item.text(0x0040A040) == "PNAME":
                return ItemDecision(drop=True)
            return ItemDecision(overrides={0x0040A160: Override(Action.REPLACE, "clean", "SR")})

    ct.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    ct.ValueType = "CONTAINER"
    inner = item(ValueType="TEXT", TextValue="Wolkenbruch")
    outer = item(ValueType="CONTAINER")
    outer.ContentSequence = Sequence([item(ValueType="PNAME", PersonName="X^Y"), inner])
    ct.ContentSequence = Sequence([outer])
    handler = Reading()
    made = context(policy=Policy(frozenset([Option.CLEAN_STRUCTURED_CONTENT])))
    made = Context(**{**vars(made), "handlers": {"structured-content": handler}})
    deidentify_object(encode(ct), tmp_path / "new.dcm", made, durable=False)
    new = pydicom.dcmread(tmp_path / "new.dcm")
    items = new.ContentSequence[0].ContentSequence
    assert [content.TextValue for content in items] == ["clean"]
    first = "(0040,A730)[1]"
    assert handler.seen == ["", first, f"{first}/(0040,A730)[1]", f"{first}/(0040,A730)[2]"]


def test_the_log_names_no_old_value(ct: Dataset, deidentify: Deidentify) -> None:
    ct.RequestAttributesSequence = Sequence([item(ScheduledProcedureStepID="SPS991199")])
    _, result = deidentify(ct, dates="shift")
    by_path = {record.path: record for record in result.records}
    assert by_path["(0010,0010)"].action is Action.PSEUDONYM
    assert by_path["(0008,0020)"] == by_path["(0008,0020)"].__class__(
        "(0008,0020)", "DA", "E.1-1 C retain-modified-dates", Action.SHIFT,
        SECRET.digest("20240229"), "20231121",
    )  # fmt: skip
    text = repr(result.records)
    for word in ("Wolkenbruch", "PID556677", "20240229", "SPS991199", "1.2.3.4.5"):
        assert word not in text


@pytest.mark.parametrize(
    ("sop_class", "why"),
    [
        ("1.2.840.10008.1.3.10", "DICOMDIR"),
        ("1.2.840.10008.5.1.4.1.1.9.4.1", "voice"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "document"),
    ],
)
def test_what_cannot_be_cleaned_is_refused(
    ct: Dataset, deidentify: Deidentify, tmp_path: Path, sop_class: str, why: str
) -> None:
    ct.SOPClassUID = sop_class
    ct.EncapsulatedDocument = b"%PDF-Wolkenbruch"
    _, result = deidentify(ct)
    assert why in (result.refused or "")
    assert not (tmp_path / "new.dcm").exists()


def test_a_broken_sequence_is_an_error(
    ct: Dataset, encode: Callable[..., bytes], context: Callable[..., Context], tmp_path: Path
) -> None:
    ct.ReferencedImageSequence = Sequence([item(ReferencedSOPInstanceUID="1.2.3")])
    data = encode(ct)
    broken = data.replace(b"\xfe\xff\x00\xe0", b"\xfe\xff\x01\xe0", 1)
    assert broken != data
    with pytest.raises(DataSetError):
        deidentify_object(broken, tmp_path / "new.dcm", context())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataSetError):
        deidentify_object(data[:-4], tmp_path / "new.dcm", context())


def test_an_instance_uid_where_a_class_belongs(ct: Dataset, deidentify: Deidentify) -> None:
    ct.RelatedGeneralSOPClassUID = ["1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5.6.1"]
    new, _ = deidentify(ct)
    assert list(new.RelatedGeneralSOPClassUID) == [
        "1.2.840.10008.5.1.4.1.1.2",
        SECRET.uid("1.2.3.4.5.6.1"),
    ]


def test_a_name_goes_with_the_number_that_it_needs(ct: Dataset, deidentify: Deidentify) -> None:
    ct.ClinicalTrialProtocolEthicsCommitteeName = "Committee"
    ct.ClinicalTrialProtocolEthicsCommitteeApprovalNumber = "47/11"
    new, _ = deidentify(ct)
    assert "ClinicalTrialProtocolEthicsCommitteeApprovalNumber" not in new
    assert "ClinicalTrialProtocolEthicsCommitteeName" not in new


def test_instances_under_the_standards_root_get_new_uids(
    ct: Dataset, deidentify: Deidentify
) -> None:
    plausible, long = "1.2.840.10008.5.1.4.1.1.2014", "1.2.840.10008.7700413.20140211"
    ct.SOPInstanceUID, ct.SeriesInstanceUID = plausible, long
    ct.MappingResourceUID = "1.2.840.10008.8.1.9"
    reference = Dataset()
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    reference.ReferencedSOPInstanceUID = plausible
    ct.ReferencedImageSequence = [reference]
    content = Dataset()
    content.add_new("UID", "UI", plausible)
    ct.ContentSequence = [content]
    new, result = deidentify(ct)
    assert new.SOPInstanceUID.startswith("2.25.")
    assert new.SOPInstanceUID == result.sop_uid
    assert new.ReferencedImageSequence[0].ReferencedSOPInstanceUID == new.SOPInstanceUID
    assert plausible not in str(new.get("ContentSequence"))
    assert new.SeriesInstanceUID.startswith("2.25.")


def test_what_is_done_to_pixels_and_faces_is_said() -> None:
    assert Policy().options == frozenset()
    assert Policy(pixels="templates").options == {Option.CLEAN_PIXEL_DATA}
    assert Policy(pixels="ocr") == Policy(frozenset({Option.CLEAN_PIXEL_DATA}), pixels="ocr")
    assert Policy(faces="deface").options == {Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES}
    assert Policy(faces="refuse").options == frozenset()
