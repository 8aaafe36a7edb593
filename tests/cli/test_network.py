"""``isocenter send`` and ``isocenter echo`` against DICOM peers."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, RTStructureSetStorage, Verification
from typer.testing import CliRunner

from isocenter.cli.main import build
from isocenter.cli.platform import run as run_root


@pytest.fixture
def peer() -> Iterator[Callable[..., int]]:
    servers = []

    def start(status: int = 0) -> int:
        entity = AE(ae_title="PEER")
        for context in (Verification, CTImageStorage, RTStructureSetStorage):
            entity.add_supported_context(context)

        def on_store(event: Any) -> int:
            return status

        server = entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store)]
        )
        servers.append(server)
        return int(server.socket.getsockname()[1])

    yield start
    for server in servers:
        server.shutdown()


def isocenter(*arguments: str) -> Any:
    return CliRunner().invoke(build({"send", "echo"}), list(arguments))


def test_echo(peer: Callable[..., int]) -> None:
    done = isocenter("echo", "127.0.0.1", str(peer()), "--called", "PEER")
    assert done.exit_code == 0
    assert "PEER at 127.0.0.1" in done.stdout


def test_echo_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        assert run_root(build({"echo"}), ["echo", "127.0.0.1", port]) == 1
    told = capsys.readouterr()
    assert "cannot be reached" in told.err
    assert "Traceback" not in told.err


def test_send_a_folder(peer: Callable[..., int], shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no DICOM")
    folder = shared_data / "rt_STS_001" / "CT" / "rtstruct"
    done = isocenter("send", str(folder), str(tmp_path), "127.0.0.1", str(peer()), "--json")
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    assert (row["outcome"], row["status"]) == ("stored", "0000")


@pytest.mark.parametrize(("number", "words"), [("1", ""), ("2", "2 associations")])
def test_send_over_several_associations(
    peer: Callable[..., int], shared_data: Path, number: str, words: str
) -> None:
    folder = shared_data / "rt_STS_001" / "CT"
    done = isocenter("send", str(folder), "127.0.0.1", str(peer()), "--associations", number)
    assert done.exit_code == 0, done.output
    assert ("associations" in done.output) == bool(words)
    assert words in done.output


def test_too_many_associations(peer: Callable[..., int], tmp_path: Path) -> None:
    done = isocenter("send", str(tmp_path), "127.0.0.1", "104", "--associations", "9")
    assert done.exit_code == 2


def test_a_file_that_was_named_and_is_no_dicom_fails(
    peer: Callable[..., int], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no DICOM")
    done = isocenter("send", str(tmp_path / "notes.txt"), "127.0.0.1", str(peer()))
    assert done.exit_code == 1
    assert "failed" in done.stdout


def test_what_the_peer_refuses_fails(peer: Callable[..., int], shared_data: Path) -> None:
    folder = shared_data / "rt_STS_001" / "CT" / "rtstruct"
    done = isocenter("send", str(folder), "127.0.0.1", str(peer(0xA700)))
    assert done.exit_code == 1
    assert "A700" in done.stdout
    assert "out of resources" in done.stdout


def test_titles_are_checked() -> None:
    done = isocenter("echo", "127.0.0.1", "104", "--called", "MUCH TOO LONG A TITLE")
    assert done.exit_code == 2
