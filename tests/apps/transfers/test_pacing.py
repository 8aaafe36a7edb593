"""Rate limits of nodes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from isocenter.apps.transfers.models import Node
from isocenter.apps.transfers.pacing import pace_of
from isocenter.apps.transfers.services import Parcel, Receipt, send_parcels
from isocenter.core.phantoms import head_phantom
from stand.destination import StoringPeer

SIZE = {"slices": 8, "rows": 128, "columns": 128, "spacing_mm": 2.0, "slice_distance_mm": 20.0}


def test_a_node_without_a_limit_has_no_pace() -> None:
    assert pace_of(Node(name="free")) is None


def test_a_changed_limit_counts_for_those_at_work() -> None:
    pace = pace_of(Node(name="changed", rate_mb_s=1))
    assert pace_of(Node(name="changed", rate_mb_s=4)) is pace
    assert pace is not None
    assert pace.bytes_per_s == 4_000_000


@pytest.mark.parametrize("kind", ["dimse", "folder"])
def test_sending_keeps_to_the_limit(installation: object, tmp_path: Path, kind: str) -> None:
    files = head_phantom("paced", **SIZE).write(tmp_path / "in")[:6]
    parcels = [Parcel(path, path.stem) for path in files]
    size_mb = sum(path.stat().st_size for path in files[:-1]) / 1e6
    rate = size_mb / 0.6
    told: list[Receipt] = []
    peer = StoringPeer(tmp_path / "peer")
    try:
        node = Node(
            name=f"slow-{kind}",
            kind=kind,
            folder=str(tmp_path / "out"),
            ae_title="STORE",
            host="127.0.0.1",
            port=peer.port,
            rate_mb_s=rate,
        )
        begin = time.monotonic()
        send_parcels(
            node, parcels, lambda _, receipt: told.append(receipt), must_stop=lambda: False
        )
        took = time.monotonic() - begin
    finally:
        peer.stop()
    assert [receipt.is_sent for receipt in told] == [True] * 6
    assert took > 0.5


def test_a_cancelled_delivery_does_not_sit_its_wait_out(installation: object) -> None:
    pace = pace_of(Node(name="cancelled", rate_mb_s=0.01))
    assert pace is not None
    pace.wait(1_000_000)
    begin = time.monotonic()
    pace.wait(1_000_000, lambda: True)
    assert time.monotonic() - begin < 50, "the whole wait is 100 s"
