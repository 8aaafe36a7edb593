"""What can stand beside samples: behind native ones, in segments of encoded frames, in tables."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.pixels import get_encoder
from pydicom.uid import RLELossless

from isocenter.core.deid.dataset.replacing import ObjectRefused
from isocenter.core.deid.engine import Context, ObjectResult, deidentify_object
from isocenter.core.deid.rules.site_rules import RuleSet
from isocenter.core.deid.samples.coded_frames import cutter_of
from isocenter.core.deid.samples.sample_lengths import ImageShape
from isocenter.core.deid.standard.actions import Action
from isocenter.core.dicom.pixels import decode_frames

Deidentify = Callable[..., tuple[Dataset, ObjectResult]]
HIDDEN = b"Wolkenbruch PID556677 "
JPEG, JPEG_LS, J2K = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"
HTJ2K_RPCL, DEFLATED = "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.8.1"


def hides(new: Dataset, tmp_path: Path) -> bool:
    data = (tmp_path / "new.dcm").read_bytes()
    return any(part in data for part in HIDDEN.split())


def grey(ct: Dataset, size: int = 16, bits: int = 8) -> np.ndarray:
    """Makes the object one of a grey image, and gives its samples."""
    ct.Rows = ct.Columns = size
    ct.SamplesPerPixel, ct.PhotometricInterpretation = 1, "MONOCHROME2"
    ct.BitsAllocated = ct.BitsStored = bits
    ct.HighBit, ct.PixelRepresentation = bits - 1, 0
    return np.arange(size * size, dtype=f"u{bits // 8}").reshape(size, size)


def encapsulated(ct: Dataset, frames: list[bytes], *, table: bool = True) -> None:
    ct.NumberOfFrames = len(frames)
    ct.PixelData = encapsulate(frames, has_bot=table)
    ct["PixelData"].VR = "OB"
    ct["PixelData"].is_undefined_length = True


def jpeg(samples: np.ndarray, **facts: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(samples).save(stream, "JPEG", **facts)
    return stream.getvalue()


def after_start(codestream: bytes, segment: bytes) -> bytes:
    return codestream[:2] + segment + codestream[2:]


def segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def frames_of(new: Dataset) -> list[bytes]:
    count = int(new.get("NumberOfFrames", 1))
    return list(generate_frames(new.PixelData, number_of_frames=count))


# --- native ------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_what_is_behind_the_samples_goes(
    ct: Dataset, deidentify: Deidentify, tmp_path: Path, syntax: str
) -> None:
    samples = ct.PixelData
    ct.PixelData += HIDDEN
    ct.DataSetTrailingPadding = b"\0\0"
    new, result = deidentify(ct, syntax=syntax)
    assert new.PixelData == samples
    assert not hides(new, tmp_path)
    cut = [record for record in result.records if record.path == "(7FE0,0010)"]
    assert [record.action for record in cut] == [Action.CLEAN]


def test_one_byte_of_padding_stays_and_is_zero(ct: Dataset, deidentify: Deidentify) -> None:
    ct.Rows, ct.Columns, ct.BitsAllocated = 3, 3, 8
    ct.PixelData = b"123456789W"
    assert deidentify(ct)[0].PixelData == b"123456789\0"
    ct.PixelData = b"123456789\0"
    new, result = deidentify(ct)
    assert new.PixelData == b"123456789\0"
    assert "(7FE0,0010)" not in {record.path for record in result.records}


def test_shorter_values_stay(ct: Dataset, deidentify: Deidentify) -> None:
    ct.PixelData = b"1234"
    assert deidentify(ct)[0].PixelData == b"1234"


@pytest.mark.parametrize(("keyword", "size"), [("FloatPixelData", 4), ("DoubleFloatPixelData", 8)])
def test_floating_point_pixels_are_cut(
    ct: Dataset, deidentify: Deidentify, keyword: str, size: int
) -> None:
    del ct.PixelData
    samples = struct.pack(f"<4{'f' if size == 4 else 'd'}", 1, 2, 3, 4)
    ct.BitsAllocated = 8 * size
    setattr(ct, keyword, samples + HIDDEN)
    assert deidentify(ct)[0][keyword].value == samples


@pytest.mark.parametrize(
    ("photometric", "length", "left"),
    [("YBR_FULL_422", 12, 12), ("YBR_FULL_422", 8, 8), ("YBR_FULL_422", 30, 8), ("RGB", 30, 12)],
)
def test_colour(
    ct: Dataset, deidentify: Deidentify, photometric: str, length: int, left: int
) -> None:
    ct.SamplesPerPixel, ct.BitsAllocated = 3, 8
    ct.PhotometricInterpretation = photometric
    ct.PixelData = b"W" * length
    assert len(deidentify(ct)[0].PixelData) == left


def test_frames_and_bits_count(ct: Dataset, deidentify: Deidentify) -> None:
    ct.Rows, ct.Columns, ct.BitsAllocated, ct.NumberOfFrames = 3, 3, 1, 3
    ct.PixelData = b"1234" + HIDDEN
    assert deidentify(ct)[0].PixelData == b"1234"


def test_pixels_of_unknown_size_are_refused(ct: Dataset, deidentify: Deidentify) -> None:
    del ct.Rows
    assert "nothing says how many" in str(deidentify(ct)[1].refused)


def test_waveforms_are_cut(ct: Dataset, deidentify: Deidentify, tmp_path: Path) -> None:
    group = Dataset()
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = 1, 3
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.add_new("WaveformData", "OW", b"123456" + HIDDEN)
    ct.WaveformSequence = [group]
    new, _ = deidentify(ct)
    assert new.WaveformSequence[0].WaveformData == b"123456"
    assert not hides(new, tmp_path)


# --- JPEG --------------------------------------------------------------------------------------


def test_comments_and_application_segments_of_jpeg_go(
    ct: Dataset, deidentify: Deidentify, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x010E] = HIDDEN.decode()
    plain = jpeg(grey(ct))
    frames = [
        jpeg(grey(ct), comment=HIDDEN),
        jpeg(grey(ct), exif=exif),
        jpeg(grey(ct), progressive=True) + HIDDEN,
        after_start(plain, segment(0xEE, b"Adobe" + bytes(7) + HIDDEN)),
        after_start(plain, segment(0xE0, b"JFXX\0" + HIDDEN)),
        plain,
    ]
    encapsulated(ct, frames)
    new, _ = deidentify(ct, syntax=JPEG)
    assert not hides(new, tmp_path)
    left = frames_of(new)
    assert left[0].rstrip(b"\0") == left[1].rstrip(b"\0") == left[4].rstrip(b"\0")
    assert left[5] == plain + bytes(len(plain) % 2)
    assert segment(0xEE, b"Adobe" + bytes(7)) in left[3]
    ct["PixelData"].value = encapsulate([plain] * 5)
    with Image.open(io.BytesIO(left[2])) as image:
        assert image.size == (16, 16)
    assert int.from_bytes(new.PixelData[4:8], "little") == 4 * len(frames)


def test_what_jpeg_needs_stays_as_it_is(ct: Dataset, deidentify: Deidentify) -> None:
    plain = jpeg(grey(ct))
    encapsulated(ct, [after_start(plain, segment(0xEE, b"Adobe" + bytes(7)))])
    old = ct.PixelData
    new, result = deidentify(ct, syntax=JPEG)
    assert new.PixelData == old
    assert "(7FE0,0010)" not in {record.path for record in result.records}


def test_jpeg_ls_keeps_what_its_decoder_needs(
    ct: Dataset, deidentify: Deidentify, tmp_path: Path
) -> None:
    import jpeg_ls

    samples = grey(ct)
    plain = bytes(jpeg_ls.encode_array(samples))
    spiff = b"SPIFF\0" + bytes(24)
    needed = segment(0xE8, spiff) + segment(0xE8, b"\0\0\0\1\xff\xd8")
    odd = segment(0xE8, b"\0\0\0\4" + HIDDEN) + segment(0xFE, HIDDEN)
    encapsulated(ct, [plain[:2] + needed[:34] + odd + needed[34:] + plain[2:]])
    new, _ = deidentify(ct, syntax=JPEG_LS)
    assert not hides(new, tmp_path)
    assert frames_of(new)[0].rstrip(b"\0") == after_start(plain, needed).rstrip(b"\0")


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame[:-2],
        lambda frame: frame[:30],
        lambda frame: after_start(frame, segment(0xF3, HIDDEN)),
        lambda frame: HIDDEN + frame,
        lambda frame: b"\0\0",
    ],
)
def test_a_jpeg_frame_that_cannot_be_read_is_refused(
    ct: Dataset, deidentify: Deidentify, change: Callable[[bytes], bytes]
) -> None:
    encapsulated(ct, [change(jpeg(grey(ct))), jpeg(grey(ct))])
    assert deidentify(ct, syntax=JPEG)[1].refused


# --- JPEG 2000 ---------------------------------------------------------------------------------


def jpeg2000(parts: int, comments: bool, *, open_end: bool = False, lengths: bool = True) -> bytes:
    """A codestream of tile-parts with data that nobody can decode."""
    comment = b"\xff\x64" + struct.pack(">HH", len(HIDDEN) + 4, 1) + HIDDEN if comments else b""
    written = []
    for number in range(parts):
        body = comment + b"\xff\x93" + bytes((number,)) * 20 + b"\xff\x64\x00\x08"
        psot = 0 if open_end and number == parts - 1 else 12 + len(body)
        written.append(b"\xff\x90" + struct.pack(">HHLBB", 10, 0, psot, number, parts) + body)
    size = segment(0x51, bytes(38))
    entries = b"".join(struct.pack(">L", len(part)) for part in written)
    table = segment(0x55, b"\0\x40" + entries) if lengths else b""
    main = b"\xff\x4f" + size + table + comment
    return main + b"".join(written) + b"\xff\xd9"


@pytest.mark.parametrize("open_end", [False, True])
@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("syntax", [J2K, HTJ2K_RPCL])
def test_comments_of_jpeg_2000_go(
    ct: Dataset,
    deidentify: Deidentify,
    tmp_path: Path,
    open_end: bool,
    lengths: bool,
    syntax: str,
) -> None:
    grey(ct)
    encapsulated(ct, [jpeg2000(3, True, open_end=open_end, lengths=lengths) + HIDDEN])
    new, _ = deidentify(ct, syntax=syntax)
    assert not hides(new, tmp_path)
    expected = jpeg2000(3, False, open_end=open_end, lengths=lengths)
    assert frames_of(new)[0] == expected + bytes(len(expected) % 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda code: code[:-30],
        lambda code: code.replace(b"\xff\x51", b"\xff\x4e"),
        lambda code: code.replace(b"\xff\x55\x00\x10", b"\xff\x55\x00\x0c"),
        lambda code: b"\0\0\0\x0cjP  \r\n\x87\n" + code,
    ],
)
def test_a_jpeg_2000_frame_that_cannot_be_read_is_refused(
    ct: Dataset, deidentify: Deidentify, change: Callable[[bytes], bytes]
) -> None:
    grey(ct)
    encapsulated(ct, [change(jpeg2000(3, True))])
    assert deidentify(ct, syntax=J2K)[1].refused


# --- other syntaxes ----------------------------------------------------------------------------


def test_rle(ct: Dataset, deidentify: Deidentify, tmp_path: Path) -> None:
    samples = grey(ct, 18, 16)
    ct.PixelData = samples.tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ct.compress(RLELossless, samples, encoding_plugin="pydicom")
    frame = next(iter(generate_frames(ct.PixelData, number_of_frames=1)))
    header = bytearray(frame[:64])
    header[20:42] = HIDDEN
    encapsulated(ct, [bytes(header) + frame[64:] + HIDDEN, frame])
    new, _ = deidentify(ct, syntax=RLELossless)
    assert not hides(new, tmp_path)
    assert frames_of(new) == [frame, frame]
    assert (decode_frames(tmp_path / "new.dcm")[0] == samples).all()
    assert get_encoder(RLELossless)


def test_deflated_frames() -> None:
    cut, shape = cutter_of(DEFLATED), ImageShape(4, 4, 1, 1, 8, "MONOCHROME2")
    deflater = zlib.compressobj(wbits=-15)
    frame = deflater.compress(bytes(16)) + deflater.flush()
    hiding = frame + HIDDEN
    assert cut(hiding, 0, len(hiding), shape) == [(0, len(frame))]
    deflater = zlib.compressobj(wbits=-15)
    longer = deflater.compress(bytes(16) + HIDDEN) + deflater.flush()
    for broken in (longer, frame[:-1], b"\xff" * 8):
        with pytest.raises(ObjectRefused):
            cut(broken, 0, len(broken), shape)


@pytest.mark.parametrize("number", ["53.1", "100", "106", "110", "112", "999"])
def test_no_other_syntax_is_known(number: str) -> None:
    with pytest.raises(ObjectRefused):
        cutter_of(f"1.2.840.10008.1.2.4.{number}")


@pytest.mark.parametrize("number", ["100", "102", "107"])
def test_frames_that_hold_text_unseen_are_refused_unless_a_site_keeps_them(
    ct: Dataset, deidentify: Deidentify, number: str
) -> None:
    grey(ct)
    encapsulated(ct, [b"\0\0\1\xb2" + HIDDEN])
    syntax = f"1.2.840.10008.1.2.4.{number}"
    assert "unseen" in str(deidentify(ct, syntax=syntax)[1].refused)
    rules = RuleSet.from_yaml("rules:\n  - {tags: PixelData, action: keep}\n")
    new, _ = deidentify(ct, syntax=syntax, rules=rules)
    assert new.PixelData == ct.PixelData


def test_pixels_that_are_not_encapsulated_as_they_should_are_refused(
    ct: Dataset, tmp_path: Path, encode: Callable[..., bytes], context: Callable[..., Context]
) -> None:
    data = encode(ct, "1.2.840.10008.1.2.1")
    assert data.count(b"1.2.840.10008.1.2.1\0") == 1
    old = b"UI\x14\x001.2.840.10008.1.2.1\0"
    data = data.replace(old, b"UI\x16\x00" + JPEG.encode())
    length = int.from_bytes(data[140:144], "little") + 2
    data = data[:140] + length.to_bytes(4, "little") + data[144:]
    result = deidentify_object(data, tmp_path / "new.dcm", context())
    assert "not encapsulated" in str(result.refused)


# --- tables ------------------------------------------------------------------------------------


def test_extended_offset_tables_are_worked_out_anew(
    ct: Dataset, deidentify: Deidentify, tmp_path: Path
) -> None:
    plain = jpeg(grey(ct))
    frames = [jpeg(grey(ct), comment=HIDDEN), plain, plain]
    data, _, _ = encapsulate_extended(frames)
    encapsulated(ct, frames, table=False)
    ct.PixelData = data
    ct["PixelData"].is_undefined_length = True
    ct.ExtendedOffsetTable = (HIDDEN * 2)[:24]
    ct.ExtendedOffsetTableLengths = (HIDDEN * 2)[:24]
    new, _ = deidentify(ct, syntax=JPEG)
    assert not hides(new, tmp_path)
    _, offsets, lengths = encapsulate_extended([plain, plain, plain])
    assert (new.ExtendedOffsetTable, new.ExtendedOffsetTableLengths) == (offsets, lengths)
    assert frames_of(new) == [plain + bytes(len(plain) % 2)] * 3


def test_a_basic_offset_table_that_is_none_is_written_anew(
    ct: Dataset, deidentify: Deidentify, tmp_path: Path
) -> None:
    encapsulated(ct, [jpeg(grey(ct))])
    table = (HIDDEN[:22]).ljust(24, b"x")
    ct.PixelData = b"\xfe\xff\x00\xe0" + struct.pack("<L", 24) + table + ct.PixelData[12:]
    ct["PixelData"].is_undefined_length = True
    new, _ = deidentify(ct, syntax=JPEG)
    assert not hides(new, tmp_path)
    assert new.PixelData[4:12] == struct.pack("<LL", 4, 0)


def test_frames_of_several_fragments(ct: Dataset, deidentify: Deidentify, tmp_path: Path) -> None:
    frames = [jpeg(grey(ct), comment=HIDDEN), jpeg(grey(ct))]
    ct.NumberOfFrames = 2
    ct.PixelData = encapsulate(frames, fragments_per_frame=3)
    ct["PixelData"].VR = "OB"
    ct["PixelData"].is_undefined_length = True
    new, _ = deidentify(ct, syntax=JPEG)
    assert not hides(new, tmp_path)
    assert frames_of(new) == [frames[1] + bytes(len(frames[1]) % 2)] * 2
