"""DCMTK, Orthanc and pynetdicom as peers of the receiver and of the requestor."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from isocenter.apps.archive.spool import EventJournal, EventReader, Spool, SpoolReader
from isocenter.core.network.client import Peer
from isocenter.core.network.proposals import read_item
from isocenter.core.network.query import count_study
from isocenter.core.network.requestor import Outcome, echo, send
from isocenter.runtime.receiver import build_acceptor
from isocenter.runtime.settings import Receiver, Settings
from stand.peers import Orthanc, Serving, content_of, program, run

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # pydicom's, about values that are odd
]


def data_sets_of(paths: Sequence[Path]) -> dict[str, Dataset]:
    return {read_item(path).sop_instance_uid: dcmread(path) for path in paths}


def same_content(one: Dataset, other: Dataset) -> bool:
    """Equal but for group lengths and padding, which DCMTK mends on the way."""
    for ds in (one, other):
        tags = [element.tag for element in ds]
        for tag in tags:
            if tag.element == 0 or tag == 0xFFFCFFFC:
                del ds[tag]
    pixels = [
        bytes(ds.pop("PixelData").value).rstrip(b"\0") if "PixelData" in ds else b""
        for ds in (one, other)
    ]
    return one == other and pixels[0] == pixels[1]


class Receiving:
    """The receiver's acceptor with a real spool."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(
            data_dir=folder,
            receiver=Receiver(
                hosts=("127.0.0.1",), port=0, acse_timeout_s=30, network_timeout_s=60
            ),
        )
        self.folder = folder
        self.spool = Spool(folder, segment_bytes=4 << 20)
        self.journal = EventJournal(folder)
        self.acceptor = build_acceptor(settings, self.spool, self.journal, folder / "policy.json")
        self.acceptor.start()
        self.port = str(self.acceptor.addresses[0][1])

    def stored(self) -> dict[str, bytes]:
        """Data set bytes by SOP instance UID."""
        reader = SpoolReader(self.folder)
        return {
            record.meta["sop_instance_uid"]: record.read(at=record.meta["dataset_offset"])
            for name in reader.segments()
            for record in reader.records(name)
        }

    def data_sets(self) -> dict[str, Dataset]:
        """DCMTK writes lengths of sequences anew when it sends: compare values, not bytes."""
        reader = SpoolReader(self.folder)
        return {
            record.meta["sop_instance_uid"]: dcmread(BytesIO(record.read()))
            for name in reader.segments()
            for record in reader.records(name)
        }

    def metas(self) -> list[dict[str, Any]]:
        reader = SpoolReader(self.folder)
        return [record.meta for name in reader.segments() for record in reader.records(name)]

    def kinds(self) -> list[str]:
        reader = EventReader(self.folder)
        return [event.kind for file in reader.files() for event in reader.events(file)]

    def stop(self) -> None:
        self.acceptor.stop(30)
        self.journal.close()
        self.spool.close()


@pytest.fixture
def receiving(tmp_path: Path) -> Iterator[Receiving]:
    one = Receiving(tmp_path / "spool")
    yield one
    one.stop()


@pytest.fixture(scope="module")
def study(shared_data: Path) -> list[Path]:
    return sorted((shared_data / "rt_STS_001" / "CT").rglob("*.dcm"))


def test_echoscu(receiving: Receiving) -> None:
    run(program("echoscu"), "-aet", "ME", "127.0.0.1", receiving.port)
    assert receiving.kinds() == ["ASSOCIATION_ACCEPTED", "C_ECHO", "ASSOCIATION_RELEASED"]


def test_termscu_is_refused_in_good_order(receiving: Receiving) -> None:
    """It proposes DCMTK's private shutdown class, which counts as storage and does nothing."""
    run(program("termscu"), "127.0.0.1", receiving.port, code=None)
    run(program("echoscu"), "127.0.0.1", receiving.port)


def test_findscu_is_refused_where_there_is_no_platform(receiving: Receiving) -> None:
    told = run(
        program("findscu"),
        "-v",
        "-S",
        "-k",
        "QueryRetrieveLevel=STUDY",
        "127.0.0.1",
        receiving.port,
        code=None,
    )
    assert "Refused: OutOfResources" in told or "Failed: UnableToProcess" in told, told
    run(program("echoscu"), "127.0.0.1", receiving.port)


@pytest.mark.parametrize("options", [[], ["--max-send-pdu", "4096"], ["-R"]])
def test_storescu(receiving: Receiving, study: list[Path], options: list[str]) -> None:
    run(
        program("storescu"),
        "-aet",
        "SCANNER",
        "-aec",
        "US",
        *options,
        "127.0.0.1",
        receiving.port,
        *map(str, study),
    )
    assert receiving.data_sets() == data_sets_of(study)
    assert {meta["calling_ae_title"] for meta in receiving.metas()} == {"SCANNER"}
    assert {meta["called_ae_title"] for meta in receiving.metas()} == {"US"}


def test_dcmsend(receiving: Receiving, study: list[Path]) -> None:
    run(program("dcmsend"), "127.0.0.1", receiving.port, *map(str, study))
    assert receiving.data_sets() == data_sets_of(study)


