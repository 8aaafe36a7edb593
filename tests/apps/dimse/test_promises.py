"""What nodes ask us to keep, and what we say of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel

from isocenter.apps.archive.incoming import FilePayload, Incoming, Origin
from isocenter.apps.archive.ingest import ingest_records
from isocenter.apps.archive.models import Instance
from isocenter.apps.audit.queries import events
from isocenter.apps.dimse import promises
from isocenter.apps.dimse.keeping import Kept, kept
from isocenter.apps.dimse.models import CommitmentPromise
from isocenter.apps.dimse.services import ArchiveKeeper
from isocenter.apps.routing.models import QuarantineItem
from isocenter.apps.transfers.models import Node
from isocenter.core.network.acceptor import Acceptor, AcceptorConfig
from isocenter.core.network.client import Peer
from isocenter.core.network.commitment import CommitmentService
from isocenter.core.network.commitment_client import CommitmentNotTaken, request_commitment
from isocenter.core.network.commitment_data import CommitmentRequest, CommitmentResult, Reference
from isocenter.core.network.policy import ReceivePolicy
from isocenter.core.phantoms import head_phantom

pytestmark = pytest.mark.django_db(transaction=True)

SIZE = {"slices": 3, "rows": 16, "columns": 16, "spacing_mm": 5.0, "slice_distance_mm": 30.0}
STATE = CommitmentPromise.State


def ingest(files: list[Path]) -> None:
    origin = Origin("dimse", "PEER", "ISOCENTER", "127.0.0.1")
    now = timezone.now()
    ingest_records([Incoming(FilePayload(path), origin, now) for path in files])


def references() -> list[Reference]:
    rows = Instance.objects.order_by("pk")
    return [Reference(row.sop_class_uid, row.sop_uid) for row in rows]


def file_of(reference: Reference) -> Path:
    row = Instance.objects.get(sop_uid=reference.sop_instance_uid)
    return Path(settings.LAYOUT.archive) / row.path


@pytest.fixture
def files(tmp_path: Path, db: None) -> list[Path]:
    return head_phantom("a", **SIZE).write(tmp_path / "phantom")


@pytest.fixture
def archived(files: list[Path]) -> list[Reference]:
    ingest(files)
    return references()


@pytest.fixture
def listening() -> Iterator[Callable[[], tuple[int, list[Any]]]]:
    """The node's own SCU role: where results come in that come later."""
    servers = []

    def start() -> tuple[int, list[Any]]:
        heard: list[Any] = []

        def event(happened: Any) -> tuple[int, None]:
            heard.append((happened.event_type, happened.event_information))
            return 0x0000, None

        entity = AE("PEER")
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
        server = entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, event)]
        )
        servers.append(server)
        return server.server_address[1], heard

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def us() -> Iterator[Peer]:
    acceptor = Acceptor(
        AcceptorConfig(),
        [CommitmentService(ArchiveKeeper(), wait_s=2)],
        ReceivePolicy,
        lambda _: None,
    )
    acceptor.start()
    yield Peer("127.0.0.1", acceptor.addresses[0][1], calling_ae_title="PEER", timeout_s=10)
    acceptor.stop(5)


def settled() -> CommitmentPromise:
    """The one promise, once its end is written: the peer hears of it before."""
    deadline = time.monotonic() + 10
    while (row := CommitmentPromise.objects.get()).state == STATE.OWED:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return row


def ingest_elsewhere(files: list[Path]) -> None:
    """In a thread of its own, which gives its connection back."""
    try:
        ingest(files)
    finally:
        connection.close()


def node(port: int = 104, **values: Any) -> Node:
    given = {"ae_title": "PEER", "host": "127.0.0.1", "port": port, "allows": ["commit"]}
    return Node.objects.create(name="peer", kind="dimse", **{**given, **values})


def test_what_is_there_is_kept(archived: list[Reference]) -> None:
    assert kept(archived).committed == tuple(archived)


def test_what_is_not_there_is_missing(archived: list[Reference]) -> None:
    unknown = Reference(archived[0].sop_class_uid, "1.2.3")
    found = kept([unknown, *archived])
    assert (found.missing, found.all_failed) == ((unknown,), {unknown: 0x0112})


def test_another_class_under_this_uid_is_a_conflict(archived: list[Reference]) -> None:
    other = Reference("1.2.840.10008.5.1.4.1.1.4", archived[0].sop_instance_uid)
    assert kept([other]).failed == {other: 0x0119}


@pytest.mark.parametrize("damage", ["gone", "short", "changed"])
def test_a_damaged_file_is_not_kept(archived: list[Reference], damage: str) -> None:
    path = file_of(archived[0])
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "short":
        path.write_bytes(content[:-2])
    else:
        content[-1] ^= 1
        path.write_bytes(content)
    assert kept(archived).failed == {archived[0]: 0x0110}


def test_another_data_set_with_its_uid_in_quarantine_puts_it_in_doubt(
    files: list[Path], archived: list[Reference], tmp_path: Path
) -> None:
    """Who asks may mean that one, and delete it on a yes."""
    other = dcmread(files[0])
    other.PatientName = "Somebody^Else"
    other.save_as(tmp_path / "other.dcm")
    ingest([tmp_path / "other.dcm"])
    (sop_uid,) = QuarantineItem.objects.values_list("sop_uid", flat=True)
    (doubtful,) = (each for each in archived if each.sop_instance_uid == sop_uid)
    others = tuple(each for each in archived if each != doubtful)

    assert kept(archived) == Kept(committed=others, failed={doubtful: 0x0110})
    QuarantineItem.objects.update(state=QuarantineItem.State.RELEASED)
    assert kept(archived).committed == tuple(archived)


