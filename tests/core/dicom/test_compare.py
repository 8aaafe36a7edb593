from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from isocenter.core.dicom.compare import Difference, same_data_set
from isocenter.core.dicom.pixels import JPEG_2000_LOSSLESS, JPEG_LS_LOSSLESS, RLE_LOSSLESS
from isocenter.core.dicom.reading import read_dataset
from isocenter.core.dicom.transcode import WRITABLE, transcode
from isocenter.core.dicom.writing import write_part10
from isocenter.core.errors import DicomError

PAIRS = [
    ("MR_small.dcm", "MR_small_RLE.dcm"),
    ("MR_small.dcm", "MR_small_bigendian.dcm"),
    ("MR_small.dcm", "MR_small_implicit.dcm"),
    ("MR_small.dcm", "MR_small_jp2klossless.dcm"),
    ("MR_small.dcm", "MR_small_jpeg_ls_lossless.dcm"),
    ("SC_rgb.dcm", "SC_rgb_rle.dcm"),
    ("SC_rgb_16bit.dcm", "SC_rgb_expb_16bit.dcm"),
    ("SC_rgb_32bit.dcm", "SC_rgb_expb_32bit.dcm"),
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_same_image_in_two_syntaxes(shared_data: Path, first: str, second: str) -> None:
    folder = shared_data / "transfer_syntaxes" / "pydicom"

    assert same_data_set(folder / first, folder / second) is None
    assert same_data_set(folder / second, folder / first) is None


def item(**attributes: object) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def test_undefined_lengths_and_padding_do_not_count(
    image: Callable[..., Dataset], image_file: Callable[..., Path], tmp_path: Path
) -> None:
    plain = image_file("a.dcm", ReferencedStudySequence=[item(StudyID="7")], StudyID="7")
    other = image(StudyID="7 ", PixelData=image().PixelData + b"\0\0")
    sequence = Sequence([item(StudyID="7")])
    sequence[0].is_undefined_length_sequence_item = True
    other.ReferencedStudySequence = sequence
    other["ReferencedStudySequence"].is_undefined_length = True
    write_part10(other, tmp_path / "b.dcm")

    assert plain.read_bytes() != (tmp_path / "b.dcm").read_bytes()
    assert same_data_set(plain, tmp_path / "b.dcm") is None


def test_differences_are_named_by_tag_and_never_by_value(image_file: Callable[..., Path]) -> None:
    first = image_file("a.dcm", ReferencedStudySequence=[item(StudyID="7")], PatientName="Doe")
    second = image_file("b.dcm", ReferencedStudySequence=[item(StudyID="8")], PatientName="Roe")

    found = same_data_set(first, second)

    assert found == Difference(("(0008,1110)[0].(0020,0010)", "(0010,0010)"))
    assert str(found) == "(0008,1110)[0].(0020,0010), (0010,0010)"


def test_an_element_more_or_less(image_file: Callable[..., Path]) -> None:
    found = same_data_set(image_file("a.dcm", PatientAge="040Y"), image_file("b.dcm"))

    assert found == Difference(("(0010,1010)",))


def test_a_different_pixel(image: Callable[..., Dataset], image_file: Callable[..., Path]) -> None:
    found = same_data_set(
        image_file("a.dcm"), image_file("b.dcm", PixelData=image().PixelData[:-1] + b"\1")
    )

    assert found == Difference(("(7FE0,0010)",))


@pytest.mark.parametrize("syntax", [RLE_LOSSLESS, JPEG_LS_LOSSLESS, JPEG_2000_LOSSLESS])
def test_a_different_pixel_in_another_syntax(
    image_file: Callable[..., Path], tmp_path: Path, syntax: str
) -> None:
    pixels = bytes(range(256)) * 32
    size = {"Rows": 64, "Columns": 64}
    first = image_file("a.dcm", **size, PixelData=pixels)
    changed = image_file("b.dcm", **size, PixelData=pixels[:-1] + b"\1")
    transcode(changed, tmp_path / "c.dcm", syntax)

    assert same_data_set(changed, tmp_path / "c.dcm") is None
    assert same_data_set(first, tmp_path / "c.dcm") == Difference(("(7FE0,0010)",))


def test_long_lists_are_cut(image_file: Callable[..., Path], shared_data: Path) -> None:
    other = shared_data / "transfer_syntaxes" / "pydicom" / "MR_small.dcm"

    found = same_data_set(image_file(), other)

    assert found is not None
    assert len(found.tags) == 20
    assert str(found).endswith(f"and {found.more} more")


def test_what_cannot_be_read_cannot_be_compared(shared_data: Path) -> None:
    broken = shared_data / "malformed" / "MR_truncated.dcm"

    with pytest.raises(DicomError):
        same_data_set(broken, broken)


def test_transcoding_is_no_difference(sample_files: list[Path], tmp_path: Path) -> None:
    """The two check each other: all real files, to every native syntax that is written."""
    compared = 0
    for path in sample_files[::11]:
        for syntax in sorted(WRITABLE - {RLE_LOSSLESS, JPEG_LS_LOSSLESS, JPEG_2000_LOSSLESS}):
            made = tmp_path / "made.dcm"
            try:
                dataset = read_dataset(path, stop_before_pixels=True)
                transcode(path, made, syntax)
            except DicomError:
                continue
            if str(dataset.get("PhotometricInterpretation", "")).startswith("YBR"):
                continue  # subsampling is undone, and said so
            found = same_data_set(path, made)
            assert found is None or found.tags[0].startswith("(0028,21"), (path, syntax, found)
            compared += 1

    assert compared > 30
