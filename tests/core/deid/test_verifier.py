"""The search of what is about to leave."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from isocenter.core.deid.dataset.values import read_values
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.proof.identifiers import Identifiers, collect, identifiers_of
from isocenter.core.deid.proof.identifying_tags import KINDS
from isocenter.core.deid.proof.verifier import Allowed, verify
from isocenter.core.deid.standard.table import Table
from isocenter.core.errors import DicomError

ORIGINAL = Identifiers(
    names=frozenset(("Müller^Änne", "Lee^Bo", "山田^太郎")),
    texts=frozenset((("id", "MRN-4711"), ("id", "7"), ("institution", "Nowhere General Hospital"))),
    days=frozenset(("20040115", "19500302")),
    birth_days=frozenset(("19500302",)),
    uids=frozenset(("1.2.3.4.5.6",)),
    encoded=frozenset(("Änne".encode("latin-1"), "山田".encode("iso2022_jp"))),
)


def file_of(path: Path, **attributes: object) -> Path:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.1"
    for keyword, value in attributes.items():
        if keyword.startswith("x"):
            dataset.add_new(int(keyword[1:9], 16), keyword[9:], value)
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)
    return path


def found(path: Path, policy: Policy = Policy(), **more: object) -> set[tuple[str, str]]:  # noqa: B008
    findings = verify([path], ORIGINAL, policy, **more)  # type: ignore[arg-type]
    return {(finding.where, finding.kind) for finding in findings}


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"StudyDescription": "CT of MUELLER"}, "name"),
        ({"StudyDescription": "bo lee"}, "name"),
        ({"StudyDescription": "Lee"}, "name"),
        ({"StudyDescription": "7"}, "id"),
        ({"StudyDescription": "see MRN 4711"}, "id"),
        ({"StudyDescription": "since 15.1.04"}, "date"),
        ({"StudyDescription": "was 1.2.3.4.5.6"}, "uid"),
        ({"StudyDescription": "Nowhere General Hospital, CT"}, "institution"),
        ({"ImageComments": "患者は山田です"}, "name"),
        ({"CodeMeaning": "Müller's disease"}, "name"),
        ({"BodyPartExamined": "MUELLER"}, "name"),
        ({"StudyDate": "20040115"}, "date"),
        ({"AcquisitionDateTime": "20040115101112.5+0100"}, "date"),
        ({"FrameOfReferenceUID": "1.2.3.4.5.6"}, "uid"),
        ({"x00091001UN": b"xx MRN-4711 xx "}, "id"),
        ({"x00091001OB": "Müller".encode("utf-16-le")}, "name"),
        ({"x00091001UN": "x Änne".encode("latin-1")}, "name"),
        ({"x00091001UN": "山田".encode("iso2022_jp")}, "name"),
        ({"x00091001OB": b"\0\1" * 50_000 + b" mueller 20040115 "}, "name"),
    ],
)
def test_what_identifies_is_found(tmp_path: Path, attributes: dict[str, object], kind: str) -> None:
    assert kind in {one for _, one in found(file_of(tmp_path / "a.dcm", **attributes))}


@pytest.mark.parametrize(
    "attributes",
    [
        {"StudyDescription": "CT of a mulled lee side, Bo"},
        {"SeriesNumber": "7", "InstanceNumber": "4711", "CodeValue": "7", "Rows": 7},
        {"WindowWidth": "4711", "ImagePositionPatient": ["7", "2004.0115", "20040115"]},
        {"SOPInstanceUID": "1.2.3.4.5.60", "FrameOfReferenceUID": "1.2.3.4.5"},
        {"StudyDate": "20040116", "StudyTime": "040115"},
        {"StudyDescription": "software 1.15.1.04.2 and 7 more"},
        {"Rows": 2, "Columns": 9, "BitsAllocated": 8, "x7FE00010OW": b"MRN-4711 M\xc3\xbcller "},
        {"x60003000OW": b"MRN-4711 M\xc3\xbcller "},
    ],
)
def test_no_false_alarm(tmp_path: Path, attributes: dict[str, object]) -> None:
    assert found(file_of(tmp_path / "a.dcm", **attributes)) == set()


def test_it_says_where_and_not_what(tmp_path: Path) -> None:
    item = Dataset()
    item.TextValue = "Müller"
    path = file_of(tmp_path / "a.dcm", ContentSequence=Sequence([Dataset(), item]))
    findings = verify([path], ORIGINAL)
    assert [(f.path, f.where, f.kind) for f in findings] == [
        (path, "(0040,A730)[2]/(0040,A160)", "name")
    ]


def test_preamble_meta_and_names_are_looked_at(tmp_path: Path) -> None:
    path = file_of(tmp_path / "Mueller_20040115.dcm")
    assert found(path) == {("file name", "name"), ("file name", "date")}
    data = bytearray(path.read_bytes())
    data[:4] = b"II*\0"
    path = tmp_path / "b.dcm"
    path.write_bytes(data)
    assert found(path) == {("preamble", "unreadable")}


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    path = file_of(tmp_path / "a.dcm", StudyDescription="x" * 20)
    path.write_bytes(path.read_bytes()[:-7])
    assert found(path) == {("data set", "unreadable")}


def test_what_is_retained_is_not_looked_for(tmp_path: Path) -> None:
    path = file_of(
        tmp_path / "a.dcm",
        StudyDate="20040115",
        PatientBirthDate="19500302",
        InstitutionName="Nowhere General Hospital",
        FrameOfReferenceUID="1.2.3.4.5.6",
    )
    options = (Option.RETAIN_UIDS, Option.RETAIN_INSTITUTION_IDENTITY, Option.RETAIN_FULL_DATES)
    assert found(path, Policy(options=frozenset(options))) == {("(0010,0030)", "date")}


def test_shifted_days_and_pseudonyms_may_be_what_was_there(tmp_path: Path) -> None:
    path = file_of(
        tmp_path / "a.dcm", StudyDate="19500302", PatientID="7", ImageComments="19500302"
    )
    allowed = Allowed(frozenset(("7",)), frozenset(("19500302",)))
    assert found(path, allowed=allowed) == {("(0020,4000)", "date")}


def test_an_original_shows_its_own_identifiers(shared_data: Path) -> None:
    """Whatever the character set."""
    for path in sorted((shared_data / "charsets").glob("chr*.dcm")):
        identifiers = collect([path])
        if not identifiers.names:
            continue
        where = {finding.where for finding in verify([path], identifiers)}
        assert any(one.endswith("(0010,0010)") for one in where), path.name


def test_other_studies_raise_no_alarm(shared_data: Path) -> None:
    identifiers = collect(sorted((shared_data / "charsets").glob("chrH31.dcm")))
    paths = [*(shared_data / "rt_STS_001").rglob("*.dcm")][:20]
    paths += [*(shared_data / "seg_sr_highdicom").rglob("seg*.dcm")]
    findings = verify(paths, identifiers)
    assert [finding for finding in findings if finding.where != "preamble"] == []


def test_identifiers_of_nested_items_and_content_are_collected(tmp_path: Path) -> None:
    concept, item, other = Dataset(), Dataset(), Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator = "121030", "DCM"
    concept.CodeMeaning = "Subject ID"
    item.ConceptNameCodeSequence = Sequence([concept])
    item.TextValue = "NESTED-99"
    other.OperatorsName = "Tester^Tina"
    path = file_of(
        tmp_path / "a.dcm",
        ContentSequence=Sequence([item]),
        ReferencedStudySequence=Sequence([other]),
    )
    identifiers = identifiers_of(read_values(path).values)
    assert ("id", "NESTED-99") in identifiers.texts
    assert "Tester^Tina" in identifiers.names


def test_collecting_a_broken_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"nothing")
    with pytest.raises(DicomError):
        collect([path])


def test_kinds_follow_the_options_of_the_table() -> None:
    """What an option keeps must not be cleaned away as a term of another kind."""
    kept_with = {
        "institution": {Option.RETAIN_INSTITUTION_IDENTITY},
        "device": {Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_UIDS},
    }
    table = Table.load()
    for kind, tags in KINDS.items():
        for tag in tags:
            entry = table.entry(tag)
            options = entry.options.items() if entry else ()
            keeping = {option for option, code in options if code == "K"}
            assert keeping <= kept_with.get(kind, set()), f"{tag:08X}"


SEGMENT = b"\xff\xfe\0\x12see MRN 4711 \0\0\0"
JPEG = b"\xff\xd8%b\xff\xda\0\x02" + b"\x11" * 40 + b"\xff\xd9"
PARTS = b"\xff\x4f\xff\x51\0\4\0\0\xff\x90\0\x0a\0\0\0\0\0\0\0\1%b\xff\x93\1\1\xff\xd9"


@pytest.mark.parametrize(
    "frame",
    [
        JPEG % SEGMENT,
        JPEG % b"" + b"MRN-4711",
        PARTS % SEGMENT.replace(b"\xff\xfe", b"\xff\x64"),
        PARTS % b"" + b" MRN 4711 ",
        b"\1\0\0\0\x40\0\0\0" + b" MRN 4711 ".ljust(56, b"\0"),
    ],
)
def test_text_beside_encoded_samples_is_found(tmp_path: Path, frame: bytes) -> None:
    path = file_of(tmp_path / "1")
    header = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0"
    frame += b"\0" * (len(frame) % 2)
    pixels = header + len(frame).to_bytes(4, "little") + frame + b"\xfe\xff\xdd\xe0\0\0\0\0"
    path.write_bytes(path.read_bytes() + pixels)
    assert found(path) == {("(7FE0,0010)", "id")}


def test_text_in_a_palette_is_found(tmp_path: Path) -> None:
    ramp = bytes(range(256)) * 2
    assert found(file_of(tmp_path / "1", x00281201OW=ramp)) == set()
    text = b"1.2.3.4.5.6 Nowhere General Hospital ".ljust(512, b"\0")
    kinds = {kind for _, kind in found(file_of(tmp_path / "2", x00281201OW=text))}
    assert kinds == {"institution", "uid"}


def test_text_behind_native_samples_is_found(tmp_path: Path) -> None:
    shape = {"Rows": 2, "Columns": 2, "BitsAllocated": 8, "SamplesPerPixel": 1}
    within = file_of(tmp_path / "1", **shape, x7FE00010OW=b"4711")
    behind = file_of(tmp_path / "2", **shape, x7FE00010OW=b"1234 MRN 4711 ")
    assert found(within) == set()
    assert found(behind) == {("(7FE0,0010)", "id")}
