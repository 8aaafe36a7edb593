"""Who calls us, and what it may ask for."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from django.conf import settings

from isocenter.apps.accounts.rights import DimseRight, require_dimse
from isocenter.apps.archive.services import write_receive_policy
from isocenter.apps.transfers import calling, queries
from isocenter.apps.transfers.addresses import AddressBook
from isocenter.apps.transfers.models import Node
from isocenter.apps.transfers.services import remove_node, save_node
from isocenter.core.errors import NotAllowed
from isocenter.core.network.callers import Calling
from isocenter.runtime.layout import Layout
from isocenter.runtime.receiver import policy_of_snapshot
from isocenter.runtime.settings import Settings

ALL = frozenset(DimseRight)
QUERY, STORE = DimseRight.QUERY, DimseRight.STORE


def dicom_node(name: str = "pacs", **values: Any) -> Node:
    given = {"ae_title": "PACS", "host": "192.0.2.1", "port": 104, "allows": ["query"]}
    return Node.objects.create(name=name, kind="dimse", **{**given, **values})


@pytest.mark.parametrize(
    ("title", "address", "rights"),
    [
        ("PACS", "192.0.2.1", {QUERY}),
        ("PACS ", "::ffff:192.0.2.1", {QUERY}),  # IPv4 on a socket for both
        ("PACS", "192.0.2.2", {STORE}),  # somebody else with its title
        ("pacs", "192.0.2.1", {STORE}),  # AE titles have case (PS3.5 6.2)
        ("", "192.0.2.1", {STORE}),
    ],
)
def test_a_caller_is_a_node_by_title_and_address(
    db: None, title: str, address: str, rights: set[DimseRight]
) -> None:
    dicom_node()
    caller = queries.caller(title, "ISOCENTER", address)
    assert (caller.node_name, caller.allows) == ("pacs" if rights == {QUERY} else None, rights)


def test_a_node_that_is_switched_off_may_store_at_most(db: None) -> None:
    dicom_node(enabled=False, allows=["store", "query", "retrieve", "commit"])
    assert queries.caller("PACS", "", "192.0.2.1").allows == {STORE}


def test_several_nodes_can_be_one_system(db: None) -> None:
    dicom_node("fast", allows=["store"])
    dicom_node("slow", allows=["query", "no-such-right"])
    caller = queries.caller("PACS", "", "192.0.2.1")
    assert (caller.node_name, caller.allows) == ("fast", {STORE, QUERY})


@pytest.mark.parametrize(
    ("demands", "shown", "is_it"),
    [
        ("tls", {}, False),
        ("tls", {"is_encrypted": True}, True),
        ("certificate", {"is_encrypted": True}, False),
        ("certificate", {"is_encrypted": True, "has_certificate": True}, True),
    ],
)
def test_a_caller_shows_what_its_node_demands(
    db: None, demands: str, shown: dict[str, bool], is_it: bool
) -> None:
    dicom_node(demands=demands)
    assert (queries.caller("PACS", "", "192.0.2.1", **shown).node_name == "pacs") is is_it


def test_hosts_are_looked_up(db: None) -> None:
    dicom_node(host="localhost")
    assert queries.caller("PACS", "", "127.0.0.1").allows == {QUERY}


def test_a_name_server_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    hang = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: hang.wait(30) and [])
    found = AddressBook().addresses(["pacs.example", "192.0.2.9"], within_s=0.05)
    hang.set()
    assert found == {"pacs.example": frozenset(), "192.0.2.9": {"192.0.2.9"}}


def test_what_a_name_server_said_last_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    book = AddressBook(keep_s=0)
    answer = [(2, 1, 6, "", ("192.0.2.7", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    assert book.addresses(["pacs.example"], 5) == {"pacs.example": {"192.0.2.7"}}

    def away(*_: object, **__: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", away)
    assert book.addresses(["pacs.example"], 5) == {"pacs.example": {"192.0.2.7"}}


def test_a_right_that_is_lacking_is_named_and_the_caller_is_not() -> None:
    with pytest.raises(NotAllowed, match="lacks the right retrieve"):
        require_dimse(queries.Caller("pacs", frozenset({QUERY})), DimseRight.RETRIEVE)
    with pytest.raises(NotAllowed) as refused:
        require_dimse(queries.Caller(), QUERY)
    assert len(str(refused.value)) <= 64  # LO
    require_dimse(queries.Caller("pacs", ALL), DimseRight.COMMIT)


def test_a_destination_of_c_move_is_one_place(db: None) -> None:
    assert queries.node_by_ae_title("PACS") is None
    dicom_node("a")
    dicom_node("b")
    assert queries.node_by_ae_title(" PACS ").name == "a"
    dicom_node("c", port=105)
    assert queries.node_by_ae_title("PACS") is None
    Node.objects.filter(name="c").update(enabled=False)
    assert queries.node_by_ae_title("PACS").name == "a"
    assert queries.node_by_ae_title("") is None


def snapshot_of(layout: Layout) -> dict[str, Any]:
    return json.loads((layout.run / "receive-policy.json").read_text())


def test_the_receiver_knows_whom_it_may_refuse(
    transactional_db: None, installation: Layout
) -> None:
    values = {"kind": "dimse", "ae_title": "PACS", "host": "192.0.2.1", "port": 104}
    save_node("pacs", {**values, "allows": ["query"]})
    policy = policy_of_snapshot(snapshot_of(installation))
    assert (
        policy.refusal_to_store(Calling("PACS", "192.0.2.1")) == "this node lacks the right store"
    )
    assert policy.refusal_to_store(Calling("PACS", "192.0.2.2")) is None
    assert policy.refusal_to_store(Calling("OTHER", "192.0.2.1")) is None
    save_node("pacs", {**values, "allows": ["store"]})
    policy = policy_of_snapshot(snapshot_of(installation))
    assert policy.refusal_to_store(Calling("PACS", "192.0.2.1")) is None
    remove_node("pacs")
    assert snapshot_of(installation)["nodes"] == []


def test_strangers_are_refused_where_that_is_set(db: None, installation: Layout) -> None:
    ours = settings.ISOCENTER.model_dump()
    settings.ISOCENTER = Settings(**{**ours, "receiver": {"unknown_callers": "refuse"}})
    dicom_node(allows=["store"])
    write_receive_policy()
    policy = policy_of_snapshot(snapshot_of(installation))
    assert policy.refusal_to_store(Calling("PACS", "192.0.2.1")) is None
    assert policy.refusal_to_store(Calling("PACS", "192.0.2.2")) is not None
    assert queries.caller("PACS", "", "192.0.2.2").allows == frozenset()


def test_addresses_stay_in_the_snapshot_while_a_name_server_is_away(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    dicom_node(host="pacs.invalid")
    monkeypatch.setattr(calling, "book", AddressBook())
    before = [{"name": "pacs", "host": "pacs.invalid", "addresses": ["192.0.2.5"]}]
    assert calling.snapshot(before, within_s=0)[0]["addresses"] == ["192.0.2.5"]
    assert calling.snapshot("nonsense", within_s=0)[0]["addresses"] == []
