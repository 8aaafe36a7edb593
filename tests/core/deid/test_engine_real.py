"""The engine on the reference data: nothing but what has to change changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset

from isocenter.core.deid.engine import Context, deidentify_object
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.proof.identifiers import collect
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.dicom.pixels import decode_frames
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.errors import DicomError

SECRET = Secret(b"a secret for tests, of 256 bits.")
_OTHERS = frozenset((".md", ".gz", ".nrrd", ".json", ".txt", ".jpeg", ".nii"))
_POLICIES = {
    "basic": Policy(),
    "research": Policy(
        frozenset((Option.CLEAN_DESCRIPTORS, Option.RETAIN_SAFE_PRIVATE)), dates="shift"
    ),
}


@pytest.fixture(scope="module")
def files(shared_data: Path) -> list[Path]:
    """Two files of each folder of the reference data, broken ones left out."""
    by_folder: dict[Path, list[Path]] = {}
    for path in sorted(shared_data.rglob("*")):
        if path.is_file() and path.suffix not in _OTHERS and "malformed" not in path.parts:
            by_folder.setdefault(path.parent, []).append(path)
    many = {"transfer_syntaxes", "charsets", "private_tags"}
    return [
        path
        for folder, paths in by_folder.items()
        for path in (paths if folder.name in many else paths[:2])
    ]


Pair = tuple[Path, Dataset, Dataset]


@pytest.fixture(scope="module", params=sorted(_POLICIES))
def pairs(
    request: pytest.FixtureRequest,
    files: list[Path],
    context: Callable[..., Context],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Pair]:
    """Old and new data set of every file that is not refused."""
    policy = _POLICIES[request.param]
    folder = tmp_path_factory.mktemp("new")
    found = []
    with quiet_pydicom():
        for number, path in enumerate(files):
            target = folder / f"{number}.dcm"
            try:
                made = context(collect([path]), policy)
                result = deidentify_object(path, target, made, durable=False)
            except DicomError:
                continue
            if result.refused is None:
                old, new = (pydicom.dcmread(one, force=True) for one in (path, target))
                found.append((path, old, new))
    assert len(found) > 100
    return found


def test_pixels_and_transfer_syntax_stay(pairs: list[Pair]) -> None:
    for path, old, new in pairs:
        syntax = old.file_meta.get("TransferSyntaxUID")
        if syntax in ("1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"):
            assert new.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
            continue
        if "PixelData" in old:
            assert new.Rows == old.Rows
            if new["PixelData"].value != old["PixelData"].value:  # something was beside samples
                assert len(new.PixelData) < len(old.PixelData), path
                with quiet_pydicom():
                    assert np.array_equal(decode_frames(new), decode_frames(old)), path


def test_type_1_and_2_attributes_stay_present(pairs: list[Pair]) -> None:
    folder = Path(highdicom.__file__).parent / "_standard"
    sop_classes, iods, modules = (
        json.loads((folder / f"{name}.json").read_text())
        for name in ("sop_class_iod_map", "iod_module_map", "module_attribute_map")
    )
    lost = []
    for path, old, new in pairs:
        iod = sop_classes.get(str(old.get("SOPClassUID", "")))
        for module in iods.get(iod, ()):
            for attribute in modules.get(module["key"], ()):
                keyword, kind = attribute["keyword"], attribute["type"]
                if attribute["path"] or kind not in ("1", "2") or not tag_for_keyword(keyword):
                    continue  # overlays have no single tag, and go as a whole
                if keyword not in old:
                    continue
                emptied = kind == "1" and _has(old, keyword) and not _has(new, keyword)
                if keyword not in new or emptied:
                    lost.append((path.name, keyword, kind))
    assert lost == []


def _has(dataset: Dataset, keyword: str) -> bool:
    value = dataset[keyword].value
    return value is not None and value != "" and value != []


def uids_of(dataset: Dataset) -> Iterator[tuple[str, str]]:
    for element in dataset.iterall():
        if element.VR == "UI" and element.value:
            values = [element.value] if element.VM == 1 else list(element.value)
            for value in values:
                yield keyword_for_tag(element.tag), str(value)


def test_uids_are_those_of_the_secret_and_references_stay_whole(pairs: list[Pair]) -> None:
    of_kinds = ("ClassUID", "SyntaxUID", "CodingSchemeUID", "ContextUID", "ResourceUID")
    for path, old, new in pairs:
        if path.stat().st_size > 1 << 17:
            continue
        with quiet_pydicom():
            before = {uid for _, uid in uids_of(old)}
            expected = before | {SECRET.uid(uid) for uid in before}
            for keyword, uid in uids_of(new):
                assert uid in expected, (path, keyword)
                if not keyword.endswith(of_kinds):
                    assert SECRET.uid(uid) == uid or uid not in before, (path, keyword)


def test_geometry_and_numbers_stay(pairs: list[Pair]) -> None:
    kept = (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
        "RescaleSlope",
        "RescaleIntercept",
        "WindowCenter",
        "DoseGridScaling",
        "NumberOfFrames",
        "BitsStored",
        "Modality",
    )
    for path, old, new in pairs:
        with quiet_pydicom():
            for keyword in kept:
                if keyword in old and old[keyword].value not in (None, ""):
                    assert new[keyword].value == old[keyword].value, (path, keyword)
