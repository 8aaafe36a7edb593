"""Structure sets read without pydicom say what they say when pydicom reads them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from isocenter.core.contours.plain_items import plain_items
from isocenter.core.contours.rtstruct import structure_set_of
from isocenter.core.contours.structure_set import StructureSet
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import read_dataset
from isocenter.core.errors import IsocenterError

SHARED = [
    "rt_phantom_rtutils/rt.dcm",
    "ct_chest_ACRIN/derived/rtstruct_body_lungs.dcm",
]


def said(found: StructureSet) -> list[Any]:
    values = [(name, value) for name, value in vars(found).items() if name != "rois"]
    for roi in found.rois:
        values.append([(name, value) for name, value in vars(roi).items() if name != "contours"])
        for contour in roi.contours:
            values.append((contour.geometric_type, contour.number, contour.image_uids))
            values.append((contour.points.shape, contour.points.tobytes()))
    return values


def by_pydicom(path: Path) -> list[Any]:
    with quiet_pydicom():
        return said(structure_set_of(read_dataset(path), path))


@pytest.fixture
def structures(make_study: Callable[..., Any], make_square: Callable[..., Any]) -> pydicom.Dataset:
    study = make_study()
    rois = {"Tumör": [(3, make_square(5, 6, 10)), (6, make_square(5, 6, 10))], "B": []}
    ds = pydicom.dcmread(study.structure_set(rois, refer="images"))
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "SCT", "Tumour"
    ds.RTROIObservationsSequence[0].RTROIIdentificationCodeSequence = [code]
    ds.StructureSetROISequence[0].ROIDescription = "one\\two"
    ds.add(pydicom.DataElement(0x00091001, "UN", b"private!"))
    return ds


def rewrite(ds: pydicom.Dataset, path: Path, syntax: str, is_open: bool = False) -> Path:
    def open_all(items: pydicom.Dataset) -> None:
        for element in items:
            if element.VR == "SQ":
                element.is_undefined_length = is_open
                for item in element.value:
                    item.is_undefined_length_sequence_item = is_open
                    open_all(item)

    open_all(ds)
    ds.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(
        path,
        ds,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        overwrite=True,
    )
    return path


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_what_most_writers_write_needs_no_pydicom(
    structures: pydicom.Dataset, tmp_path: Path, syntax: str, is_open: bool
) -> None:
    path = rewrite(structures, tmp_path / "rs.dcm", syntax, is_open)
    items = plain_items(path, DEFAULT_BOUNDS)
    assert items is not None
    assert said(structure_set_of(items, path)) == by_pydicom(path)


@pytest.mark.parametrize("name", SHARED)
def test_real_files_say_the_same(shared_data: Path, name: str) -> None:
    path = shared_data / name
    items = plain_items(path, DEFAULT_BOUNDS)
    assert items is not None, "a real file is read the slow way"
    assert said(structure_set_of(items, path)) == by_pydicom(path)


def _in_greek(ds: pydicom.Dataset) -> None:
    ds.StructureSetROISequence[0].ROIName = ds.PatientName = "Greek"
    ds.SpecificCharacterSet = "ISO_IR 126"


def _two_names(ds: pydicom.Dataset) -> None:
    ds.StructureSetROISequence[0].ROIName = ["a", "b"]


def _decimal_number(ds: pydicom.Dataset) -> None:
    ds.StructureSetROISequence[0].ROINumber = "1234567890"


@pytest.mark.parametrize("change", [_in_greek, _two_names, _decimal_number])
def test_the_unusual_is_left_to_pydicom(
    structures: pydicom.Dataset, tmp_path: Path, change: Callable[[pydicom.Dataset], None]
) -> None:
    change(structures)
    path = rewrite(structures, tmp_path / "rs.dcm", ExplicitVRLittleEndian)
    assert plain_items(path, DEFAULT_BOUNDS) is None


def test_big_endian_is_left_to_pydicom(structures: pydicom.Dataset, tmp_path: Path) -> None:
    path = rewrite(structures, tmp_path / "rs.dcm", ExplicitVRBigEndian)
    assert plain_items(path, DEFAULT_BOUNDS) is None


@pytest.mark.parametrize(
    "bounds", [Bounds(max_depth=1), Bounds(max_elements=20), Bounds(max_instance_bytes=500)]
)
def test_what_is_beyond_the_bounds_is_not_read(
    structures: pydicom.Dataset, tmp_path: Path, bounds: Bounds
) -> None:
    path = rewrite(structures, tmp_path / "rs.dcm", ExplicitVRLittleEndian)
    assert plain_items(path, bounds) is None


def test_deep_nesting_of_what_nobody_asks_for_ends(
    structures: pydicom.Dataset, tmp_path: Path
) -> None:
    inner = pydicom.Dataset()
    for _ in range(200):
        outer = pydicom.Dataset()
        outer.ContourSequence = Sequence([inner])
        inner = outer
    structures.ContourSequence = Sequence([inner])
    path = rewrite(structures, tmp_path / "rs.dcm", ExplicitVRLittleEndian, True)
    assert plain_items(path, DEFAULT_BOUNDS) is None


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(changes=[(762, 9)], length=0, is_cut=False, is_implicit=True)  # a tab before a UID
@given(
    changes=st.lists(st.tuples(st.integers(140, 4000), st.integers(0, 255)), max_size=3),
    length=st.integers(0, 4000),
    is_cut=st.booleans(),
    is_implicit=st.booleans(),
)
def test_a_damaged_file_is_read_as_pydicom_reads_it_or_not_at_all(
    structures: pydicom.Dataset,
    tmp_path: Path,
    changes: list[tuple[int, int]],
    length: int,
    is_cut: bool,
    is_implicit: bool,
) -> None:
    syntax = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
    path = rewrite(structures, tmp_path / "rs.dcm", syntax, is_open=bool(length % 2))
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(data[: length % len(data)] if is_cut else data)
    try:
        items = plain_items(path, DEFAULT_BOUNDS)
        ours = None if items is None else said(structure_set_of(items, path))
    except IsocenterError:
        ours = None
    if ours is None:
        return
    try:
        theirs = by_pydicom(path)
    except IsocenterError:  # broken where nothing is read, or where values are the header's
        return
    assert ours == theirs


def test_pydicom_is_not_imported(structures: pydicom.Dataset, tmp_path: Path) -> None:
    path = rewrite(structures, tmp_path / "rs.dcm", ExplicitVRLittleEndian)
    code = (
        "import sys; from pathlib import Path\n"
        "from isocenter.core.contours.sources import sort_out\n"
        "print(len(sort_out([Path(sys.argv[1])]).structure_sets), 'pydicom' in sys.modules)"
    )
    done = run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]


def test_points_are_numbers(structures: pydicom.Dataset, tmp_path: Path) -> None:
    path = rewrite(structures, tmp_path / "rs.dcm", ExplicitVRLittleEndian)
    items = plain_items(path, DEFAULT_BOUNDS)
    assert items is not None
    (first, _), _ = (roi.contours or (None, None) for roi in structure_set_of(items, path).rois)
    assert first is not None
    assert np.array_equal(first.points[0], [-5, -14, 3])
