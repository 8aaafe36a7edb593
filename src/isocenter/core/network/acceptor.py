"""The DIMSE acceptor: listens, bounds what comes, gives each association a thread."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from isocenter.core.errors import ConfigurationError

from .association import Association, AssociationLimits
from .connection import Connection
from .messages import BUFFER_BYTES
from .policy import LOCAL_LIMIT_EXCEEDED, SHUTTING_DOWN, ReceivePolicy, Rejection
from .services import EventHandler, NetworkEvent, Service

_BACKLOG = 128
_SPARE_CONNECTIONS = 64  # not yet associations: they get a polite refusal instead of silence


@dataclass(frozen=True)
class AcceptorConfig:
    """Where and how to listen.

    Attributes:
        hosts: addresses to listen on.
        port: 0 takes a free one (the same on every host).
        max_pdu: bytes that we accept in one P-DATA-TF.
        max_associations: more are refused as "local limit exceeded".
        acse_timeout_s: from connection to the end of A-ASSOCIATE-RQ (ARTIM), TLS included.
        network_timeout_s: longest silence, and longest time for one PDU.
        tls: server context, or None for plain TCP.
        buffer_bytes: receive buffer of each association.
    """

    ae_title: str = "ISOCENTER"
    hosts: tuple[str, ...] = ("127.0.0.1",)
    port: int = 0
    max_pdu: int = 131072
    max_associations: int = 50
    acse_timeout_s: float = 30
    network_timeout_s: float = 60
    tls: ssl.SSLContext | None = None
    buffer_bytes: int = BUFFER_BYTES


@dataclass(eq=False)
class _Peer:
    """A connection and what became of it."""

    sock: socket.socket
    address: str
    association: Association | None = None
    is_admitted: bool = False
    is_cut: bool = False  # its thread is about to end

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            # Of the TCP connection, whatever state TLS on it is in.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class Acceptor:
    """Serves the services of a table until it is stopped.

    Args:
        config: where and how.
        services: the table; the first entry that supports an abstract syntax has it.
        policy: asked for every association and every instance.
        events: told of everything that the audit wants; called from many threads.
    """

    def __init__(
        self,
        config: AcceptorConfig,
        services: Sequence[Service],
        policy: Callable[[], ReceivePolicy],
        events: EventHandler,
    ) -> None:
        self._config = config
        self._services = tuple(services)
        self._policy = policy
        self._events = events
        self._lock = threading.Lock()
        self._listeners: list[socket.socket] = []
        self._addresses: list[tuple[str, int]] = []
        self._peers: dict[threading.Thread, _Peer] = {}
        self._established = 0
        self._is_stopping = False
        self._thread: threading.Thread | None = None
        self._wake_in: socket.socket | None = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, as (host, port)."""
        return list(self._addresses)

    @property
    def associations(self) -> int:
        """Associations that are established now."""
        return self._established

    def start(self) -> None:
        """Listen; returns when peers can connect.

        Raises:
            ConfigurationError: an address that cannot be had.
        """
        port = self._config.port
        try:
            for host in self._config.hosts:
                listener = _listen(host, port)
                self._listeners.append(listener)
                self._addresses.append(listener.getsockname()[:2])
                port = self._addresses[0][1]
        except OSError as error:
            self._close_listeners()
            raise ConfigurationError(
                f"cannot listen on {host} port {port}: {error}",
                hint="another program has it, or this address is not of this machine",
            ) from error
        self._wake_in, wake_out = socket.socketpair()
        self._thread = threading.Thread(
            target=self._listen_loop, args=(wake_out,), name="acceptor", daemon=True
        )
        self._thread.start()

    def stop(self, grace_s: float = 10) -> bool:
        """Refuse what is new, finish messages that are going on, end all associations.

        Returns:
            True when everything ended within ``grace_s``; what did not was cut off.
        """
        with self._lock:
            self._is_stopping = True
            associations = [peer.association for peer in self._peers.values()]
        if self._wake_in is not None:
            self._wake_in.close()
        if self._thread is not None:
            self._thread.join()
        for association in associations:
            if association is not None:
                association.stop()
        is_clean = self._join(time.monotonic() + grace_s)
        if not is_clean:
            with self._lock:
                peers = list(self._peers.values())
            for peer in peers:
                peer.cut()
            self._join(time.monotonic() + 5)
        return is_clean

    def _join(self, deadline: float) -> bool:
        while True:
            with self._lock:
                threads = list(self._peers)
            if not threads:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            threads[0].join(left)

    def _listen_loop(self, wake: socket.socket) -> None:
        with selectors.DefaultSelector() as selector, wake:
            for listener in self._listeners:
                selector.register(listener, selectors.EVENT_READ)
            selector.register(wake, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is wake:
                        self._close_listeners()
                        return
                    self._take(key.fileobj)

    def _take(self, listener: object) -> None:
        assert isinstance(listener, socket.socket)
        try:
            sock, address = listener.accept()
            sock.setblocking(True)
        except OSError:
            time.sleep(0.05)  # out of descriptors: what is open has to end first
            return
        if not self._make_room():
            sock.close()
            self._refused_for_room(str(address[0]))
            return
        peer = _Peer(sock, str(address[0]))
        thread = threading.Thread(target=self._serve, args=(peer,), name="association", daemon=True)
        with self._lock:
            self._peers[thread] = peer
        try:
            thread.start()
        except RuntimeError:  # the system gives no more threads
            with self._lock:
                del self._peers[thread]
            sock.close()

    def _make_room(self) -> bool:
        """Whether there is a place for one more connection.

        When there is none, the oldest that is no association yet gives its place up, of the
        address that has most of those: many silent connections must not keep others out.
        """
        with self._lock:
            if len(self._peers) < self._config.max_associations + _SPARE_CONNECTIONS:
                return True
            waiting = [p for p in self._peers.values() if not (p.is_admitted or p.is_cut)]
            if not waiting:
                return False
            counts = Counter(peer.address for peer in waiting)
            given_up = max(waiting, key=lambda peer: counts[peer.address])
            given_up.is_cut = True
        given_up.cut()
        self._refused_for_room(given_up.address)
        return True

    def _refused_for_room(self, address: str) -> None:
        detail = {"address": address, "text": "too many connections; closed"}
        self._events(NetworkEvent("ASSOCIATION_REJECTED", detail))

    def _serve(self, peer: _Peer) -> None:
        try:
            self._talk(peer)
        finally:
            # The association knows the peer too: in a circle, its buffer would stay in memory
            # until the garbage collector comes by, which takes hundreds of associations.
            peer.association = None
            with contextlib.suppress(OSError):
                peer.sock.close()
            with self._lock:
                self._established -= int(peer.is_admitted)
                self._peers.pop(threading.current_thread(), None)

    def _talk(self, peer: _Peer) -> None:
        try:
            if self._config.tls is not None and not self._begin_tls(peer, self._config.tls):
                return
            association = self._association(peer)
            with self._lock:
                peer.association = association
                is_stopping = self._is_stopping
            if is_stopping:
                association.stop()
            association.run()
        except OSError as error:  # of the TLS handshake; association.run() raises none
            detail = {"address": peer.address, "text": f"TLS: {error}"[:500]}
            self._events(NetworkEvent("ASSOCIATION_REJECTED", detail))

    def _begin_tls(self, peer: _Peer, context: ssl.SSLContext) -> bool:
        """The handshake; the peer can be cut while it goes on. False where it left without a word,
        as those do who only look whether somebody listens."""
        peer.sock.settimeout(self._config.acse_timeout_s)
        try:
            if not peer.sock.recv(1, socket.MSG_PEEK):
                return False
        except ConnectionError:
            return False
        # Wrapping takes the descriptor over: who holds the plain socket cannot cut it any more.
        peer.sock = context.wrap_socket(peer.sock, server_side=True, do_handshake_on_connect=False)
        if peer.is_cut or self._is_stopping:
            raise OSError("cut before the handshake")
        peer.sock.do_handshake()
        return True

    def _association(self, peer: _Peer) -> Association:
        config = self._config
        return Association(
            Connection(peer.sock, config.acse_timeout_s),
            peer.address,
            own_ae_title=config.ae_title,
            limits=AssociationLimits(
                max_pdu=config.max_pdu,
                acse_timeout_s=config.acse_timeout_s,
                network_timeout_s=config.network_timeout_s,
                buffer_bytes=config.buffer_bytes,
            ),
            services=self._services,
            policy=self._policy,
            events=self._events,
            admit=lambda: self._admit(peer),
        )

    def _admit(self, peer: _Peer) -> Rejection | None:
        with self._lock:
            if self._is_stopping:
                return SHUTTING_DOWN
            if self._established >= self._config.max_associations:
                return LOCAL_LIMIT_EXCEEDED
            self._established += 1
            peer.is_admitted = True
            return None

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()


def _listen(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # "::" beside "0.0.0.0" on one port
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
