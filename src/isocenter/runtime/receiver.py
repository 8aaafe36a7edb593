"""The receiver process: DIMSE into the spool, and questions to the archive.

Taking instances needs no database and no Django; see `receiver_archive` for what does.
"""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from isocenter.apps.archive.spool import EventJournal, Spool
from isocenter.apps.archive.spool.sink import SpoolSinks
from isocenter.core.errors import ConfigurationError, IsocenterError
from isocenter.core.network.acceptor import Acceptor, AcceptorConfig
from isocenter.core.network.callers import STORE, KnownNode
from isocenter.core.network.commitment import CommitmentService
from isocenter.core.network.find import FindService
from isocenter.core.network.get import GetService
from isocenter.core.network.move import MoveService
from isocenter.core.network.policy import ReceivePolicy
from isocenter.core.network.services import NetworkEvent
from isocenter.core.network.storage import StorageService
from isocenter.core.network.verification import VerificationService
from isocenter.runtime.layout import Layout
from isocenter.runtime.receiver_archive import ArchiveBoot, LazyArchive
from isocenter.runtime.receiver_commitments import LazyKeeper
from isocenter.runtime.receiver_tls import tls_context
from isocenter.runtime.settings import Receiver, Settings
from isocenter.runtime.state_files import process_identity, write_state

GRACE_S = 10.0
_POLICY_CHECK_S = 0.5
_PREPARE_S = 1.0  # a quarter of it is enough on a fast disk, and only on the first start
_POLICY_KEYS = frozenset(
    (
        "allowed_calling_ae_titles",
        "allowed_networks",
        "check_called_ae_title",
        "denied_sop_classes",
        "nodes",
        "paused",
        "unknown_callers",
    )
)

log = structlog.get_logger("receiver")


def run_receiver(settings: Settings) -> int:
    """Receive until SIGTERM or SIGINT; returns the exit code.

    Writes ``run/receiver.json`` when peers can connect: {"pid", "addresses", "ae_title"}.
    """
    layout = Layout(settings.data_dir)
    layout.create()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    state_file = layout.run / "receiver.json"
    state_file.unlink(missing_ok=True)  # of one that was killed
    journal = EventJournal(layout.spool)
    spool = Spool(
        layout.spool,
        segment_bytes=settings.storage.segment_mb << 20,
        reserve_bytes=settings.storage.reserve_mb << 20,
    )
    spool.prepare(within_s=_PREPARE_S)  # before peers come: beside them it would slow them
    try:
        acceptor = build_acceptor(settings, spool, journal, layout.run / "receive-policy.json")
        acceptor.start()
    except IsocenterError as error:
        log.error("receiver cannot start", error=str(error))
        return 1
    try:
        write_state(state_file, _state(acceptor, settings.receiver.ae_title))
        _announce(acceptor, settings.receiver.ae_title)
        stop.wait()
        log.info("receiver stops", associations=acceptor.associations)
        is_clean = acceptor.stop(GRACE_S)
        log.info("receiver stopped", is_clean=is_clean)
    finally:
        state_file.unlink(missing_ok=True)
        journal.close()
        spool.close()
    return 0


def build_acceptor(
    settings: Settings, spool: Spool, journal: EventJournal, policy_file: Path
) -> Acceptor:
    """The acceptor of these settings, storing into ``spool``.

    Raises:
        ConfigurationError: TLS files that cannot be used.
    """
    receiver = settings.receiver
    context = tls_context(receiver.tls)
    policy = PolicySnapshot(policy_file, policy_of_settings(receiver))
    boot = ArchiveBoot(settings)
    archive = LazyArchive(boot)

    def tell(event: NetworkEvent) -> None:
        try:
            journal.append(event.kind, dict(event.detail))
        except OSError as error:  # a full disk must not end the association that reports it
            log.warning("event not written", kind=event.kind, error=str(error))
        spool.notify()

    return Acceptor(
        AcceptorConfig(
            ae_title=receiver.ae_title,
            hosts=receiver.hosts,
            port=receiver.port,
            max_pdu=receiver.max_pdu,
            max_associations=receiver.max_associations,
            acse_timeout_s=receiver.acse_timeout_s,
            network_timeout_s=receiver.network_timeout_s,
            tls=context,
        ),
        services=[
            VerificationService(),
            FindService(archive),
            MoveService(archive),
            GetService(archive),
            CommitmentService(LazyKeeper(boot)),
            StorageService(
                SpoolSinks(spool), max_instance_bytes=settings.limits.max_instance_mb << 20
            ),
        ],
        policy=policy,
        events=tell,
    )


