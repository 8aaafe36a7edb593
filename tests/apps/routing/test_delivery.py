"""Deliveries: only what is missing, retried with patience, refused for good, never forgotten."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from datetime import timedelta

import pydicom
import pytest
from django.db import connection
from django.utils import timezone
from pynetdicom import AE, AllStoragePresentationContexts, evt

from isocenter.apps.archive.incoming import Origin
from isocenter.apps.audit.queries import events
from isocenter.apps.routing import delivery as delivery_module
from isocenter.apps.routing import queries
from isocenter.apps.routing.delivery import send, wait_before
from isocenter.apps.routing.documents import write_yaml
from isocenter.apps.routing.models import Delivery, DeliveryItem, QuarantineItem, Run
from isocenter.apps.routing.services import (
    apply_yaml,
    cancel_run,
    release_quarantined,
    retry_quarantined,
    retry_run,
)
from isocenter.apps.routing.slots import slots
from isocenter.apps.routing.sweeping import sweep

pytestmark = pytest.mark.django_db(transaction=True)

ORIGINALS = [{"step": "deliver", "with": {"what": "originals"}}]


class Peer:
    """A storage SCP that answers as it is told."""

    def __init__(self, port: int = 0) -> None:
        self.status = 0x0000
        self.received: list[str] = []
        self.delay_s = 0.0
        self.most = 0  # associations at once
        self._ae = AE("PEER")
        self._ae.supported_contexts = AllStoragePresentationContexts
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            self.port = probe.getsockname()[1]
        self._server = None

    def start(self) -> None:
        self._server = self._ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _store(self, event) -> int:
        there = sum(one.is_established for one in self._server.active_associations)
        self.most = max(self.most, there)
        time.sleep(self.delay_s)
        if self.status == 0:
            self.received.append(str(event.request.AffectedSOPInstanceUID))
        return self.status


@pytest.fixture
def peer():
    node = Peer()
    node.start()
    yield node
    node.stop()


@pytest.fixture
def run_to(stored, go, transactional_db):
    """A run that delivers the originals to nodes."""

    def do(nodes, destinations=("peer",), *, key="a", origin=None, **size) -> Run:
        apply_yaml(
            write_yaml(
                {
                    "nodes": nodes,
                    "pipelines": [{"name": "p", "steps": ORIGINALS}],
                    "routes": [{"name": "r", "pipeline": "p", "destinations": list(destinations)}],
                }
            )
        )
        more = {"origin": origin} if origin else {}
        _, revision = stored(key, **more, **size)
        run = go(revision)
        assert run.state == Run.State.DONE, run.reason
        return run

    return do


def dimse(port: int, name: str = "peer", **more):
    return {
        "name": name,
        "kind": "dimse",
        "host": "127.0.0.1",
        "port": port,
        "ae_title": "PEER",
    } | more


def states(run: Run) -> dict[str, int]:
    counts = queries.delivery_counts(run.deliveries.get())
    return {name: count for name, count in counts.items() if count}


def due(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(
        next_attempt_at=timezone.now() - timedelta(seconds=1)
    )


def test_everything_is_sent_once(run_to, peer):
    run = run_to([dimse(peer.port)])
    delivery = run.deliveries.get()
    send(delivery.pk)
    send(delivery.pk)  # a job that came twice
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.DONE
    assert len(peer.received) == len(set(peer.received)) == 6
    kinds = [e.kind for e in events(run.study.study_uid) if e.kind.startswith("SENDING")]
    assert sorted(kinds) == ["SENDING_START", "SENDING_SUCCESS"]


def test_a_peer_that_is_down_and_comes_back(run_to, peer):
    run = run_to([dimse(peer.port)])
    delivery = run.deliveries.get()
    peer.stop()
    send(delivery.pk)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (Delivery.State.WAITING, 1)
    assert delivery.next_attempt_at is not None
    peer.start()
    due(delivery)
    send(delivery.pk)
    assert states(run) == {"sent": 6}
    assert len(peer.received) == 6


def test_only_what_is_missing_is_sent_again(run_to, peer, monkeypatch):
    run = run_to([dimse(peer.port)])
    delivery = run.deliveries.get()
    store = peer._store

    def three_then_full(event):
        return store(event) if len(peer.received) < 3 else 0xA700

    monkeypatch.setattr(peer, "_store", three_then_full)
    peer.stop()
    peer.start()
    send(delivery.pk)
    assert states(run) == {"sent": 3, "pending": 3}
    monkeypatch.undo()
    peer.stop()
    peer.start()
    due(delivery)
    send(delivery.pk)
    assert states(run) == {"sent": 6}
    assert len(peer.received) == len(set(peer.received)) == 6


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0122])
def test_what_a_peer_refuses_for_good_is_not_tried_again(run_to, peer, status):
    peer.status = status
    run = run_to([dimse(peer.port)])
    send(run.deliveries.get().pk)
    delivery = run.deliveries.get()
    assert (delivery.state, delivery.attempts) == (Delivery.State.FAILED, 1)
    assert states(run) == {"refused": 6}
    item = QuarantineItem.objects.get(delivery=delivery)
    assert f"{status:04X}" in item.reason
    assert "peer" in item.reason


def test_given_up_after_the_attempts_and_put_back_by_a_person(run_to, peer):
    run = run_to([dimse(peer.port)])
    delivery = run.deliveries.get()
    peer.stop()
    for _ in range(3):
        due(delivery)
        send(delivery.pk)
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.FAILED
    assert "given up after 3 attempts" in delivery.reason
    item = QuarantineItem.objects.get(delivery=delivery)
    peer.start()

    retry_quarantined(item.pk)
    send(delivery.pk)

    item.refresh_from_db()
    assert states(run) == {"sent": 6}
    assert item.state == "resolved"


def test_waits_double_with_jitter_up_to_a_bound(configure):
    configure(delivery={"first_wait_s": 30, "max_wait_s": 1200, "attempts": 8})
    waits = [wait_before(n).total_seconds() for n in range(1, 8)]
    for wait, base in zip(waits, (30, 60, 120, 240, 480, 960, 1200), strict=True):
        assert 0.8 * base <= wait <= 1.2 * base
    assert wait_before(10_000).total_seconds() <= 1440


def test_a_node_gets_no_more_associations_than_its_own_number(run_to, peer):
    run = run_to([dimse(peer.port, max_associations=1)])
    delivery = run.deliveries.get()
    taken = threading.Event()
    done = threading.Event()

    def hold() -> None:
        with slots("peer", 1) as held:
            assert held.take()
            taken.set()
            done.wait(60)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert taken.wait(60)
    send(delivery.pk)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (Delivery.State.QUEUED, 0)
    assert not peer.received
    done.set()
    holder.join()
    send(delivery.pk)
    assert states(run) == {"sent": 6}


def test_a_big_delivery_takes_the_slots_that_are_free(run_to, peer):
    peer.delay_s = 0.02
    run = run_to([dimse(peer.port)], slices=23)
    send(run.deliveries.get().pk)
    assert states(run) == {"sent": 24}
    assert len(peer.received) == len(set(peer.received)) == 24
    assert peer.most == 2
    with slots("peer", 2) as held:
        assert held.take(2) == 2, "a slot was not given back"


@pytest.mark.parametrize(("limit", "most"), [(1, 1), (2, 2), (3, 3)])
def test_deliveries_at_once_never_exceed_the_nodes_number(run_to, peer, limit, most):
    peer.delay_s = 0.01
    nodes = [dimse(peer.port, max_associations=limit)]
    keys = [run_to(nodes, key=key, slices=39).deliveries.get().pk for key in "abc"]

    def work(pk: int) -> None:
        deadline = time.monotonic() + 120
        while Delivery.objects.get(pk=pk).state != Delivery.State.DONE:
            assert time.monotonic() < deadline
            send(pk)
            time.sleep(0.02)
        connection.close()

    workers = [threading.Thread(target=work, args=(pk,)) for pk in keys]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert len(peer.received) == len(set(peer.received)) == 120
    assert peer.most == most


def test_a_delivery_that_waits_is_left_its_slot(run_to, peer):
    nodes = [dimse(peer.port)]
    first = run_to(nodes, key="a", slices=23)
    run_to(nodes, key="b")
    peer.delay_s = 0.01
    send(first.deliveries.get().pk)
    assert states(first) == {"sent": 24}
    assert peer.most == 1


def test_slots_are_taken_once_and_given_back(transactional_db):
    with slots("node", 3) as held:
        assert [held.take(), held.take(5), held.take()] == [1, 2, 0]
        others: list[int] = []

        def other() -> None:
            with slots("node", 3) as theirs:
                others.append(theirs.take())
            connection.close()

        for _ in range(2):
            thread = threading.Thread(target=other)
            thread.start()
            thread.join(60)
            held.give_back()
    assert others == [0, 1]


def test_an_association_that_breaks_leaves_its_instance_to_the_next_attempt(run_to, peer):
    peer.delay_s = 0.01
    store = peer._store
    broken = threading.Event()

    def break_one(event):
        if len(peer.received) > 8 and event.assoc is not peer._server.active_associations[0]:
            broken.set()
            event.assoc.abort()
            return 0xA700
        return store(event)

    peer._store = break_one
    peer.stop()
    peer.start()
    run = run_to([dimse(peer.port)], slices=39)
    delivery = run.deliveries.get()
    send(delivery.pk)
    delivery.refresh_from_db()
    assert broken.is_set()
    assert delivery.state == Delivery.State.WAITING
    assert states(run) == {"sent": 39, "pending": 1}
    peer._store = store
    peer.stop()
    peer.start()
    due(delivery)
    send(delivery.pk)
    assert states(run) == {"sent": 40}


def test_what_an_earlier_run_has_sent_is_not_sent_again(run_to, peer):
    run = run_to([dimse(peer.port)])
    send(run.deliveries.get().pk)
    again = queries.route("r")
    from isocenter.apps.routing.execution import execute
    from isocenter.apps.routing.services import start_run

    second = start_run(run.revision, again.pipeline, route=again)
    execute(second.pk)
    send(second.deliveries.get().pk)
    assert states(second) == {"sent": 6}
    assert len(peer.received) == 6
    assert str(run.pk) in second.deliveries.get().items.first().note


def test_return_to_sender_goes_to_the_node_with_that_ae_title(run_to, peer):
    nodes = [dimse(peer.port, "scanner", ae_title="SENDER")]
    run = run_to(nodes, ["return-to-sender"])
    send(run.deliveries.get().pk)
    assert run.deliveries.get().target == {"node": "scanner"}
    assert len(peer.received) == 6


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        (Origin("dimse", "STRANGER", "ISOCENTER", "10.0.0.9"), "AE title STRANGER"),
        (Origin("import"), "not sent by a DICOM system"),
    ],
)
def test_return_to_a_sender_that_is_not_known(stored, apply, go, origin, words):
    apply(condition="", steps=ORIGINALS, destinations=["return-to-sender"])
    run = go(stored(origin=origin)[1])
    assert run.state == Run.State.FAILED
    assert words in run.reason


def test_a_folder_gets_whole_files_under_their_uids(stored, apply, go, send_all, folder_node):
    apply(condition="", steps=ORIGINALS)
    study, revision = stored()
    run = go(revision)
    send_all(run)
    found = {path.relative_to(folder_node) for path in folder_node.rglob("*") if path.is_file()}
    assert len(found) == len(study.files)
    for path in found:
        ds = pydicom.dcmread(folder_node / path, stop_before_pixels=True)
        assert path.parts == (
            ds.StudyInstanceUID, ds.SeriesInstanceUID, f"{ds.SOPInstanceUID}.dcm"
        )  # fmt: skip


def test_a_folder_that_cannot_be_written_is_tried_again(stored, apply, go, send_all, folder_node):
    apply(condition="", steps=ORIGINALS)
    run = go(stored()[1])
    folder_node.write_text("in the way")
    send_all(run)
    assert run.deliveries.get().state == Delivery.State.WAITING
    folder_node.unlink()
    due(run.deliveries.get())
    send_all(run)
    assert states(run) == {"sent": 6}


def test_cancel_stops_what_waits(run_to, peer):
    peer.stop()
    run = run_to([dimse(peer.port)])
    send(run.deliveries.get().pk)
    cancel_run(run.pk)
    delivery = run.deliveries.get()
    assert delivery.state == Delivery.State.CANCELLED
    peer.start()
    due(delivery)
    send(delivery.pk)
    assert not peer.received

    retry_run(run.pk, from_step="deliver")
    from isocenter.apps.routing.execution import execute

    execute(run.pk)
    send(delivery.pk)
    assert len(peer.received) == 6


def test_cancel_stops_what_is_being_sent(run_to, peer):
    peer.delay_s = 0.6
    run = run_to([dimse(peer.port)])
    pk = run.deliveries.get().pk

    def work() -> None:
        send(pk)
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    deadline = time.monotonic() + 60
    while not peer.received and time.monotonic() < deadline:
        time.sleep(0.05)
    cancel_run(run.pk)
    worker.join(60)
    assert run.deliveries.get().state == Delivery.State.CANCELLED
    assert 0 < len(peer.received) < 6


def test_the_sweep_finds_deliveries_that_nobody_works_on(run_to, peer):
    run = run_to([dimse(peer.port)])
    delivery = run.deliveries.get()
    Delivery.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    assert sweep() == 0
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    assert sweep() == 1
    lease = delivery_module._claim(delivery.pk)
    assert lease is not None
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    assert sweep() == 1
    send(delivery.pk)
    assert states(run) == {"sent": 6}


def test_a_node_that_was_removed_leaves_a_reason(run_to, peer):
    run = run_to([dimse(peer.port)])
    from isocenter.apps.transfers.models import Node

    Node.objects.all().delete()
    send(run.deliveries.get().pk)
    delivery = run.deliveries.get()
    assert delivery.state == Delivery.State.FAILED
    assert "no node 'peer'" in delivery.reason
    released = release_quarantined(QuarantineItem.objects.get().pk)
    assert released.state == "released"


@pytest.mark.peers
@pytest.mark.skipif(not shutil.which("storescp"), reason="DCMTK is not installed")
def test_dcmtk_takes_it(run_to, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path / "dcmtk"
    folder.mkdir()
    process = subprocess.Popen(
        ["storescp", "-aet", "PEER", "+B", "-od", str(folder), str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        run = run_to([dimse(port)])
        send(run.deliveries.get().pk)
        assert {item.state for item in DeliveryItem.objects.all()} == {"sent"}
        assert len(list(folder.iterdir())) == 6
    finally:
        process.terminate()
        process.wait(10)
