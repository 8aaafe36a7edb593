from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from isocenter.core.dicom.part10 import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from isocenter.core.dicom.pixels import JPEG_LS_LOSSLESS, RLE_LOSSLESS, decode_frames
from isocenter.core.dicom.reading import header_of, read_dataset
from isocenter.core.dicom.transcode import WRITABLE, transcode
from isocenter.core.errors import PixelError
from isocenter.core.isolation import Limits, run_isolated

# Large enough for the resolution levels of JPEG 2000.
LARGE = {
    "Rows": 64,
    "Columns": 48,
    "PixelData": np.arange(-1536, 1536, dtype="<i2").tobytes(),
}


@pytest.mark.parametrize("syntax", sorted(WRITABLE))
def test_pixels_and_names_survive(
    image_file: Callable[..., Path], tmp_path: Path, syntax: str
) -> None:
    source = image_file(**LARGE)

    transcode(source, tmp_path / "made.dcm", syntax)
    transcode(tmp_path / "made.dcm", tmp_path / "back.dcm", EXPLICIT_LITTLE)

    assert header_of(tmp_path / "made.dcm")[0].transfer_syntax_uid == syntax
    assert header_of(tmp_path / "made.dcm")[1] == header_of(source)[1]
    assert np.array_equal(decode_frames(tmp_path / "made.dcm"), decode_frames(source))
    assert (tmp_path / "back.dcm").read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "JPEG-LL.dcm",
        "SC_rgb_rle_16bit.dcm",
        "SC_rgb_expb_16bit.dcm",
        "US1_J2KR.dcm",
        "image_dfl.dcm",
    ],
)
@pytest.mark.parametrize("syntax", sorted(WRITABLE))
def test_from_every_syntax_to_every_other(
    shared_data: Path, tmp_path: Path, name: str, syntax: str
) -> None:
    source = shared_data / "transfer_syntaxes" / "pydicom" / name

    transcode(source, tmp_path / "made.dcm", syntax)

    assert header_of(tmp_path / "made.dcm")[0].transfer_syntax_uid == syntax
    assert np.array_equal(decode_frames(tmp_path / "made.dcm"), decode_frames(source))


def test_values_that_make_no_sense_stay_as_they_are(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "malformed" / "badVR.dcm"

    transcode(source, tmp_path / "implicit.dcm", IMPLICIT_LITTLE)
    transcode(tmp_path / "implicit.dcm", tmp_path / "explicit.dcm", EXPLICIT_LITTLE)

    made = read_dataset(tmp_path / "explicit.dcm")
    assert made.get_item("NumberOfFrames").value == b"1A"


def test_signed_ambiguous_values_get_their_vr(
    image_file: Callable[..., Path], tmp_path: Path
) -> None:
    transcode(image_file(PixelPaddingValue=-2000), tmp_path / "a.dcm", IMPLICIT_LITTLE)
    transcode(tmp_path / "a.dcm", tmp_path / "b.dcm", EXPLICIT_LITTLE)

    made = read_dataset(tmp_path / "b.dcm")
    assert made["PixelPaddingValue"].VR == "SS"
    assert made.PixelPaddingValue == -2000


def test_big_endian_words_are_turned_round(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "transfer_syntaxes" / "pydicom"
    assert header_of(folder / "SC_rgb_expb_32bit.dcm")[0].transfer_syntax_uid == EXPLICIT_BIG

    transcode(folder / "SC_rgb_expb_32bit.dcm", tmp_path / "made.dcm", EXPLICIT_LITTLE)

    expected = read_dataset(folder / "SC_rgb_32bit.dcm").PixelData
    assert read_dataset(tmp_path / "made.dcm").PixelData == expected


def test_once_lossy_always_lossy(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "transfer_syntaxes" / "pydicom" / "JPEGLSNearLossless_16.dcm"

    transcode(source, tmp_path / "made.dcm", EXPLICIT_LITTLE)

    made = read_dataset(tmp_path / "made.dcm")
    assert made.LossyImageCompression == "01"
    assert made.LossyImageCompressionMethod == "ISO_14495_1"


def test_subsampled_colours_say_that_they_are_no_more(shared_data: Path, tmp_path: Path) -> None:
    transcode(shared_data / "us" / "examples_ybr_color.dcm", tmp_path / "made.dcm", EXPLICIT_LITTLE)

    assert read_dataset(tmp_path / "made.dcm").PhotometricInterpretation == "YBR_FULL"


@pytest.mark.parametrize("syntax", [EXPLICIT_BIG, "1.2.840.10008.1.2.4.50", "1.2.3", ""])
def test_syntaxes_that_are_not_written(
    image_file: Callable[..., Path], tmp_path: Path, syntax: str
) -> None:
    with pytest.raises(PixelError, match="not written here"):
        transcode(image_file(), tmp_path / "made.dcm", syntax)


def test_no_pixels_no_compression(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "rt_STS_001" / "CT" / "rtstruct" / "RS.dcm"

    with pytest.raises(PixelError, match="without pixels"):
        transcode(source, tmp_path / "made.dcm", RLE_LOSSLESS)

    assert list(tmp_path.iterdir()) == []


def test_what_a_codec_cannot_hold_is_refused(image: Callable[..., Dataset], tmp_path: Path) -> None:
    from isocenter.core.dicom.writing import write_part10

    wide = image(
        BitsAllocated=32, BitsStored=32, HighBit=31, PixelData=np.arange(24, dtype="<i4").tobytes()
    )
    write_part10(wide, tmp_path / "wide.dcm")

    with pytest.raises(PixelError, match="cannot be written"):
        transcode(tmp_path / "wide.dcm", tmp_path / "made.dcm", JPEG_LS_LOSSLESS)


def test_many_files_in_a_child(image_file: Callable[..., Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"no DICOM at all")
    sources = [image_file("a.dcm"), broken, image_file("b.dcm")]
    files = [
        {"source": str(path), "target": f"{path}.out", "syntax": RLE_LOSSLESS} for path in sources
    ]

    answer = run_isolated(
        "isocenter.core.dicom.transcode:run",
        {"files": files},
        work_dir=tmp_path,
        limits=Limits(1 << 30, 60),
    )

    assert list(answer["refused"]) == [str(broken)]
    assert np.array_equal(decode_frames(tmp_path / "b.dcm.out"), decode_frames(sources[2]))


@pytest.mark.peers
@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("syntax", sorted(WRITABLE))
def test_dcmtk_reads_what_we_write(
    image_file: Callable[..., Path], tmp_path: Path, syntax: str
) -> None:
    transcode(image_file(**LARGE), tmp_path / "made.dcm", syntax)

    done = subprocess.run(
        ["dcmdump", "-q", str(tmp_path / "made.dcm")],
        capture_output=True,
        encoding="latin-1",
        check=True,
    )
    assert done.stderr == ""
    assert "1.2.3.4" in done.stdout
