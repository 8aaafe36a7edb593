"""Deliveries to nodes that are asked for Storage Commitment, against pynetdicom as their SCP."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.utils import timezone
from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.presentation import build_role
from pynetdicom.sop_class import StorageCommitmentPushModel

from isocenter.apps.audit.queries import events
from isocenter.apps.dimse.models import CommitmentRequest
from isocenter.apps.dimse.services import ArchiveKeeper
from isocenter.apps.routing.delivery import send
from isocenter.apps.routing.documents import write_yaml
from isocenter.apps.routing.models import Delivery, DeliveryItem, QuarantineItem, Run
from isocenter.apps.routing.rows import delivery_row
from isocenter.apps.routing.run_page import live
from isocenter.apps.routing.services import apply_yaml
from isocenter.core.network.acceptor import Acceptor, AcceptorConfig
from isocenter.core.network.commitment import CommitmentService
from isocenter.core.network.commitment_data import WELL_KNOWN_INSTANCE
from isocenter.core.network.policy import ReceivePolicy

pytestmark = pytest.mark.django_db(transaction=True)


class Committer:
    """A storage SCP that commits as it is told.

    Attributes:
        lost: how many instances of each of the next requests it does not keep.
        reports: whether it says so on the association that asks.
    """

    def __init__(self) -> None:
        self.received: list[str] = []
        self.requests: list[Dataset] = []
        self.status = 0x0000
        self.lost: list[int] = []
        self.reports = True
        entity = AE("PEER")
        entity.supported_contexts = AllStoragePresentationContexts
        entity.add_supported_context(StorageCommitmentPushModel)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._action)]
        self._server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = self._server.server_address[1]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _store(self, event: Any) -> int:
        self.received.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    def _action(self, event: Any) -> tuple[int, None]:
        self.requests.append(event.action_information)
        if self.reports and self.status == 0:
            answer = self.answer(self.requests[-1])
            threading.Timer(0.1, self._tell, [event.assoc, answer]).start()
        return self.status, None

    def answer(self, request: Dataset) -> Dataset:
        count = self.lost.pop(0) if self.lost else 0
        answer = Dataset()
        answer.TransactionUID = request.TransactionUID
        items = list(request.ReferencedSOPSequence)
        for item in items[:count]:
            item.FailureReason = 0x0112
        if count:
            answer.FailedSOPSequence = items[:count]
        answer.ReferencedSOPSequence = items[count:]
        return answer

    def report_later(self, port: int, title: str = "PEER") -> int | None:
        """Over an association of its own, as most PACS do; the status."""
        entity = AE(title)
        entity.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        association = entity.associate("127.0.0.1", port, ext_neg=[role])
        assert association.is_established
        status = self._tell(association, self.answer(self.requests[-1]))
        association.release()
        return status

    @staticmethod
    def _tell(association: Any, answer: Dataset) -> int | None:
        kind = 2 if "FailedSOPSequence" in answer else 1
        status, _ = association.send_n_event_report(
            answer, kind, StorageCommitmentPushModel, WELL_KNOWN_INSTANCE
        )
        return getattr(status, "Status", None)


@pytest.fixture
def peer() -> Iterator[Committer]:
    one = Committer()
    yield one
    one.stop()


@pytest.fixture
def our_port() -> Iterator[int]:
    """Where results come in later."""
    service = CommitmentService(ArchiveKeeper())
    acceptor = Acceptor(AcceptorConfig(), [service], ReceivePolicy, lambda _: None)
    acceptor.start()
    yield acceptor.addresses[0][1]
    acceptor.stop(5)


@pytest.fixture
def delivery(
    stored: Any, go: Any, peer: Committer, configure: Callable[..., None]
) -> Callable[..., Delivery]:
    """A delivery of six instances to the peer."""

    def make(**node: Any) -> Delivery:
        configure(delivery={"commitment_wait_s": 1.5, "first_wait_s": 0.1, "attempts": 3})
        values = {
            **{"name": "peer", "kind": "dimse", "host": "127.0.0.1", "port": peer.port},
            **{"ae_title": "PEER", "wants_commitment": True, "timeout_s": 10, **node},
        }
        pipeline = {"name": "p", "steps": [{"step": "deliver", "with": {"what": "originals"}}]}
        route = {"name": "r", "pipeline": "p", "destinations": ["peer"]}
        apply_yaml(write_yaml({"nodes": [values], "pipelines": [pipeline], "routes": [route]}))
        run = go(stored()[1])
        assert run.state == Run.State.DONE, run.reason
        return run.deliveries.get()

    return make


def again(row: Delivery) -> None:
    """The next attempt, whenever it is due."""
    due = timezone.now() - timedelta(seconds=1)
    Delivery.objects.filter(pk=row.pk).update(next_attempt_at=due)
    send(row.pk)
    row.refresh_from_db()


def sent_of(row: Delivery) -> int:
    return row.items.filter(state=DeliveryItem.State.SENT).count()


def test_a_delivery_is_done_when_it_is_committed(
    delivery: Callable[..., Delivery], peer: Committer
) -> None:
    row = delivery()
    send(row.pk)
    row.refresh_from_db()
    assert row.state == Delivery.State.DONE
    asked = [item.ReferencedSOPInstanceUID for item in peer.requests[0].ReferencedSOPSequence]
    assert sorted(asked) == sorted(peer.received)
    kinds = [event.kind for event in events() if event.kind in ("COMMITMENT", "SENDING_SUCCESS")]
    assert sorted(kinds) == ["COMMITMENT", "SENDING_SUCCESS"]
    transaction = str(peer.requests[0].TransactionUID)
    said = {"state": "committed", "transactions": [transaction]}
    assert delivery_row(row)["commitment"] == said
    (shown,) = live(row.run)["deliveries"]
    assert shown["commitment"] == said
    page = render_to_string("routing/_run_deliveries.html", {"deliveries": [shown]})
    assert f"transaction {transaction}" in page


def test_nobody_is_asked_unasked(delivery: Callable[..., Delivery], peer: Committer) -> None:
    row = delivery(wants_commitment=False)
    send(row.pk)
    row.refresh_from_db()
    assert (row.state, peer.requests) == (Delivery.State.DONE, [])
    assert delivery_row(row)["commitment"] == {"state": "", "transactions": []}


def test_what_is_not_kept_is_sent_and_asked_for_again(
    delivery: Callable[..., Delivery], peer: Committer
) -> None:
    row = delivery()
    peer.lost = [2]
    send(row.pk)
    row.refresh_from_db()
    assert (row.state, row.attempts, sent_of(row)) == (Delivery.State.WAITING, 1, 4)
    assert "it has no such instance" in row.reason
    assert delivery_row(row)["commitment"]["state"] == "refused"
    again(row)
    assert (row.state, len(peer.received)) == (Delivery.State.DONE, 8)
    assert [len(each.ReferencedSOPSequence) for each in peer.requests] == [6, 2]


def test_a_result_may_come_later_over_an_association_of_the_peer(
    delivery: Callable[..., Delivery], peer: Committer, our_port: int
) -> None:
    row = delivery()
    peer.reports = False
    send(row.pk)
    row.refresh_from_db()
    assert (row.state, row.attempts) == (Delivery.State.WAITING, 0)
    assert "Storage Commitment" in row.reason
    assert delivery_row(row)["commitment"]["state"] == "asked"
    assert row.next_attempt_at > timezone.now() + timedelta(minutes=5)
    assert peer.report_later(our_port) == 0x0000
    row.refresh_from_db()
    assert row.next_attempt_at <= timezone.now()
    send(row.pk)
    row.refresh_from_db()
    assert (row.state, len(peer.received)) == (Delivery.State.DONE, 6)


def test_only_who_was_asked_may_answer(
    delivery: Callable[..., Delivery], peer: Committer, our_port: int
) -> None:
    row = delivery()
    peer.reports = False
    send(row.pk)
    assert peer.report_later(our_port, "SOMEBODY") == 0x0124
    peer.requests[-1].TransactionUID = "2.25.1"
    assert peer.report_later(our_port) == 0x0115
    row.refresh_from_db()
    assert row.next_attempt_at > timezone.now()


def test_a_result_that_does_not_come_is_asked_for_again(
    delivery: Callable[..., Delivery], peer: Committer
) -> None:
    row = delivery()
    peer.reports = False
    send(row.pk)
    CommitmentRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    again(row)
    assert (row.state, row.attempts) == (Delivery.State.WAITING, 1)
    assert "no result of Storage Commitment within" in row.reason
    peer.reports = True
    again(row)
    assert (row.state, len(peer.received)) == (Delivery.State.DONE, 6)
    assert len(peer.requests) == 2


def test_a_late_result_counts(
    delivery: Callable[..., Delivery], peer: Committer, our_port: int
) -> None:
    row = delivery()
    peer.reports = False
    send(row.pk)
    CommitmentRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    again(row)
    assert peer.report_later(our_port) == 0x0000
    again(row)
    assert (row.state, len(peer.requests)) == (Delivery.State.DONE, 1)


def test_a_peer_that_refuses_to_commit_ends_in_quarantine(
    delivery: Callable[..., Delivery], peer: Committer
) -> None:
    row = delivery()
    peer.status = 0x0213
    send(row.pk)
    again(row)
    again(row)
    assert row.state == Delivery.State.FAILED
    assert "0213H" in QuarantineItem.objects.get(delivery=row).reason
    assert len(peer.received) == 6


def test_a_result_inside_the_last_moment_is_not_missed(
    delivery: Callable[..., Delivery],
    peer: Committer,
    our_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It comes when the sender has decided to wait, and before it does."""
    from isocenter.apps.routing import committing

    row = delivery()
    peer.reports = False
    wait = committing.wait
    done = threading.Event()

    def told_just_before(*arguments: Any) -> None:
        thread = threading.Thread(target=lambda: (peer.report_later(our_port), done.set()))
        thread.start()
        time.sleep(1)
        wait(*arguments)

    monkeypatch.setattr(committing, "wait", told_just_before)
    send(row.pk)
    assert done.wait(20)
    row.refresh_from_db()
    assert row.next_attempt_at <= timezone.now()
    send(row.pk)
    row.refresh_from_db()
    assert row.state == Delivery.State.DONE
