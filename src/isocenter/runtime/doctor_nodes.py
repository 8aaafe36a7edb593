"""What the doctor looks at in nodes: who may call, and whether anybody can."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass
from typing import Any

import psycopg

from isocenter.core.errors import IsocenterError
from isocenter.runtime.boot import database_url
from isocenter.runtime.settings import Settings

Found = tuple[bool, str, str]  # whether it is wrong (else a note), what, how to mend it
_NAMES_S = 5.0
_NODES = (
    "select name, ae_title, host, port, allows, demands from transfers_node "
    "where kind = 'dimse' and enabled order by name"
)
_UNREPORTED = (
    "select node_name, count(*) from dimse_commitmentpromise where state = 'given up' "
    "and ended_at > now() - interval '7 days' group by node_name order by node_name"
)


@dataclass(frozen=True)
class _Node:
    name: str
    ae_title: str
    host: str
    port: int
    allows: list[str]
    demands: str


def look_at_nodes(settings: Settings) -> Iterator[Found]:
    """What keeps callers out, or C-MOVE from finding its way; nothing without a database."""
    try:
        nodes, unreported = _read(settings)
    except (IsocenterError, psycopg.Error):
        return
    yield from _callers(settings, nodes)
    yield from _titles(nodes)
    yield from _names(nodes)
    for name, count in unreported:
        text = f"{name} took no result of {count} storage commitments"
        yield False, text, "does it listen at the node's host and port, and take our AE title?"


def _read(settings: Settings) -> tuple[list[_Node], list[tuple[str, int]]]:
    with psycopg.connect(database_url(settings), connect_timeout=5) as connection:
        rows = connection.execute(_NODES).fetchall()
        given_up = connection.execute(_UNREPORTED).fetchall()
    return [_Node(*row) for row in rows], [(str(name), int(count)) for name, count in given_up]


def _callers(settings: Settings, nodes: list[_Node]) -> Iterator[Found]:
    receiver = settings.receiver
    if receiver.unknown_callers == "refuse" and not any("store" in n.allows for n in nodes):
        text = "receiver.unknown_callers is refuse, and no node may store: nothing can come in"
        yield True, text, "isocenter nodes add … --allow store"
    for node in nodes:
        if node.demands and receiver.tls.certificate is None:
            text = f"{node.name} demands TLS, and our receiver talks none"
            yield True, text, "set receiver.tls.certificate"
        elif node.demands == "certificate" and receiver.tls.ca is None:
            text = f"{node.name} demands a certificate, and no CA is named that signs one"
            yield True, text, "set receiver.tls.ca"
        allowed = receiver.allowed_calling_ae_titles
        if allowed and node.allows and node.ae_title.strip(" ") not in allowed:
            text = f"{node.name} may call, but {node.ae_title.strip()} is not let in"
            yield True, text, "add it to receiver.allowed_calling_ae_titles"


def _titles(nodes: list[_Node]) -> Iterator[Found]:
    places: dict[str, set[Any]] = defaultdict(set)
    for node in nodes:
        places[node.ae_title.strip(" ")].add((node.host, node.port))
    for title, where in sorted(places.items()):
        if len(where) > 1:
            text = f"{title} is {len(where)} nodes at different places: C-MOVE finds none of them"
            yield False, text, "switch off all but one, or give them AE titles of their own"


def _names(nodes: list[_Node]) -> Iterator[Found]:
    """Hosts that cannot be looked up: their nodes are strangers when they call."""
    callers = [node for node in nodes if node.allows]
    if not callers:
        return
    pool = ThreadPoolExecutor(min(16, len(callers)), thread_name_prefix="doctor-names")
    asked = [(node, pool.submit(socket.getaddrinfo, node.host, None)) for node in callers]
    for node, answer in asked:
        try:
            answer.result(_NAMES_S)
        except (OSError, UnicodeError, NotInTime):
            text = f"{node.name}: its host {node.host} has no address, so it is a stranger to us"
            yield True, text, "correct the host, or give its address"
    pool.shutdown(wait=False, cancel_futures=True)
