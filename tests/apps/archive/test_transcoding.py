"""Stored instances in another transfer syntax: the same pixels, as stored where that is enough."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from isocenter.apps.archive.queries import StoredInstance
from isocenter.apps.archive.transcoding import TARGETS, transcoded
from isocenter.core.dicom.pixels import decode_frames
from isocenter.core.errors import DicomError

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
RLE, JPEG_LS, JPEG_2000 = (
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
)
CT = "transfer_syntaxes/pydicom/CT_small.dcm"
J2K = "transfer_syntaxes/pydicom/MR_small_jp2klossless.dcm"
BROKEN = "malformed/MR_truncated.dcm"


@pytest.fixture
def stored(shared_data: Path) -> Callable[[str], StoredInstance]:
    """A file of the reference data, as the archive would hold it."""

    def find(name: str) -> StoredInstance:
        path = shared_data / name
        dataset = dcmread(path, stop_before_pixels=True)
        return StoredInstance(
            study_uid=str(dataset.StudyInstanceUID),
            series_uid=str(dataset.SeriesInstanceUID),
            sop_uid=str(dataset.SOPInstanceUID),
            sop_class_uid=str(dataset.SOPClassUID),
            transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
            file=str(path),
            size=path.stat().st_size,
            digest="00",
            modality=str(dataset.Modality),
            number_of_frames=None,
            instance_number=1,
            patient_id="",
        )

    return find


def test_every_target_holds_the_same_pixels(
    stored: Callable[[str], StoredInstance], tmp_path: Path
) -> None:
    assert {EXPLICIT, IMPLICIT, RLE, JPEG_LS, JPEG_2000} <= TARGETS
    rows = [stored(CT), stored(J2K)]
    for syntax in (EXPLICIT, IMPLICIT, RLE, JPEG_LS, JPEG_2000):
        with transcoded(rows, syntax, folder=tmp_path) as made:
            for row, (found, path, reason) in zip(rows, made, strict=True):
                assert found == row
                assert path is not None, reason
                assert str(dcmread(path).file_meta.TransferSyntaxUID) == syntax
                assert np.array_equal(decode_frames(path), decode_frames(row.path))
                assert (path == row.path) == (row.transfer_syntax_uid == syntax)
        assert not list(tmp_path.iterdir())


def test_as_stored_nothing_is_made(stored: Callable[[str], StoredInstance], tmp_path: Path) -> None:
    with transcoded([stored(CT), stored(J2K)], "*", folder=tmp_path) as made:
        assert [path for _, path, _ in made] == [stored(CT).path, stored(J2K).path]


def test_a_file_is_gone_when_the_next_is_asked_for(
    stored: Callable[[str], StoredInstance], tmp_path: Path
) -> None:
    rows = [stored(CT), stored(J2K)._replace(sop_uid="1.2.9"), stored(J2K)]
    with transcoded(rows, RLE, folder=tmp_path) as made:
        first = next(made)[1]
        assert first is not None
        assert first.exists()
        next(made)
        assert not first.exists()
    assert not list(tmp_path.iterdir())


def test_one_that_cannot_be_read_is_named_and_the_others_come(
    stored: Callable[[str], StoredInstance], tmp_path: Path
) -> None:
    with transcoded([stored(BROKEN), stored(CT)], RLE, folder=tmp_path) as made:
        (_, broken, reason), (_, good, _) = made
        assert broken is None
        assert "ends inside" in reason
        assert good is not None


def test_a_lossy_target_is_refused(stored: Callable[[str], StoredInstance]) -> None:
    with (
        pytest.raises(DicomError, match="is written here"),
        transcoded([stored(CT)], "1.2.840.10008.1.2.4.50"),
    ):
        pass


def test_what_nobody_wants_any_more_is_not_made(
    stored: Callable[[str], StoredInstance], tmp_path: Path
) -> None:
    with transcoded([stored(CT)] * 40, RLE, folder=tmp_path, cancelled=lambda: True) as made:
        _, path, reason = next(made)
        assert path is None
        assert "cancelled" in reason
    assert not list(tmp_path.rglob("*.dcm"))
