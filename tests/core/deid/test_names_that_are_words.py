"""Patients whose names are words of radiology: what goes, what stays, and that studies leave."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.proof.identifiers import Identifiers
from isocenter.core.deid.proof.searching import Search
from isocenter.core.deid.pseudonyms.issuing import KeyedPseudonyms
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.study import Run, deidentify_paths
from isocenter.core.deid.text.descriptors import Cleaner
from isocenter.core.deid.text.lexicon import Lexicon

SECRET = Secret(b"a project's secret, for ever and ever")
MOST_OPTIONS = Policy(
    options=frozenset(
        (
            Option.CLEAN_DESCRIPTORS,
            Option.CLEAN_STRUCTURED_CONTENT,
            Option.RETAIN_DEVICE_IDENTITY,
            Option.RETAIN_INSTITUTION_IDENTITY,
        )
    ),
    dates="shift",
)


def _cleaned(name: str, text: str, keyword: str, vr: str = "LO") -> str:
    """Cleaned text; the verifier's search finds nothing in it."""
    identifiers = Identifiers(names=frozenset((name,)))
    cleaned = Cleaner(identifiers).clean(text, keyword, vr)[0]
    search = Search(identifiers.matcher(), Lexicon.load())
    assert search.spans_of_values(cleaned, keyword, vr) == []
    return cleaned


@pytest.mark.parametrize(
    "family",
    "White Black Green Long Short Stone West Page Cross Klein Gross Strong".split(),  # noqa: SIM905
)
@pytest.mark.parametrize("keyword", ["Manufacturer", "SegmentLabel", "SoftwareVersions"])
def test_a_family_name_that_is_a_word_goes(family: str, keyword: str) -> None:
    assert _cleaned(f"{family}^Zebedee", family.upper(), keyword) == ""


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("Head^Long", "Long, Head", ""),
        ("Head^Long", "Head", ""),
        ("Lee^Ann", "Lee", ""),
        ("Lee^Ann", "LEE, ANN", ""),
        ("Lee^Ann", "Lee, left, Ann", "left"),
        ("Lee^Annabel", "Annabel, left, Lee", "left"),
        (
            "Lee^Ann",
            "Lee, left lower lobe of the lung, Ann",
            "Lee, left lower lobe of the lung, Ann",
        ),
        ("Lee^Ann", "Left Lee side", "Left Lee side"),
        ("Black^White", "White matter", "matter"),
        ("Stone^Al", "Kidney stone, right", "Kidney, right"),
        ("Green^Al", "a\\Green\\b", "a\\\\b"),
        ("Lee^Ann", "a\\Lee\\b\\c d", "a\\\\b\\c d"),
        ("LUNG1-001", "Lung", "Lung"),  # a number of a trial, no name
    ],
)
def test_values_that_name_things_lose_names(name: str, text: str, left: str) -> None:
    assert _cleaned(name, text, "SegmentLabel") == left


@pytest.mark.parametrize(
    ("text", "keyword", "vr", "left"),
    [
        ("HEAD", "BodyPartExamined", "CS", "HEAD"),
        ("ORIGINAL\\PRIMARY\\LONG", "ImageType", "CS", "ORIGINAL\\PRIMARY\\LONG"),
        ("LONG HEAD", "BodyPartExamined", "CS", ""),
        ("Head", "CodeMeaning", "LO", "Head"),
        ("Long head of biceps", "CodeMeaning", "LO", "of biceps"),
        ("Head first", "SeriesDescription", "LO", "first"),
    ],
)
def test_terms_of_the_standard_stay(text: str, keyword: str, vr: str, left: str) -> None:
    assert _cleaned("Head^Long", text, keyword, vr) == left


def test_a_name_counts_where_the_address_has_the_word_too() -> None:
    identifiers = Identifiers(
        names=frozenset(("White^Lee",)),
        texts=frozenset((("address", "White Stone Street 1, White, Lee"), ("id", "Lee"))),
    )
    for text in ("White", "White stone", "Lee"):
        search = Search(identifiers.matcher(), Lexicon.load())
        assert {span.kind for span in search.spans(text, "Manufacturer", "LO")} >= {"name"}


def _file(path: Path, name: str, number: int) -> None:
    family, given = name.split("^")
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = f"1.2.826.0.1.999.1.1.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.826.0.1.999.1", "1.2.826.0.1.999.1.1"
    dataset.PatientName, dataset.PatientID, dataset.PatientSex = name, "QX4711-88", "F"
    dataset.PatientBirthDate, dataset.StudyDate = "19480229", "20230517"
    dataset.StudyTime, dataset.AccessionNumber, dataset.StudyID = "101112", "ACC99812", "1"
    dataset.Modality, dataset.ConversionType = "OT", "WSD"
    dataset.ReferringPhysicianName, dataset.BodyPartExamined = "Wobblebottom^Hugo", "HEAD"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, number
    dataset.Manufacturer = [family, f"{given}, {family}", "Acme"][number % 3]
    dataset.ManufacturerModelName = f"{family} {given}"
    dataset.SoftwareVersions = [given, "x", family]
    dataset.SegmentLabel, dataset.SequenceName = given, f"{given}{family}"
    dataset.SeriesDescription = f"{family} head {given}"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "69536005", "SCT", "Head"
    label = Dataset()
    label.CodeValue, label.CodingSchemeDesignator = "L1", "99LOCAL"
    label.CodeMeaning = f"{given} {family}"
    dataset.AnatomicRegionSequence = Sequence([code, label])
    dataset.Rows = dataset.Columns = 4
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 7, 0, 1
    dataset.PhotometricInterpretation, dataset.PixelData = "MONOCHROME2", bytes(16)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("name", ["White^Stone", "Head^Long", "Lee^Ann", "Basic^Clean"])
