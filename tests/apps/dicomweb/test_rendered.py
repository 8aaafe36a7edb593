"""Pictures by HTTP: what comes back, in which form, for whom, and what is said of bad requests."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.pixels import pixel_array

from isocenter.apps.archive import queries
from isocenter.apps.archive.queries import StoredInstance
from isocenter.apps.dicomweb import pixels
from isocenter.core.dicom.pixels import decode_frames
from isocenter.core.errors import (
    ChildBusy,
    ChildDied,
    ChildFailed,
    ChildMemoryExceeded,
    ChildTimeout,
)
from signed_in import browser

PLACE = "/dicom-web/studies/1.2.1/series/1.2.2/instances/1.2.3"
CT = "ct_chest_ACRIN/image/001.dcm"
COLOUR_CINE = "us/examples_ybr_color.dcm"
RATE = 30  # frames per second, as its Frame Time says
RLE = "mr_enhanced_small/emri_small_RLE.dcm"
J2K = "mr_enhanced_small/emri_small_jpeg_2k_lossless.dcm"

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module", autouse=True)
def _no_processes_left() -> Iterator[None]:
    yield
    pixels.close()


@pytest.fixture
def holds(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., StoredInstance]:
    """An archive that holds one instance, a file of the reference data."""

    def hold(name: str, **more: Any) -> StoredInstance:
        path = shared_data / name
        dataset = dcmread(path, stop_before_pixels=True)
        row = StoredInstance(
            study_uid="1.2.1",
            series_uid="1.2.2",
            sop_uid="1.2.3",
            sop_class_uid=str(dataset.SOPClassUID),
            transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
            file=str(path),
            size=path.stat().st_size,
            digest="ab" * 32,
            modality=str(dataset.Modality),
            number_of_frames=int(dataset.get("NumberOfFrames", 1)),
            instance_number=1,
            patient_id="P1",
        )
        row = row._replace(**more)
        monkeypatch.setattr(queries, "stored", lambda **asked: iter([row]))
        monkeypatch.setattr(queries, "stored_instance", lambda *asked: row)
        return row

    return hold


def opened(answer: Any) -> Image.Image:
    assert answer.status_code == 200, answer.content
    return Image.open(io.BytesIO(body(answer)))


def played_ms(picture: Image.Image) -> int:
    """How long an animation runs; frames that are alike are one that lasts longer."""
    total = 0
    for number in range(picture.n_frames):
        picture.seek(number)
        total += picture.info["duration"]
    return total


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def parts(answer: Any) -> list[tuple[str, bytes]]:
    """Content type and bytes of each part."""
    assert answer.status_code == 200, answer.content
    boundary = answer.headers["Content-Type"].partition("boundary=")[2].encode()
    found = []
    for part in body(answer).split(b"--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        names = dict(line.split(b": ", 1) for line in head.split(b"\r\n"))
        length = int(names[b"Content-Length"])
        assert len(content) == length + 2
        found.append((names[b"Content-Type"].decode(), content[:length]))
    return found


# -- pictures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("*/*", "JPEG"), ("image/png", "PNG"), ("image/jpeg", "JPEG"), ("image/gif", "GIF")],
)
def test_an_instance_as_a_picture(holds: Any, accept: str, kind: str) -> None:
    holds(CT)
    answer = browser().get(f"{PLACE}/rendered", headers={"Accept": accept})
    picture = opened(answer)
    assert (picture.format, picture.size) == (kind, (512, 512))
    assert answer.headers["Content-Type"] == f"image/{kind.lower()}"
    assert answer.headers["Cache-Control"].startswith("private")


def test_a_picture_known_already_is_not_sent_again(holds: Any) -> None:
    holds(CT)
    client = browser()
    first = client.get(f"{PLACE}/rendered", headers={"Accept": "image/png"})
    tag = first.headers["ETag"]
    again = {"Accept": "image/png", "If-None-Match": tag}
    assert client.get(f"{PLACE}/rendered", headers=again).status_code == 304
    other = client.get(f"{PLACE}/rendered?window=40,80", headers=again)
    assert other.status_code == 200
    assert other.headers["ETag"] != tag


def test_a_window_in_the_query_is_applied_as_the_standard_has_it(
    holds: Any, shared_data: Path
) -> None:
    holds(CT)
    answer = browser().get(f"{PLACE}/rendered?window=-600,1500&accept=image/png")
    dataset = dcmread(shared_data / CT)
    values = pixel_array(dataset) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    expected = np.clip((values + 600.5) / 1499 + 0.5, 0, 1) * 255
    assert np.abs(np.asarray(opened(answer)) - expected).max() <= 0.51


def test_a_viewport_bounds_the_picture(holds: Any) -> None:
    holds(CT)
    query = "viewport=100,50,0,0,256,256&accept=image/png"
    assert opened(browser().get(f"{PLACE}/rendered?{query}")).size == (50, 50)


def test_frames_of_a_cine_as_parts_as_one_and_as_an_animation(holds: Any) -> None:
    holds(COLOUR_CINE)
    client = browser()
    several = client.get(f"{PLACE}/frames/2,4-5/rendered")
    pictures = parts(several)
    assert [kind for kind, _ in pictures] == ["image/jpeg"] * 3
    assert Image.open(io.BytesIO(pictures[0][1])).mode == "RGB"
    one = client.get(f"{PLACE}/frames/2/rendered", headers={"Accept": "image/jpeg"})
    assert body(one) == pictures[0][1]
    moving = client.get(f"{PLACE}/frames/2,4-5/rendered", headers={"Accept": "image/gif"})
    assert opened(moving).n_frames == 3
    whole = client.get(f"{PLACE}/rendered", headers={"Accept": "image/gif"})
    assert played_ms(opened(whole)) == pytest.approx(30 * 1000 / RATE, rel=0.1)


def test_a_thumbnail_is_small_and_has_its_true_shape(holds: Any) -> None:
    holds(CT)
    client = browser()
    for place in (PLACE, "/dicom-web/studies/1.2.1/series/1.2.2", "/dicom-web/studies/1.2.1"):
        assert opened(client.get(f"{place}/thumbnail")).size == (192, 192)
    assert opened(client.get(f"{PLACE}/thumbnail?viewport=64,32")).size == (32, 32)
    assert opened(client.get(f"{PLACE}/frames/1/thumbnail")).size == (192, 192)


def test_a_series_as_one_picture_and_as_all(holds: Any) -> None:
    holds(CT)
    place = "/dicom-web/studies/1.2.1/series/1.2.2/rendered"
    one = browser().get(place, headers={"Accept": "image/png"})
    assert opened(one).size == (512, 512)
    every = browser().get(place, headers={"Accept": 'multipart/related; type="image/jpeg"'})
    assert [kind for kind, _ in parts(every)] == ["image/jpeg"]


def test_annotation_is_written_into_the_picture(holds: Any) -> None:
    holds(CT)
    client = browser()
    plain = np.asarray(opened(client.get(f"{PLACE}/rendered?accept=image/png")))
    query = "annotation=patient,technique&accept=image/png"
    written = np.asarray(opened(client.get(f"{PLACE}/rendered?{query}")))
    assert (plain[:100] != written[:100]).sum() > 50
    assert (plain[-150:] != written[-150:]).sum() > 50
    assert np.array_equal(plain[200:300], written[200:300])


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("window=1", "window"),
        ("window=1,0", "width"),
        ("window=1,2,cubic", "window"),
        ("window=nan,2", "window"),
        ("viewport=0,5", "viewport"),
        ("viewport=100000,5", "16384"),
        ("viewport=5,5,0,0,0,5", "region"),
        ("viewport=5", "viewport"),
        ("quality=0", "quality"),
        ("quality=best", "quality"),
        ("annotation=everything", "annotation"),
        ("iccprofile=mine", "iccprofile"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(holds: Any, query: str, word: str) -> None:
    holds(CT)
    answer = browser().get(f"{PLACE}/rendered?{query}")
    assert answer.status_code == 400
    assert word in str(answer.json())


def test_statuses_of_what_cannot_be_given(holds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = browser()
    holds(CT)
    assert client.get(f"{PLACE}/rendered", headers={"Accept": "video/mp4"}).status_code == 406
    assert client.get(f"{PLACE}/frames/2/rendered").status_code == 404
    assert client.get(f"{PLACE}/frames/0/rendered").status_code == 400
    assert client.get(f"{PLACE}/rendered?viewport=5,5,600,0,5,5").status_code == 422
    holds("malformed/MR_truncated.dcm")
    answer = client.get(f"{PLACE}/rendered")
    assert answer.status_code == 422
    assert "bytes" in answer.json()["error"]
    monkeypatch.undo()
    for place in (PLACE, "/dicom-web/studies/1.2.1/series/1.2.2", "/dicom-web/studies/1.2.1"):
        assert client.get(f"{place}/rendered").status_code == 404


@pytest.mark.parametrize("place", ["rendered", "thumbnail", "frames/1", "frames/1/rendered"])
def test_who_may_not_know_the_patient_sees_no_pixels_that_may_name_them(
    holds: Any, place: str
) -> None:
    student = browser("student")
    holds(COLOUR_CINE)  # ultrasound
    refused = student.get(f"{PLACE}/{place}")
    assert refused.status_code == 403
    assert "burned in" in refused.json()["error"]
    assert browser("physician").get(f"{PLACE}/{place}").status_code == 200
    holds(CT)
    assert student.get(f"{PLACE}/{place}").status_code == 200


@pytest.mark.parametrize("place", ["rendered", "frames/1"])
def test_what_an_image_says_of_itself_counts_too(
    holds: Any, shared_data: Path, tmp_path: Path, place: str
) -> None:
    dataset = dcmread(shared_data / CT)
    dataset.BurnedInAnnotation = "YES"
    dataset.save_as(tmp_path / "burned.dcm")
    burned = tmp_path / "burned.dcm"
    holds(CT, file=str(burned), size=burned.stat().st_size)
    assert browser("student").get(f"{PLACE}/{place}").status_code == 403
    assert browser("physician").get(f"{PLACE}/{place}").status_code == 200


def test_the_name_is_written_for_those_who_may_know_it(holds: Any) -> None:
    holds(CT)
    place = f"{PLACE}/rendered?annotation=patient"
    assert browser("student").get(place).status_code == 403
    assert browser("student").get(f"{PLACE}/rendered?annotation=technique").status_code == 200
    assert browser("physician").get(place).status_code == 200


def test_a_document_is_given_as_it_is(
    holds: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "report.dcm").write_bytes(b"head%PDF-1.4")
    part = queries.BulkPart(tmp_path / "report.dcm", ranges=((4, 8),))
    value = queries.BulkData("OB", "application/octet-stream", "1.2", False, (part,), "tag")
    monkeypatch.setattr(queries, "bulk_data", lambda *place: value)
    holds(CT, sop_class_uid="1.2.840.10008.5.1.4.1.1.104.1", modality="DOC")
    answer = browser().get(f"{PLACE}/rendered")
    assert (answer.headers["Content-Type"], body(answer)) == ("application/pdf", b"%PDF-1.4")
    assert browser("student").get(f"{PLACE}/rendered").status_code == 403
    picture = browser().get(f"{PLACE}/rendered", headers={"Accept": "image/png"})
    assert picture.status_code == 406


# -- what codecs may do ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ChildDied("SIGSEGV"), 422, "the decoder failed on it"),
        (ChildFailed("unexpected KeyError; see the trace", kind="KeyError"), 422, "the decoder"),
        (ChildFailed("4096 x 4096 pixels", kind="BoundsError"), 422, "4096 x 4096"),
        (ChildFailed("no decoder for it", kind="PixelError"), 422, "no decoder for it"),
        (ChildTimeout("60 s"), 422, "longer than 60 s"),
        (ChildMemoryExceeded("2 GiB"), 422, "too much memory"),
        (ChildBusy("all 4 processes are at work"), 503, "at work"),
    ],
)
def test_what_becomes_of_a_process_is_told_in_a_sentence(
    holds: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, said: str
) -> None:
    class Pool:
        def call(self, *asked: Any) -> Any:
            raise error

    monkeypatch.setattr(pixels, "_pool", Pool)
    holds(J2K)
    for place in ("rendered", "thumbnail", "frames/1", "frames/1,2"):
        answer = browser().get(f"{PLACE}/{place}")
        assert (answer.status_code, said in answer.json()["error"]) == (status, True), place


# -- frames ------------------------------------------------------------------------------------


def test_native_frames_are_the_bytes_of_the_file(holds: Any, shared_data: Path) -> None:
    holds(CT)
    answer = browser().get(f"{PLACE}/frames/1")
    assert int(answer.headers["Content-Length"]) > 512 * 512 * 2
    ((kind, data),) = parts(answer)
    assert kind == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    assert data == dcmread(shared_data / CT).PixelData


def test_one_frame_by_itself_and_a_range_of_it(holds: Any, shared_data: Path) -> None:
    holds(CT)
    headers = {"Accept": "application/octet-stream", "Range": "bytes=100-199"}
    answer = browser().get(f"{PLACE}/frames/1", headers=headers)
    assert answer.status_code == 206
    assert body(answer) == dcmread(shared_data / CT).PixelData[100:200]


def test_frames_of_one_bit_images_begin_with_their_first_pixel(
    holds: Any, shared_data: Path
) -> None:
    name = "seg_liver_pydicom/liver_nonbyte_aligned.dcm"
    if not (shared_data / name).exists():
        pytest.skip("no such file")
    holds(name)
    expected = decode_frames(shared_data / name)
    count = expected[0].size
    for number, (_, data) in enumerate(parts(browser().get(f"{PLACE}/frames/1-3"))):
        bits = np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")[:count]
        assert np.array_equal(bits, expected[number].ravel())


@pytest.mark.parametrize(
    ("name", "media_type", "syntax"),
    [
        (RLE, "image/dicom-rle", "1.2.840.10008.1.2.5"),
        (J2K, "image/jp2", "1.2.840.10008.1.2.4.90"),
        (COLOUR_CINE, "image/jpeg", "1.2.840.10008.1.2.4.50"),
    ],
)
def test_encoded_frames_as_stored_or_decoded(
    holds: Any, shared_data: Path, name: str, media_type: str, syntax: str
) -> None:
    from pydicom.encaps import generate_frames

    holds(name)
    client = browser()
    dataset = dcmread(shared_data / name)
    stored = list(generate_frames(dataset.PixelData, number_of_frames=dataset.NumberOfFrames))
    for accept in (
        f'multipart/related; type="{media_type}"',
        f'multipart/related; type="{media_type}"; transfer-syntax={syntax}',
        'multipart/related; type="application/octet-stream"; transfer-syntax=*',
    ):
        found = parts(client.get(f"{PLACE}/frames/3,1", headers={"Accept": accept}))
        assert [data for _, data in found] == [stored[2], stored[0]], accept
        assert all(f"transfer-syntax={syntax}" in kind for kind, _ in found)
    values = decode_frames(shared_data / name)
    found = parts(client.get(f"{PLACE}/frames/1-{len(values)}"))
    assert [data for _, data in found] == [frame.tobytes() for frame in values]


@pytest.mark.parametrize(
    "name",
    [
        "mr_enhanced_small/emri_small_big_endian.dcm",
        "transfer_syntaxes/pydicom/image_dfl.dcm",
        "transfer_syntaxes/pydicom/SC_rgb_expb_16bit_2frame.dcm",
    ],
)
def test_big_endian_and_deflated_frames_come_as_little_endian(
    holds: Any, shared_data: Path, name: str
) -> None:
    holds(name)
    values = decode_frames(shared_data / name)
    found = parts(browser().get(f"{PLACE}/frames/1-{len(values)}"))
    assert [data for _, data in found] == [frame.tobytes() for frame in values]


def test_statuses_of_frames(holds: Any) -> None:
    holds(J2K)
    client = browser()
    for frames in ("0", "a", "1,,2", "3-1", "1-999999999", "-1"):
        assert client.get(f"{PLACE}/frames/{frames}").status_code == 400, frames
    assert client.get(f"{PLACE}/frames/11").status_code == 404
    answer = client.get(f"{PLACE}/frames/1", headers={"Accept": "image/jls"})
    assert answer.status_code == 406
    assert "image/jp2" in answer.json()["hint"]
    holds(J2K, file="/nowhere/at-all.dcm")
    assert client.get(f"{PLACE}/frames/1").status_code == 404


# -- WADO-URI ----------------------------------------------------------------------------------


def wado(query: str = "", **headers: str) -> Any:
    uids = "studyUID=1.2.1&seriesUID=1.2.2&objectUID=1.2.3"
    return browser().get(f"/wado?requestType=WADO&{uids}&{query}", headers=headers)


def test_a_picture_by_wado_uri(holds: Any) -> None:
    holds(CT)
    picture = opened(wado())
    assert (picture.format, picture.size) == ("JPEG", (512, 512))
    picture = opened(wado("contentType=image/png&rows=100&columns=50"))
    assert (picture.format, picture.size) == ("PNG", (50, 50))
    picture = opened(wado("contentType=image/png&region=0,0,0.5,0.25"))
    assert picture.size == (256, 128)
    plain = np.asarray(opened(wado("contentType=image/png")))
    window = "contentType=image/png&windowCenter=-600&windowWidth=1500"
    assert not np.array_equal(np.asarray(opened(wado(window))), plain)


def test_a_frame_by_wado_uri(holds: Any) -> None:
    holds(COLOUR_CINE)
    by_uri = body(wado("contentType=image/jpeg&frameNumber=4"))
    by_rs = browser().get(f"{PLACE}/frames/4/rendered", headers={"Accept": "image/jpeg"})
    assert by_uri == body(by_rs)
    assert wado("contentType=image/jpeg&frameNumber=31").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "windowCenter=5",
        "rows=0",
        "columns=x",
        "region=0,0,2,2",
        "region=1,1,0,0",
        "imageQuality=101",
        "frameNumber=0",
        "presentationUID=1.2",
        "annotation=all",
    ],
)
def test_parameters_of_wado_uri_that_make_no_sense(holds: Any, query: str) -> None:
    holds(CT)
    assert wado(f"contentType=image/jpeg&{query}").status_code == 400


def test_a_media_type_may_be_written_in_any_case(holds: Any) -> None:
    row = holds(CT)
    assert wado("contentType=image/PNG").headers["Content-Type"] == "image/png"
    answer = wado("contentType=Application/DICOM&transferSyntax=*")
    assert answer.status_code == 200
    assert body(answer) == row.path.read_bytes()
