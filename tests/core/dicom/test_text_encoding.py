"""What is encoded is what the character set's name allows, for whoever reads it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from isocenter.core.dicom.text_encoding import common_character_set, encode_text

# Highest byte and how many letters besides ASCII (ISO 8859 parts, JIS X 0201, TIS 620).
SINGLE = {
    "ISO_IR 100": 96,
    "ISO_IR 101": 96,
    "ISO_IR 109": 89,
    "ISO_IR 110": 96,
    "ISO_IR 126": 93,
    "ISO_IR 127": 51,
    "ISO_IR 138": 60,
    "ISO_IR 144": 96,
    "ISO_IR 148": 96,
    "ISO_IR 166": 87,
    "ISO_IR 13": 63,
}
NAMES = {
    "ISO_IR 13": "ﾔﾏﾀﾞ^ﾀﾛｳ",
    "ISO 2022 IR 13\\ISO 2022 IR 87": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "\\ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
    "ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
    "ISO 2022 IR 6\\ISO 2022 IR 13": "ﾔﾏﾀﾞ^ﾀﾛｳ",
    "ISO 2022 IR 100\\ISO 2022 IR 126": "Müller^Διονυσιος",
    "ISO 2022 IR 144\\ISO 2022 IR 100": "Люкceмбypг^Müller",
    "ISO_IR 166": "นามสกุล",
    "GB18030": "Wang^XiaoDong=王^小东",
    "GBK": "Wang^XiaoDong=王^小东",
    "ISO_IR 192": "Wang^XiaoDong=王^小東",
}


@pytest.mark.parametrize(("term", "letters"), SINGLE.items())
def test_a_set_of_single_bytes_gives_single_bytes(term: str, letters: int) -> None:
    found = {}
    for code in (*range(0x80, 0xD800), *range(0xE000, 0x11000)):
        encoded = encode_text(chr(code), term)
        if encoded is not None:
            assert len(encoded) == 1
            assert encoded[0] >= 0xA0
            assert decode_bytes(encoded, convert_encodings(term), set()) == chr(code)
            found[encoded] = chr(code)
    assert len(found) in (letters, letters - 1)  # a space without a break may be taken as padding


@pytest.mark.parametrize("name", ["山田^太郎", "やまだ", "ﾔﾏ=山", "王^小東", "Люкc", "Müller", "±"])
def test_what_isoir_13_has_not_goes_as_utf_8(name: str) -> None:
    assert encode_text(name, "ISO_IR 13") is None
    assert common_character_set(["Yamada", name], "ISO_IR 13") == "ISO_IR 192"


@pytest.mark.parametrize("term", ["ISO 2022 GBK", "ISO 2022 58", "\\ISO 2022 GBK"])
def test_terms_that_no_standard_names_are_not_answered_in(term: str) -> None:
    assert encode_text("王^小东", term) is None


@pytest.mark.parametrize(("term", "name"), NAMES.items())
def test_pydicom_reads_it(term: str, name: str, tmp_path: Path) -> None:
    read = dcmread(written(term, name, tmp_path))
    assert str(read.PatientName) == name


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize(("term", "name"), NAMES.items())
def test_dcmtk_reads_it(term: str, name: str, tmp_path: Path) -> None:
    path = written(term, name, tmp_path)
    done = subprocess.run(
        ["dcmdump", "+U8", "+P", "0010,0010", str(path)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    if b"not supported by the utilized character set conversion" in done.stderr:
        pytest.skip("this DCMTK's conversion library has not this set")
    assert f"[{name}]" in done.stdout.decode()


def written(term: str, name: str, folder: Path) -> Path:
    """A file with this name as it is encoded here."""
    encoded = encode_text(name, term)
    assert encoded is not None
    dataset = Dataset()
    dataset.SpecificCharacterSet = common_character_set([name], term).split("\\")
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    dataset.PatientID = "x"
    marker = b"?" * (len(encoded) + len(encoded) % 2)
    dataset.PatientName = marker.decode()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / "name.dcm"
    dataset.save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    assert content.count(marker) == 1
    path.write_bytes(content.replace(marker, encoded.ljust(len(marker))))
    return path