@pytest.mark.parametrize("policy", [Policy(), MOST_OPTIONS], ids=["basic", "most options"])
def test_their_studies_leave_without_the_names(tmp_path: Path, name: str, policy: Policy) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(3):
        _file(source / f"{number}.dcm", name, number)
    run = Run(out, policy, SECRET, KeyedPseudonyms(SECRET), tmp_path / "quarantine")
    report = deidentify_paths(source.iterdir(), run)
    assert [(study.state, len(study.findings)) for study in report.studies] == [("released", 0)]
    written = [dcmread(path) for path in sorted(out.rglob("*.dcm"))]
    assert len(written) == 3
    words = set(name.lower().split("^"))
    for dataset in written:
        assert dataset.BodyPartExamined == "HEAD"
        head, local = dataset.AnatomicRegionSequence
        assert (head.CodeMeaning, head.CodeValue) == ("Head", "69536005")
        assert local.CodeMeaning == "REMOVED"  # Type 1: there is a dummy
        for keyword in ("Manufacturer", "ManufacturerModelName", "SegmentLabel", "SequenceName"):
            said = str(dataset.get(keyword, "")).lower()
            assert not [word for word in words if word in said], keyword
        said = str(dataset.get("SoftwareVersions", "")).lower()
        assert not [word for word in words if word in said]
        assert not words & set(str(dataset.get("SeriesDescription", "")).lower().split())


@pytest.mark.parametrize("name", ["liver.dcm", "partial_overlaps.dcm"])
def test_a_label_of_a_segmentation_gets_a_dummy(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    dataset = dcmread(shared_data / "seg_dcmqi" / name)
    label = str(dataset.SegmentSequence[0].SegmentLabel)
    dataset.PatientName, dataset.PatientID = f"{label}^Zebedee", "QX4711-88"
    dcmwrite(tmp_path / "in.dcm", dataset)
    run = Run(tmp_path / "out", Policy(), SECRET, KeyedPseudonyms(SECRET), tmp_path / "quarantine")
    report = deidentify_paths([tmp_path / "in.dcm"], run)
    assert [(study.state, len(study.findings)) for study in report.studies] == [("released", 0)]
    (path,) = (tmp_path / "out").rglob("*.dcm")
    old, new = dataset.SegmentSequence[0], dcmread(path).SegmentSequence[0]
    assert new.SegmentLabel == "REMOVED"  # Type 1 (PS3.3 C.8.20.4)
    kept = new.SegmentedPropertyTypeCodeSequence[0].CodeMeaning
    assert kept == old.SegmentedPropertyTypeCodeSequence[0].CodeMeaning


WORDS_OF_ALL = Identifiers(
    names=frozenset(("White^Stone", "Head^Long", "Lee^Ann", "LUNG1-001", "Ax^Bo")),
    texts=frozenset((("id", "0047118"), ("id", "7"), ("address", "Long Road 3, 80331 Stone"))),
    days=frozenset(("20230517",)),
)
CLEANER, SEARCH = Cleaner(WORDS_OF_ALL), Search(WORDS_OF_ALL.matcher(), Lexicon.load())
PIECES = st.sampled_from(
    [
        *("White", "STONE", "head", "Long", "Lee", "Ann", "Lung", "Ax", "Bo", "CT", "matter", "7"),
        *("47118", "0047118", "80331", "230517", "170523", "\\", "^", ", ", " ", "-", "_", "x"),
    ]
)
PLACES = st.sampled_from(
    [
        *(("Manufacturer", "LO"), ("CodeMeaning", "LO"), ("SequenceName", "SH")),
        *(("CodeValue", "SH"), ("BodyPartExamined", "CS"), ("CodingSchemeName", "ST")),
        *(("SeriesDescription", "LO"), ("ImageComments", "LT"), ("", "UT")),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=9).map("".join), PLACES)
def test_cleaner_and_verifier_are_in_step(text: str, place: tuple[str, str]) -> None:
    keyword, vr = place
    if SEARCH.spans_of_values(text, keyword, vr):  # the engine asks the matcher first
        assert WORDS_OF_ALL.matcher().find(text)
    once, _ = CLEANER.clean(text, keyword, vr)
    assert SEARCH.spans_of_values(once, keyword, vr) == []
    assert CLEANER.clean(once, keyword, vr)[0] == once
