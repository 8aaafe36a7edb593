"""TLS between our requestor and our acceptor, with and without client certificates."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import ipaddress
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from dimse_tools import Receiving, ct_file
from query_tools import STUDY_FIND, Client, Library, question

from isocenter.core.errors import ConfigurationError, NetworkError
from isocenter.core.network.callers import STORE, KnownNode
from isocenter.core.network.client import Peer
from isocenter.core.network.find import FindService
from isocenter.core.network.policy import ReceivePolicy
from isocenter.core.network.requestor import echo, send
from isocenter.core.network.tls import ClientTls, client_context, server_context


@dataclass(frozen=True)
class Identity:
    certificate: Path
    key: Path


def make_identity(folder: Path, name: str) -> Identity:
    """A self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    identity = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    identity.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    identity.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return identity


@pytest.fixture
def server(tmp_path: Path) -> Identity:
    return make_identity(tmp_path, "server")


def peer_of(receiving: Receiving, tls: ClientTls | None) -> Peer:
    return Peer("127.0.0.1", receiving.port, timeout_s=5, tls=tls)


def test_files_arrive_over_tls(
    receive: Callable[..., Receiving], server: Identity, tmp_path: Path
) -> None:
    receiving = receive(tls=server_context(server.certificate, server.key))
    paths = [ct_file(tmp_path, "a.dcm", rows=300), ct_file(tmp_path, "b.dcm", rows=1300)]
    report = send(paths, peer_of(receiving, ClientTls(ca=server.certificate)))
    assert report.is_complete, report
    assert len(receiving.shelf.stored) == 2


def test_a_server_that_is_not_known_is_not_trusted(
    receive: Callable[..., Receiving], server: Identity, tmp_path: Path
) -> None:
    other = make_identity(tmp_path, "other")
    receiving = receive(tls=server_context(server.certificate, server.key))
    with pytest.raises(NetworkError, match="TLS"):
        echo(peer_of(receiving, ClientTls(ca=other.certificate)))
    receiving.wait_for("ASSOCIATION_REJECTED")


def test_client_certificates_are_demanded(
    receive: Callable[..., Receiving], server: Identity, tmp_path: Path
) -> None:
    client, stranger = make_identity(tmp_path, "client"), make_identity(tmp_path, "stranger")
    context = server_context(
        server.certificate, server.key, ca=client.certificate, require_client_certificate=True
    )
    receiving = receive(tls=context)
    known = ClientTls(server.certificate, client.certificate, client.key)
    assert echo(peer_of(receiving, known)) > 0
    for tls in (
        ClientTls(server.certificate),
        ClientTls(server.certificate, stranger.certificate, stranger.key),
    ):
        with pytest.raises(NetworkError):
            echo(peer_of(receiving, tls))
    receiving.wait_for("ASSOCIATION_REJECTED", 2)


def test_plain_talk_to_a_tls_port_ends(receive: Callable[..., Receiving], server: Identity) -> None:
    receiving = receive(tls=server_context(server.certificate, server.key))
    with pytest.raises(NetworkError):
        echo(peer_of(receiving, None))
    assert "TLS" in str(receiving.wait_for("ASSOCIATION_REJECTED").detail["text"])


def test_a_silent_handshake_is_cut_off(receive: Callable[..., Receiving], server: Identity) -> None:
    receiving = receive(tls=server_context(server.certificate, server.key), acse_timeout_s=0.2)
    with socket.create_connection(("127.0.0.1", receiving.port)) as silent:
        silent.settimeout(5)
        assert silent.recv(1) == b""


def test_who_only_looks_whether_somebody_listens_is_no_event(
    receive: Callable[..., Receiving], server: Identity
) -> None:
    """Our own health check does so every few seconds."""
    receiving = receive(tls=server_context(server.certificate, server.key))
    for _ in range(3):
        socket.create_connection(("127.0.0.1", receiving.port)).close()
    with pytest.raises(NetworkError):  # a plain caller is one, and comes last
        echo(peer_of(receiving, None))
    receiving.wait_for("ASSOCIATION_REJECTED")
    assert receiving.kinds().count("ASSOCIATION_REJECTED") == 1


