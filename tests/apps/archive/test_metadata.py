"""Metadata of stored series: made once, from real files, and never served when it is old."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from isocenter.apps.archive import deletion, jobs
from isocenter.apps.archive.metadata import building, store
from isocenter.apps.archive.metadata.stamps import series_now
from isocenter.apps.archive.models import Instance
from isocenter.apps.archive.queries import bulk_data, further_attributes, metadata
from isocenter.core.errors import ChildError, DicomError, NotFound

from .conftest import MARK, SERIES, STUDY, Intake, after, image, the_study


@pytest.fixture(autouse=True)
def pool_of_its_own() -> Iterator[None]:
    """No warm process outlives its test."""
    building._pool.cache_clear()
    yield
    building._pool().close()
    building._pool.cache_clear()


BASE = "http://host:8080/dicom-web"


def answer(*uids: str, identified: bool = True) -> list[dict[str, Any]]:
    return list(json.loads(b"".join(metadata(*uids).json(BASE, identified=identified))))


def sop(dataset: dict[str, Any]) -> str:
    return str(dataset["00080018"]["Value"][0])


def use_crashing_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_JOB", "crashing_metadata")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def document() -> Path:
    return store.file_of(STUDY, SERIES)


def test_series_come_in_order_with_uris_of_their_pixels(intake: Intake) -> None:
    intake.take(*(image(n, InstanceNumber=9 - n) for n in (1, 2, 3)))
    found = answer(STUDY, SERIES)
    assert [sop(each) for each in found] == [f"{SERIES}.{n}" for n in (3, 2, 1)]
    assert found[0]["7FE00010"] == {
        "vr": "OW",
        "BulkDataURI": f"{BASE}/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.3"
        "/bulkdata/7FE00010",
    }
    assert found[0]["00100010"]["Value"] == [{"Alphabetic": f"{MARK}^Name"}]


def test_all_levels_and_codings_say_the_same(intake: Intake) -> None:
    intake.take(
        image(1),
        image(2),
        image(1, series=f"{STUDY}.2", SeriesNumber=0),
    )
    whole = answer(STUDY)
    assert [sop(each) for each in whole] == [f"{STUDY}.2.1", f"{SERIES}.1", f"{SERIES}.2"]
    assert whole == answer(STUDY, f"{STUDY}.2") + answer(STUDY, SERIES)
    assert answer(STUDY, SERIES, f"{SERIES}.2") == whole[2:]
    found = metadata(STUDY)
    assert found.instances == 3
    assert json.loads(gzip.decompress(b"".join(found.gzipped(BASE)))) == whole
    assert list(found.datasets(BASE, identified=True)) == whole
    assert len(list(found.xml(BASE, identified=True))) == 3


def test_an_instance_of_a_series_without_document_is_read_alone(intake: Intake) -> None:
    intake.take(image(1), image(2))
    assert [sop(each) for each in answer(STUDY, SERIES, f"{SERIES}.2")] == [f"{SERIES}.2"]
    assert not document().exists()


def test_what_is_not_here_is_not_found(intake: Intake) -> None:
    intake.take(image(1))
    for uids in (("1.2",), (STUDY, "1.2"), (STUDY, SERIES, "1.2"), ("1.2", SERIES, f"{SERIES}.1")):
        with pytest.raises(NotFound):
            metadata(*uids)


def test_without_identity_nothing_says_whose_it_is(intake: Intake) -> None:
    private = Dataset()
    private.PatientComments = f"{MARK} in a sequence"
    private.SliceThickness = 2
    extra = image(1, SharedFunctionalGroupsSequence=Sequence([private]))
    extra.private_block(0x0011, "Creator", create=True).add_new(1, "LO", f"{MARK} private")
    intake.take(extra)
    text = b"".join(metadata(STUDY).json(BASE, identified=False)).decode()
    assert MARK not in text
    (plain,) = json.loads(text)
    assert sop(plain) == f"{SERIES}.1"
    assert plain["00280010"] == {"vr": "US", "Value": [4]}
    assert plain["52009229"]["Value"] == [{"00180050": {"vr": "DS", "Value": [2]}}]
    assert "00100010" not in plain
    assert "00080020" not in plain
    assert not [tag for tag in plain if int(tag[:4], 16) % 2]


def test_a_document_is_made_once_and_anew_when_instances_came(intake: Intake) -> None:
    intake.take(image(1))
    before = metadata(STUDY, SERIES).etag
    assert len(answer(STUDY, SERIES)) == 1
    made_at = document().stat().st_mtime_ns
    assert len(answer(STUDY, SERIES)) == 1
    assert document().stat().st_mtime_ns == made_at
    intake.take(image(2))
    assert metadata(STUDY, SERIES).etag != before
    assert len(answer(STUDY, SERIES)) == 2


def test_a_replaced_instance_is_seen(intake: Intake) -> None:
    intake.take(image(1))
    answer(STUDY)
    Instance.objects.update(digest="other")
    (series,) = series_now(STUDY)
    assert not store.is_there(series)


def test_a_quiet_study_gets_its_documents_in_the_background(intake: Intake) -> None:
    intake.take(image(1), image(2))
    jobs.tick(after(the_study(), 61))
    waiting = ProcrastinateJob.objects.filter(task_name="archive.build_metadata", status="todo")
    assert waiting.count() == 1
    assert building.build_study(STUDY) == 1
    assert building.build_study(STUDY) == 0
    assert document().stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_broken_or_gone_costs_itself_alone(intake: Intake) -> None:
    intake.take(image(1), image(2), image(3))
    paths = {row.sop_uid: intake.layout.archive / row.path for row in Instance.objects.all()}
    paths[f"{SERIES}.1"].write_bytes(b"no DICOM at all" * 40)
    paths[f"{SERIES}.2"].unlink()
    found = answer(STUDY, SERIES)
    assert sorted(map(sop, found)) == [f"{SERIES}.{n}" for n in (1, 2, 3)]
    by_uid = {sop(each): each for each in found}
    assert set(by_uid[f"{SERIES}.1"]) == {"00080016", "00080018", "0020000D", "0020000E"}
    assert "00280010" in by_uid[f"{SERIES}.3"]


@pytest.mark.parametrize("damage", ["cut", "empty", "block"])
def test_a_broken_document_is_made_anew(intake: Intake, damage: str) -> None:
    intake.take(image(1), image(2))
    before = answer(STUDY)
    data = document().read_bytes()
    broken = {"cut": data[:-9], "empty": b"", "block": data[:-40] + bytes(40)}[damage]
    document().write_bytes(broken)
    try:
        assert answer(STUDY) == before
    except Exception:
        assert damage == "block"  # the first instance was sent already
    assert answer(STUDY) == before


@pytest.mark.parametrize("ending", ["crash", "memory", "slow"])
def test_a_file_that_ends_the_reader_is_left_out(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    intake.take(image(1), image(2, PatientComments=ending), image(3))
    use_crashing_reader(monkeypatch)
    found = answer(STUDY, SERIES)
    assert [len(each) > 9 for each in found] == [True, False, True]
    document().unlink()
    assert building.build_study(STUDY) == 1
    assert answer(STUDY, SERIES) == found


def test_a_reader_that_always_ends_is_given_up(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.take(*(image(n, PatientComments="crash") for n in range(1, 7)))
    use_crashing_reader(monkeypatch)
    with pytest.raises(ChildError):
        answer(STUDY, SERIES)
    assert list(intake.layout.metadata.iterdir()) == []


def test_a_full_disk_is_no_file_s_fault(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    intake.take(image(1, PatientComments="disk"), image(2))
    use_crashing_reader(monkeypatch)
    with pytest.raises(OSError, match="cannot be written"):
        answer(STUDY, SERIES)
    monkeypatch.undo()
    building._pool().close()
    building._pool.cache_clear()
    assert [len(each) > 9 for each in answer(STUDY, SERIES)] == [True, True]


def test_malformed_files_that_were_taken_in_have_metadata(
    intake: Intake, shared_data: Path
) -> None:
    files = [path for path in (shared_data / "malformed").rglob("*") if path.suffix == ".dcm"]
    intake.take(*(path.read_bytes() for path in sorted(files)))
    rows = list(Instance.objects.select_related("series", "study"))
    assert len(rows) > 5
    for row in rows:
        uids = (row.study.study_uid, row.series.series_uid, row.sop_uid)
        (found,) = answer(*uids)
        assert sop(found) == row.sop_uid
        assert answer(*uids[:2])
        assert answer(*uids, identified=False)
        for tag, attribute in found.items():
            if "BulkDataURI" in attribute:
                try:
                    parts = bulk_data(*uids, tag).parts
                except DicomError:
                    continue
                assert sum(part.length for part in parts) > 0


def test_deletion_takes_the_documents_with_it(intake: Intake) -> None:
    intake.take(image(1), image(1, series=f"{STUDY}.2"))
    answer(STUDY)
    deletion.delete_series(STUDY, f"{STUDY}.2", actor="somebody")
    assert list(store.folder_of(STUDY).iterdir()) == [document()]
    (series,) = series_now(STUDY)
    deletion.delete_study(STUDY, actor="somebody")
    assert not store.folder_of(STUDY).exists()
    # Who was at work on it meanwhile puts nothing there any more.
    with building.made(series) as file:
        assert file.read(4) == b"ISOM"
    assert not store.folder_of(STUDY).exists()
    assert list(intake.layout.metadata.iterdir()) == []


def test_a_question_asks_documents_that_are_there(intake: Intake) -> None:
    intake.take(image(1, SliceLocation=7), image(2), image(1, study="1.2.9", series="1.2.9.1"))
    answer(STUDY)
    keys = [
        (STUDY, SERIES, f"{SERIES}.1"),
        (STUDY, "", ""),
        ("1.2.9", "", ""),
        (STUDY, SERIES, ""),
        (STUDY, SERIES, "1.2.3"),
    ]
    tags = {0x00201041, 0x00100010}
    found = further_attributes(keys, tags, identified=True)
    location = {"vr": "DS", "Value": [7]}
    name = {"vr": "PN", "Value": [{"Alphabetic": f"{MARK}^Name"}]}
    assert found[0] == found[1] == found[3] == {"00100010": name, "00201041": location}
    assert found[2] == found[4] == {}
    assert further_attributes(keys[:1], tags, identified=False) == [{"00201041": location}]
    (whole,) = further_attributes(keys[:1], None, identified=True)
    assert sop(whole) == f"{SERIES}.1"
    assert further_attributes([], None, identified=True) == []


def test_a_link_of_the_metadata_leads_to_the_bytes(intake: Intake) -> None:
    item = Dataset()
    item.add_new(0x00282000, "OB", b"p" * 3000)
    intake.take(image(1, OpticalPathSequence=Sequence([item])))
    (dataset,) = answer(STUDY)
    uri = dataset["00480105"]["Value"][0]["00282000"]["BulkDataURI"]
    assert uri.endswith(f"/instances/{SERIES}.1/bulkdata/00480105/0/00282000")
    found = bulk_data(STUDY, SERIES, f"{SERIES}.1", "00480105/0/00282000")
    assert not found.is_pixel_data
    (part,) = found.parts
    assert b"".join(part.pieces()) == b"p" * 3000
    assert b"".join(part.pieces(2990, 9999)) == b"p" * 10
    pixels = bulk_data(STUDY, SERIES, f"{SERIES}.1", "7fe00010")
    assert pixels.is_pixel_data
    assert b"".join(pixels.parts[0].pieces()) == bytes([1] * 32)
    assert pixels.content_type == "application/octet-stream"


def test_compressed_frames_are_parts_of_their_own(intake: Intake, shared_data: Path) -> None:
    path = shared_data / "transfer_syntaxes" / "pydicom" / "SC_rgb_rle_2frame.dcm"
    intake.take(path.read_bytes())
    row = Instance.objects.select_related("series", "study").get()
    uids = (row.study.study_uid, row.series.series_uid, row.sop_uid)
    found = bulk_data(*uids, "7FE00010")
    assert len(found.parts) == row.number_of_frames
    assert found.content_type == "image/dicom-rle"
    assert found.transfer_syntax_uid == row.transfer_syntax_uid
    assert all(part.length == sum(map(len, part.pieces())) for part in found.parts)


def test_bulk_data_that_is_not_there(intake: Intake) -> None:
    intake.take(image(1))
    uids = (STUDY, SERIES, f"{SERIES}.1")
    for place in ("00281201", "00100010/0/7FE00010", "nonsense", "00080050/../7FE00010"):
        with pytest.raises(NotFound):
            bulk_data(*uids, place)
    for wrong in (("1.2", SERIES, uids[2]), (STUDY, "1.2", uids[2]), (STUDY, SERIES, "1.2")):
        with pytest.raises(NotFound):
            bulk_data(*wrong, "7FE00010")