def policy_of_settings(receiver: Receiver) -> ReceivePolicy:
    """The policy that holds where there is no snapshot."""
    return ReceivePolicy(
        allowed_calling_ae_titles=frozenset(receiver.allowed_calling_ae_titles),
        allowed_networks=tuple(
            ipaddress.ip_network(str(network)) for network in receiver.allowed_networks
        ),
        check_called_ae_title=receiver.check_called_ae_title,
        denied_sop_classes=frozenset(receiver.denied_sop_classes),
        unknown_may_store=receiver.unknown_callers == "store",
    )


def policy_of_snapshot(snapshot: Mapping[str, Any]) -> ReceivePolicy:
    """Read the content of ``run/receive-policy.json``.

    Raises:
        ConfigurationError: unknown keys, values of a wrong kind.
    """
    unknown = sorted(set(snapshot) - _POLICY_KEYS)
    if unknown:
        raise ConfigurationError(f"receive policy: unknown key {unknown[0]!r}")
    try:
        paused = snapshot.get("paused")
        return ReceivePolicy(
            allowed_calling_ae_titles=frozenset(
                map(str, snapshot.get("allowed_calling_ae_titles", ()))
            ),
            allowed_networks=tuple(map(ipaddress.ip_network, snapshot.get("allowed_networks", ()))),
            check_called_ae_title=bool(snapshot.get("check_called_ae_title", False)),
            denied_sop_classes=frozenset(map(str, snapshot.get("denied_sop_classes", ()))),
            paused=None if paused is None else str(paused),
            nodes=_nodes_of_snapshot(snapshot.get("nodes", ())),
            unknown_may_store=_may_store(snapshot.get("unknown_callers", "store")),
        )
    except (TypeError, ValueError, KeyError) as error:
        raise ConfigurationError(f"receive policy: {error!r}") from error


def _may_store(text: object) -> bool:
    if text not in ("store", "refuse"):
        raise ValueError(f"unknown_callers is {text!r}; store and refuse are possible")
    return text == "store"


def _nodes_of_snapshot(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[KnownNode, ...]]:
    found: dict[str, tuple[KnownNode, ...]] = {}
    for row in rows:
        node = KnownNode(
            name=str(row["name"]),
            ae_title=str(row["ae_title"]),
            addresses=frozenset(map(str, row["addresses"])),
            allows=frozenset((STORE,) if row["may_store"] else ()),
            needs_tls=row["demands"] in ("tls", "certificate"),
            needs_certificate=row["demands"] == "certificate",
        )
        found[node.ae_title] = (*found.get(node.ae_title, ()), node)
    return found


class PolicySnapshot:
    """The policy file, read again when it was replaced.

    A broken file never opens a door: the last good policy stays, and where there was none,
    nothing is taken until the file is mended.
    """

    def __init__(
        self, path: Path, default: ReceivePolicy, *, check_s: float = _POLICY_CHECK_S
    ) -> None:
        self._path = path
        self._default = default
        self._policy = default
        self._check_s = check_s
        self._lock = threading.Lock()
        self._checked_at = -1.0
        self._stamp: tuple[int, int] | None = None

    def __call__(self) -> ReceivePolicy:
        now = time.monotonic()
        if now - self._checked_at >= self._check_s:
            with self._lock:
                self._checked_at = now
                self._look()
        return self._policy

    def _look(self) -> None:
        try:
            state = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._policy = None, self._default
            return
        stamp = (state.st_mtime_ns, state.st_ino)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            snapshot = json.loads(self._path.read_text())
            if not isinstance(snapshot, dict):
                raise ConfigurationError("receive policy: no JSON object")
            self._policy = policy_of_snapshot(snapshot)
        except (OSError, ValueError, ConfigurationError) as error:
            if self._policy is self._default:
                self._policy = replace(self._default, paused="the receive policy is broken")
            log.error("receive policy not read, the one before stays", error=str(error))


def _state(acceptor: Acceptor, ae_title: str) -> dict[str, Any]:
    return {
        **process_identity(os.getpid()),
        "addresses": [{"host": host, "port": port} for host, port in acceptor.addresses],
        "ae_title": ae_title,
    }


def _announce(acceptor: Acceptor, ae_title: str) -> None:
    for host, port in acceptor.addresses:
        log.info("receiver ready", host=host, port=port, ae_title=ae_title)