def test_what_was_replaced_puts_nothing_in_doubt(
    files: list[Path], archived: list[Reference], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replacing = settings.ISOCENTER.storage.model_copy(update={"duplicate_policy": "replace"})
    configuration = settings.ISOCENTER.model_copy(update={"storage": replacing})
    monkeypatch.setattr(settings, "ISOCENTER", configuration)
    other = dcmread(files[0])
    other.PatientComments = "corrected"
    other.save_as(tmp_path / "other.dcm")
    ingest([tmp_path / "other.dcm"])
    assert QuarantineItem.objects.get().was_archived

    assert kept(archived).committed == tuple(archived)


def test_long_files_are_not_read_for_ever(archived: list[Reference]) -> None:
    """Beyond its time the length decides."""
    path = file_of(archived[0])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert kept(archived, digests_s=0).committed == tuple(archived)


def test_a_node_hears_on_its_own_association(archived: list[Reference], us: Peer) -> None:
    node()
    request = CommitmentRequest("2.25.5", tuple(archived))
    assert request_commitment(us, request, wait_s=5) == CommitmentResult("2.25.5", tuple(archived))
    row = settled()
    assert (row.committed, row.failed) == (len(archived), 0)
    event = next(event for event in events() if event.kind == "COMMITMENT")
    assert event.detail["direction"] == "asked of us"


def test_what_is_still_in_the_spool_is_waited_for(files: list[Path], us: Peer) -> None:
    node()
    ingest(files)
    all_of_it = tuple(references())
    Instance.objects.all().delete()
    threading.Timer(0.7, ingest_elsewhere, [files]).start()
    result = request_commitment(us, CommitmentRequest("2.25.6", all_of_it), wait_s=8)
    assert result is not None
    assert result.failed == {}


def test_a_node_that_goes_hears_later(
    archived: list[Reference], us: Peer, listening: Callable[[], tuple[int, list[Any]]]
) -> None:
    port, heard = listening()
    node(port)
    unknown = Reference(archived[0].sop_class_uid, "1.2.3")
    request = CommitmentRequest("2.25.7", (*archived, unknown))
    assert request_commitment(us, request, wait_s=0.01) is None
    row = CommitmentPromise.objects.get()
    CommitmentPromise.objects.update(next_at=timezone.now())
    promises.report(row.pk)
    assert heard == []  # it may still come in
    long_ago = timezone.now() - timedelta(seconds=promises.PATIENCE_S)
    CommitmentPromise.objects.update(next_at=timezone.now(), asked_at=long_ago)
    promises.report(row.pk)
    kind, content = heard[0]
    assert (kind, len(content.ReferencedSOPSequence)) == (2, len(archived))
    assert content.FailedSOPSequence[0].FailureReason == 0x0112
    row.refresh_from_db()
    assert (row.state, row.committed, row.failed) == (STATE.REPORTED, len(archived), 1)
    promises.report(row.pk)
    assert len(heard) == 1


def test_a_node_that_cannot_be_reached_is_tried_again_and_given_up(
    archived: list[Reference], listening: Callable[[], tuple[int, list[Any]]]
) -> None:
    node(1)
    promises.promise("peer", CommitmentRequest("2.25.8", tuple(archived)))
    row = CommitmentPromise.objects.get()
    for attempt in range(12):
        CommitmentPromise.objects.update(next_at=timezone.now())
        promises.report(row.pk)
        row.refresh_from_db()
        assert row.state == (STATE.OWED if attempt < 11 else STATE.GIVEN_UP)
    assert "cannot be reached" in row.reason


def test_a_report_that_is_not_due_is_nobodys(archived: list[Reference]) -> None:
    node(1)
    promises.promise("peer", CommitmentRequest("2.25.9", tuple(archived)))
    row = CommitmentPromise.objects.get()
    promises.report(row.pk)
    row.refresh_from_db()
    assert row.attempts == 0
    CommitmentPromise.objects.update(next_at=timezone.now() - timedelta(hours=1))
    assert promises.sweep() == 1


@pytest.mark.parametrize("values", [{"allows": ["store"]}, {"enabled": False}, {"ae_title": "X"}])
def test_who_may_not_ask_is_refused(
    archived: list[Reference], us: Peer, values: dict[str, Any]
) -> None:
    node(**values)
    with pytest.raises(CommitmentNotTaken, match="0124H"):
        request_commitment(us, CommitmentRequest("2.25.5", tuple(archived)), wait_s=1)
    assert not CommitmentPromise.objects.exists()


def test_a_result_that_nobody_asked_for_is_refused(us: Peer, db: None) -> None:
    node()
    entity = AE("PEER")
    entity.add_requested_context(StorageCommitmentPushModel)
    association = entity.associate("127.0.0.1", us.port)
    content = Dataset()
    content.TransactionUID = "2.25.1"
    status, _ = association.send_n_event_report(
        content, 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1"
    )
    association.release()
    assert status.Status == 0x0115
