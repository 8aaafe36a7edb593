"""DICOMweb services as nodes: what is sent, what became of it, whether they answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from isocenter.apps.transfers import queries
from isocenter.apps.transfers.models import Node
from isocenter.apps.transfers.services import Parcel, Receipt, send_parcels, set_node, test_node
from isocenter.core.dicom.writing import write_part10
from isocenter.core.errors import NetworkError
from isocenter.core.phantoms import head_phantom

test_node.__test__ = False  # type: ignore[attr-defined]


class Service:
    """Refuses what it is told to refuse, and keeps how it was asked."""

    def __init__(self) -> None:
        self.failures: dict[str, int] = {}
        self.status = 200
        self.shown: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                self._answer([])

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                failed = [
                    {"00081155": {"Value": [uid]}, "00081197": {"Value": [reason]}}
                    for uid, reason in outer.failures.items()
                ]
                self._answer({"00081198": {"vr": "SQ", "Value": failed}})

            def _answer(self, document: Any) -> None:
                outer.shown.append(self.headers["Authorization"])
                body = json.dumps(document).encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/dicom-web"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()
    yield found
    found.close()


@pytest.fixture
def node(service: Service, db: None) -> Node:
    values = {"kind": "dicomweb", "url": service.url, "secret": "a token"}
    return set_node("web", values, is_new=True)


@pytest.fixture
def parcels(tmp_path: Path) -> list[Parcel]:
    image = head_phantom("web", slices=1, rows=16, columns=16, spacing_mm=9.0).images[0]
    found = []
    for number in range(1, 4):
        image.SOPInstanceUID = f"1.2.3.{number}"
        path = tmp_path / f"{number}.dcm"
        write_part10(image, path)
        found.append(Parcel(path, str(image.SOPInstanceUID)))
    return found


def receipts(node: Node, parcels: list[Parcel]) -> dict[str, Receipt]:
    found: dict[str, Receipt] = {}
    send_parcels(
        node,
        parcels,
        lambda parcel, receipt: found.update({parcel.sop_uid: receipt}),
        must_stop=lambda: False,
    )
    return found


def test_each_instance_has_a_receipt(node: Node, service: Service, parcels: list[Parcel]) -> None:
    service.status = 202
    service.failures = {"1.2.3.2": 0x0122, "1.2.3.3": 0xA700}
    found = receipts(node, parcels)
    assert (found["1.2.3.2"].is_permanent, found["1.2.3.2"].status) == (True, 0x0122)
    assert (found["1.2.3.3"].is_permanent, found["1.2.3.3"].status) == (False, 0xA700)
    assert service.shown == ["Bearer a token"]


def test_all_are_sent(node: Node, parcels: list[Parcel]) -> None:
    assert all(receipt.is_sent for receipt in receipts(node, parcels).values())


def test_a_file_that_is_gone(node: Node, parcels: list[Parcel]) -> None:
    parcels[1].path.unlink()
    found = receipts(node, parcels)
    assert (found["1.2.3.2"].is_sent, found["1.2.3.2"].is_permanent) == (False, True)
    assert found["1.2.3.1"].is_sent


def test_a_service_that_refuses_us_is_tried_again(
    node: Node, service: Service, parcels: list[Parcel]
) -> None:
    service.status = 401
    with pytest.raises(NetworkError, match="refuses us"):
        receipts(node, parcels)


def test_whether_it_answers(node: Node, service: Service) -> None:
    assert test_node("web").is_ok
    service.status = 503
    result = test_node("web")
    assert not result.is_ok
    assert "503" in result.message
    assert "a token" not in result.message


def test_the_secret_is_not_shown(node: Node) -> None:
    row = queries.node_row(node)
    assert row["has_secret"]
    assert "a token" not in json.dumps(row)
    assert "a token" not in node.secret
