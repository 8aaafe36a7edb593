"""The client of DICOMweb services, against services that behave and others that do not."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from isocenter.core.dicom.writing import write_part10
from isocenter.core.errors import NetworkError, NetworkTimeout, ProtocolError
from isocenter.core.network import web_service
from isocenter.core.network.dicomweb import WebPeer, check, count_instances, store
from isocenter.core.network.multipart import (
    MultipartDecoder,
    PartEnd,
    PartStart,
    parse_media_type,
)
from isocenter.core.network.outcomes import Outcome
from isocenter.core.phantoms import head_phantom

Answer = tuple[int, dict[str, str], bytes]


class Service:
    """Answers as it is told, and keeps what it was asked and sent."""

    def __init__(self) -> None:
        self.answer: Callable[[list[bytes]], Answer] = lambda parts: (200, {}, b"")
        self.requests: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                outer._serve(self, [])

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer._serve(self, parts_of(self.headers["Content-Type"], body))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/dicom-web"

    def _serve(self, handler: BaseHTTPRequestHandler, parts: list[bytes]) -> None:
        seen = {"path": handler.path, "headers": dict(handler.headers), "parts": parts}
        self.requests.append(seen)
        status, headers, body = self.answer(parts)
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def parts_of(content_type: str, body: bytes) -> list[bytes]:
    decoder = MultipartDecoder(parse_media_type(content_type).parameters["boundary"])
    found: list[bytes] = []
    payload = bytearray()
    for event in decoder.feed(body):
        if isinstance(event, PartStart):
            assert event.headers["content-type"] == "application/dicom"
            payload = bytearray()
        elif isinstance(event, PartEnd):
            found.append(bytes(payload))
        else:
            payload += event
    decoder.finish()
    return found


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()
    yield found
    found.close()


@pytest.fixture
def peer(service: Service) -> WebPeer:
    return WebPeer(service.url, timeout_s=5)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    image: Dataset = head_phantom("web", slices=1, rows=16, columns=16, spacing_mm=9.0).images[0]
    found = []
    for number in range(1, 5):
        image.SOPInstanceUID = f"1.2.3.{number}"
        found.append(tmp_path / f"{number}.dcm")
        write_part10(image, found[-1])
    return found


def sequence(tag: str, *items: tuple[str, str, int]) -> dict[str, Any]:
    """A sequence of references, each with a number under a tag."""
    return {
        tag: {
            "vr": "SQ",
            "Value": [
                {
                    "00081155": {"vr": "UI", "Value": [uid]},
                    **({inner: {"vr": "US", "Value": [number]}} if inner else {}),
                }
                for uid, inner, number in items
            ],
        }
    }


def dicom_json(status: int, document: Any) -> Callable[[list[bytes]], Answer]:
    return lambda parts: (status, {}, json.dumps(document).encode())


def test_files_go_byte_for_byte(service: Service, peer: WebPeer, files: list[Path]) -> None:
    report = store(files, peer)
    assert report.error is None
    assert [result.outcome for result in report.results] == [Outcome.STORED] * 4
    assert service.requests[0]["parts"] == [path.read_bytes() for path in files]
    assert service.requests[0]["path"] == "/dicom-web/studies"
    assert report.bytes_sent == int(service.requests[0]["headers"]["Content-Length"])


def test_each_instance_has_its_own_outcome(
    service: Service, peer: WebPeer, files: list[Path]
) -> None:
    document = sequence("00081199", ("1.2.3.1", "", 0), ("1.2.3.2", "00081196", 0xB000)) | sequence(
        "00081198", ("1.2.3.3", "00081197", 0x0122)
    )
    service.answer = dicom_json(202, document)
    told = []
    report = store(files, peer, on_result=told.append)
    assert told == report.results
    found = {result.sop_instance_uid: (result.outcome, result.status) for result in told}
    assert found == {
        "1.2.3.1": (Outcome.STORED, 0),
        "1.2.3.2": (Outcome.STORED, 0xB000),
        "1.2.3.3": (Outcome.FAILED, 0x0122),
        "1.2.3.4": (Outcome.FAILED, 0x0110),  # not named: it may pass another time
    }


def test_who_we_are(service: Service, peer: WebPeer) -> None:
    service.answer = dicom_json(200, [])
    check(WebPeer(peer.url, username="u", secret="s"))
    check(WebPeer(peer.url, secret="token"))
    check(peer)
    shown = [request["headers"].get("Authorization") for request in service.requests]
    assert shown == ["Basic dTpz", "Bearer token", None]
    assert "token" not in repr(WebPeer(peer.url, secret="token"))


@pytest.mark.parametrize("status", [400, 413])
def test_what_is_refused_whole_is_sent_in_halves(
    service: Service, peer: WebPeer, files: list[Path], status: int
) -> None:
    bad = files[2].read_bytes()
    service.answer = lambda parts: (status if bad in parts else 200, {}, b"")
    report = store(files, peer)
    found = {result.path.name: result.outcome for result in report.results}
    assert found.pop("3.dcm") is Outcome.FAILED
    assert set(found.values()) == {Outcome.STORED}
    assert [len(request["parts"]) for request in service.requests] == [4, 2, 2, 1, 1]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (401, "refuses us"),
        (403, "refuses us"),
        (302, "elsewhere"),
        (404, "does not offer"),
        (500, "500"),
        (503, "503"),
    ],
)
def test_what_may_pass_is_not_sent(
    service: Service, peer: WebPeer, files: list[Path], status: int, text: str
) -> None:
    service.answer = lambda parts: (status, {"Location": "http://127.0.0.1:1/"}, b"{}")
    report = store(files, peer)
    assert {result.outcome for result in report.results} == {Outcome.NOT_SENT}
    assert text in str(report.error)
    assert len(service.requests) == 1
    with pytest.raises(NetworkError, match=text):
        check(peer)


def test_a_full_disk_over_there(service: Service, peer: WebPeer, files: list[Path]) -> None:
    failed = sequence("00081198", *((f"1.2.3.{n}", "00081197", 0xA700) for n in range(1, 5)))
    service.answer = dicom_json(507, failed)
    report = store(files, peer)
    assert {(r.outcome, r.status) for r in report.results} == {(Outcome.FAILED, 0xA700)}


def test_nobody_there(files: list[Path]) -> None:
    report = store(files, WebPeer("http://127.0.0.1:9/dicom-web", timeout_s=2))
    assert {result.outcome for result in report.results} == {Outcome.NOT_SENT}
    assert isinstance(report.error, NetworkError)


def test_a_silent_service(service: Service, files: list[Path]) -> None:
    done = threading.Event()

    def hang(parts: list[bytes]) -> Answer:
        done.wait(30)
        return 200, {}, b""

    service.answer = hang
    report = store(files, WebPeer(service.url, timeout_s=0.3))
    done.set()
    assert isinstance(report.error, NetworkTimeout)


def test_answers_have_a_bound(
    service: Service, peer: WebPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_service, "_MAX_ANSWER_BYTES", 1000)
    service.answer = lambda parts: (200, {}, b"[" + b" " * 5000 + b"]")
    with pytest.raises(ProtocolError, match="more than"):
        check(peer)


def test_answers_are_not_unpacked(service: Service, peer: WebPeer) -> None:
    service.answer = lambda parts: (200, {"Content-Encoding": "gzip"}, b"x")
    with pytest.raises(ProtocolError, match="encoding"):
        check(peer)


@pytest.mark.parametrize(
    "body", [b"<html>", b'{"a": 1}', b"[1]", b"[" * 100_000, b"\xff"], ids=range(5)
)
def test_no_dicomweb_service(service: Service, peer: WebPeer, body: bytes) -> None:
    service.answer = lambda parts: (200, {}, body)
    with pytest.raises(ProtocolError, match="not as a DICOMweb service"):
        check(peer)


def test_counting(service: Service, peer: WebPeer) -> None:
    study = {"0020000D": {"vr": "UI", "Value": ["1.2"]}, "00201208": {"vr": "IS", "Value": [7]}}
    service.answer = dicom_json(200, [study])
    assert count_instances(peer, "1.2") == 7
    assert re.search(r"StudyInstanceUID=1\.2(&|$)", service.requests[0]["path"])
    service.answer = lambda parts: (204, {}, b"")
    assert count_instances(peer, "1.2") == 0


def test_stopping(service: Service, peer: WebPeer, files: list[Path]) -> None:
    asked = iter([False, False, True, True, True])
    report = store(files, peer, is_cancelled=lambda: next(asked))
    assert {result.outcome for result in report.results} == {Outcome.NOT_SENT}
    assert report.error is None


def test_a_file_that_is_none(peer: WebPeer, tmp_path: Path, files: list[Path]) -> None:
    none = tmp_path / "none.txt"
    none.write_text("no DICOM")
    report = store([none, files[0]], peer)
    assert [result.outcome for result in report.results] == [Outcome.FAILED, Outcome.STORED]


def test_a_file_without_header_gets_one(
    service: Service, peer: WebPeer, tmp_path: Path, files: list[Path]
) -> None:
    content = files[0].read_bytes()
    length = int.from_bytes(content[140:144], "little")
    bare = tmp_path / "bare.dcm"
    bare.write_bytes(content[144 + length :])
    report = store([bare], peer)
    assert report.is_complete
    (sent,) = service.requests[0]["parts"]
    assert sent[128:132] == b"DICM"
    assert sent.endswith(bare.read_bytes())