def test_dcmsend_with_every_transfer_syntax(receiving: Receiving, shared_data: Path) -> None:
    """Compressed data sets arrive as they are, whatever DCMTK can send without decoding."""
    paths = []
    for path in sorted((shared_data / "transfer_syntaxes").rglob("*.dcm")):
        with contextlib.suppress(Exception):
            dcmread(path, stop_before_pixels=True)
            paths.append((path, read_item(path)))
    sent = {}
    for path, item in paths:
        told = run(
            program("dcmsend"),
            "--no-uid-checks",
            "--decompress-never",
            "-v",
            "127.0.0.1",
            receiving.port,
            str(path),
            code=None,
        )
        if "0x0000: Success" in told or "(Success)" in told:
            sent[item.sop_instance_uid] = item
    stored = receiving.metas()
    syntaxes = {meta["transfer_syntax_uid"] for meta in stored}
    assert len(syntaxes) >= 5, syntaxes
    kept = receiving.data_sets()
    for uid, item in sent.items():
        assert uid in kept
        if sum(one.sop_instance_uid == uid for _, one in paths) == 1:
            assert same_content(kept[uid], dcmread(item.path)), item.path.name


def test_four_senders_at_once(receiving: Receiving, study: list[Path]) -> None:
    senders = [
        subprocess.Popen(
            [program("dcmsend"), "127.0.0.1", receiving.port, *map(str, study[n::4])],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for n in range(4)
    ]
    assert [sender.wait(150) for sender in senders] == [0] * 4
    assert len(receiving.stored()) == len(study)


def test_senders_that_are_killed_leave_nothing(receiving: Receiving, study: list[Path]) -> None:
    for _ in range(5):
        sender = subprocess.Popen(
            [program("storescu"), "--repeat", "50", "127.0.0.1", receiving.port, *map(str, study)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.15)
        sender.kill()
        sender.wait(60)
    contents = data_sets_of(study)
    for uid, stored in receiving.data_sets().items():
        assert stored == contents[uid]
    run(program("echoscu"), "127.0.0.1", receiving.port)


@pytest.mark.parametrize(("options", "used"), [([], 1), (["--fork"], 2)])
def test_two_associations_to_storescp(
    serving: Serving, study: list[Path], tmp_path: Path, options: list[str], used: int
) -> None:
    """Without --fork it serves one at a time: the other is given up, and is not in the way."""
    target = tmp_path / "storescp"
    target.mkdir()
    scp = program("storescp")
    port = serving.start_somewhere(
        lambda port: [scp, *options, "--bit-preserving", "-od", str(target), str(port)]
    )
    peer = Peer("127.0.0.1", port, timeout_s=60)
    for _ in range(2):
        report = send(study, peer, associations=2)
        assert report.is_complete
        assert report.error is None
        assert report.associations == used
        assert report.seconds < 5
    kept = {str(dcmread(path).SOPInstanceUID): content_of(path) for path in target.iterdir()}
    assert kept == {read_item(path).sop_instance_uid: content_of(path) for path in study}


def test_to_storescp(serving: Serving, study: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "storescp"
    target.mkdir()
    scp = program("storescp")
    port = serving.start_somewhere(
        lambda port: [scp, "--accept-all", "--bit-preserving", "-od", str(target), str(port)]
    )
    peer = Peer("127.0.0.1", port, timeout_s=60)
    assert echo(peer) > 0
    report = send(study, peer)
    assert report.is_complete
    assert report.associations == 1
    kept = {str(dcmread(path).SOPInstanceUID): content_of(path) for path in target.iterdir()}
    assert kept == {read_item(path).sop_instance_uid: content_of(path) for path in study}


def test_storescp_that_takes_only_implicit(
    serving: Serving, shared_data: Path, tmp_path: Path
) -> None:
    """What it does not take is decompressed, and every instance says so."""
    target = tmp_path / "storescp"
    target.mkdir()
    scp = program("storescp")
    port = serving.start_somewhere(lambda port: [scp, "--implicit", "-od", str(target), str(port)])
    wanted = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1"}
    items = {}
    for path in sorted((shared_data / "transfer_syntaxes").rglob("*.dcm")):
        with contextlib.suppress(Exception):
            item = read_item(path)
            if item.transfer_syntax_uid in wanted:
                wanted.remove(item.transfer_syntax_uid)
                items[path] = item
    report = send(items.values(), Peer("127.0.0.1", port, timeout_s=60))
    assert report.is_complete, report.results
    assert all("does not accept" in result.note for result in report.results)
    for path in target.iterdir():
        kept = dcmread(path)
        source = next(
            one for one, item in items.items() if item.sop_instance_uid == kept.SOPInstanceUID
        )
        assert kept.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
        assert (kept.pixel_array == dcmread(source).pixel_array).all()


def test_storescp_that_dies_under_us(serving: Serving, study: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "storescp"
    target.mkdir()
    scp = program("storescp")
    port = serving.start_somewhere(
        lambda port: [scp, "--abort-after", "-od", str(target), str(port)]
    )
    report = send(study[:5], Peer("127.0.0.1", port, timeout_s=5))
    assert report.error is not None
    assert report.count(Outcome.NOT_SENT) >= 4


def test_to_orthanc_and_counted_there(serving: Serving, study: list[Path], tmp_path: Path) -> None:
    peer = Peer("127.0.0.1", Orthanc(tmp_path, serving).port, timeout_s=60)
    study_uid = str(dcmread(study[0], stop_before_pixels=True).StudyInstanceUID)
    assert count_study(peer, study_uid, 20) is None
    report = send(study, peer, associations=4)
    assert report.is_complete, report.results[:3]
    assert report.associations == min(4, len(study) // 8)
    assert count_study(peer, study_uid, 20) == len(study)