def test_silent_handshakes_keep_nobody_out(
    receive: Callable[..., Receiving], server: Identity
) -> None:
    tls = server_context(server.certificate, server.key)
    receiving = receive(tls=tls, acse_timeout_s=30, max_associations=2)
    before = threading.active_count()
    with contextlib.ExitStack() as crowd:
        for _ in range(150):
            silent = crowd.enter_context(socket.socket())
            silent.bind(("127.0.0.2", 0))
            silent.connect(("127.0.0.1", receiving.port))
        echo(peer_of(receiving, ClientTls(ca=server.certificate)))
        assert threading.active_count() - before < 100, "the crowd is not bounded"


def test_files_that_do_not_belong_together(server: Identity, tmp_path: Path) -> None:
    other = make_identity(tmp_path, "other")
    with pytest.raises(ConfigurationError, match=r"server\.pem"):
        server_context(server.certificate, other.key)
    with pytest.raises(ConfigurationError, match="missing"):
        server_context(tmp_path / "missing", server.key)
    with pytest.raises(ConfigurationError, match=r"receiver\.tls\.ca"):
        server_context(server.certificate, server.key, require_client_certificate=True)
    with pytest.raises(ConfigurationError, match="authorities"):
        client_context(ClientTls(ca=server.key))


@pytest.mark.parametrize("shows", [True, False], ids=["certificate", "none"])
def test_a_node_may_demand_a_certificate(
    receive: Callable[..., Receiving], server: Identity, tmp_path: Path, shows: bool
) -> None:
    """Who calls by its AE title and address, and cannot show it, is a stranger."""
    client = make_identity(tmp_path, "client")
    node = KnownNode(
        name="scanner",
        ae_title="SCANNER",
        addresses=frozenset({"127.0.0.1"}),
        allows=frozenset({STORE}),
        needs_tls=True,
        needs_certificate=True,
    )
    receiving = receive(
        ReceivePolicy(nodes={"SCANNER": (node,)}, unknown_may_store=False),
        tls=server_context(server.certificate, server.key, ca=client.certificate),
    )
    own = (client.certificate, client.key) if shows else (None, None)
    tls = ClientTls(ca=server.certificate, certificate=own[0], key=own[1])
    peer = dataclasses.replace(peer_of(receiving, tls), calling_ae_title="SCANNER")
    report = send([ct_file(tmp_path)], peer)
    assert [result.status for result in report.results] == [0x0000 if shows else 0x0124]


def test_a_node_that_demands_tls_is_a_stranger_without(
    receive: Callable[..., Receiving], tmp_path: Path
) -> None:
    node = KnownNode(
        "scanner", "SCANNER", frozenset({"127.0.0.1"}), frozenset({STORE}), needs_tls=True
    )
    receiving = receive(ReceivePolicy(nodes={"SCANNER": (node,)}, unknown_may_store=False))
    peer = dataclasses.replace(peer_of(receiving, None), calling_ae_title="SCANNER")
    assert send([ct_file(tmp_path)], peer).results[0].status == 0x0124


def test_a_query_over_tls_can_be_cancelled(
    receive: Callable[..., Receiving], server: Identity
) -> None:
    receiving = receive(
        tls=server_context(server.certificate, server.key),
        services=[FindService(Library(endless=True))],
    )
    tls = (client_context(ClientTls(ca=server.certificate)), "127.0.0.1")
    with Client(receiving.port, STUDY_FIND, tls_args=tls) as association:
        statuses = []
        for status, _ in association.send_c_find(question("STUDY"), STUDY_FIND, msg_id=3):
            statuses.append(status.Status)
            if len(statuses) == 3:
                association.send_c_cancel(3, query_model=STUDY_FIND)
        assert statuses[-1] == 0xFE00
