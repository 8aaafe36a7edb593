"""The UIDs at the beginning of a data set, against pydicom on real files."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from isocenter.core.dicom.part10 import read_file_meta
from isocenter.core.errors import DataSetError, DicomError
from isocenter.core.network.identity import PREFIX_BYTES, identity_of

SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about files that are odd
def test_every_real_file_tells_the_same_as_to_pydicom(shared_data: Path) -> None:
    count = 0
    for path in sorted(shared_data.rglob("*")):
        if not path.is_file() or "malformed" in path.parts or "dicomdir" in path.parts:
            continue
        try:
            with path.open("rb") as stream:
                meta, offset = read_file_meta(stream)
                stream.seek(offset)
                prefix = stream.read(PREFIX_BYTES)
        except DicomError:
            continue
        ds = dcmread(path, stop_before_pixels=True, force=True)
        found = identity_of(prefix, meta.transfer_syntax_uid)
        assert (found.sop_class_uid or "") == ds.get("SOPClassUID", ""), path.name
        assert (found.sop_instance_uid or "") == ds.get("SOPInstanceUID", ""), path.name
        count += 1
    assert count > 500


@pytest.mark.parametrize("syntax", SYNTAXES)
@given(raw=st.binary(max_size=300))
def test_random_bytes_are_refused_or_read(syntax: str, raw: bytes) -> None:
    try:
        identity_of(raw, syntax)
    except DataSetError:
        return


def test_deflated_bytes_are_inflated_with_a_bound() -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = bomb.compress(bytes(50_000_000)) + bomb.flush()
    with pytest.raises(DataSetError):
        identity_of(raw, "1.2.840.10008.1.2.1.99")
    with pytest.raises(DataSetError):
        identity_of(b"\xff\xff no deflate", "1.2.840.10008.1.2.1.99")
