"""Where an image lies, read without pydicom, is what pydicom reads."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from isocenter.core.dicom.charsets import PLAIN
from isocenter.core.dicom.geometry import SliceStack
from isocenter.core.dicom.plane_values import plane_values
from isocenter.core.dicom.reading import read_dataset
from isocenter.core.errors import DataSetError, GeometryError, IsocenterError


@pytest.fixture
def image() -> pydicom.Dataset:
    ds = pydicom.Dataset()
    ds.file_meta = FileMetaDataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
    ds.ImagePositionPatient = ["-250.123456789", " 12.5 ", "-0"]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = ["0.9765625", "1e0"], "2.50"
    ds.Rows, ds.Columns = 64, 48
    ds.PixelData = bytes(64 * 48)
    ds["PixelData"].VR = "OW"
    return ds


def write(ds: pydicom.Dataset, path: Path, syntax: str) -> Path:
    ds.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(
        path,
        ds,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )
    return path


def stack_or_error(values: object) -> object:
    try:
        stack = SliceStack.of_datasets([values])  # type: ignore[list-item]
    except GeometryError as error:
        return str(error)
    numbers = (stack.positions, stack.row_cosine, stack.column_cosine)
    sizes = (stack.spacing_mm, stack.rows, stack.columns, stack.slice_thickness_mm)
    return [n.tolist() for n in numbers], sizes


@pytest.mark.parametrize("spacing", [["0.9765625", "1e0"], ["0.9765625", "0.5"]])
@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_the_stack_is_the_same(
    image: pydicom.Dataset, tmp_path: Path, syntax: str, spacing: list[str]
) -> None:
    image.PixelSpacing = spacing
    path = write(image, tmp_path / "image.dcm", syntax)
    ours = plane_values(path)
    is_plain = "1e0" not in spacing and syntax != ExplicitVRBigEndian
    assert isinstance(ours, dict) == is_plain
    assert stack_or_error(ours) == stack_or_error(read_dataset(path))


@pytest.mark.parametrize("keyword", ["Rows", "PixelSpacing", "ImagePositionPatient"])
def test_what_is_missing_is_missed(image: pydicom.Dataset, tmp_path: Path, keyword: str) -> None:
    delattr(image, keyword)
    path = write(image, tmp_path / "image.dcm", ExplicitVRLittleEndian)
    assert stack_or_error(plane_values(path)) == stack_or_error(read_dataset(path))


def test_a_header_that_is_cut_off_is_refused(image: pydicom.Dataset, tmp_path: Path) -> None:
    path = write(image, tmp_path / "image.dcm", ExplicitVRLittleEndian)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"0.9765625") + 3])
    with pytest.raises(DataSetError, match="ends inside"):
        plane_values(path)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(132, 700), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_damaged_header_is_the_same_stack_or_an_error(
    image: pydicom.Dataset, tmp_path: Path, changes: list[tuple[int, int]]
) -> None:
    path = write(image, tmp_path / "image.dcm", ExplicitVRLittleEndian)
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[place] = value
    path.write_bytes(data)
    try:
        theirs = stack_or_error(read_dataset(path, stop_before_pixels=True))
    except IsocenterError:
        with pytest.raises(IsocenterError):
            stack_or_error(plane_values(path))
        return
    except Exception:  # pydicom refuses a value when it is asked for
        return
    assert stack_or_error(plane_values(path)) == theirs


def test_the_plain_character_sets_are_those_of_pydicom() -> None:
    from pydicom.charset import python_encoding

    assert {term: python_encoding[term] for term in PLAIN} == PLAIN
