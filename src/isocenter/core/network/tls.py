"""TLS for DICOM connections (PS3.15 B.12, BCP 195: version 1.2 or newer)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.errors import ConfigurationError


@dataclass(frozen=True)
class ClientTls:
    """How to talk TLS to a peer.

    Attributes:
        ca: PEM file with the CAs that we trust; None: the system's.
        certificate, key: PEM files of our own certificate, when the peer wants one.
        check_hostname: False where peers are known by address only.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    check_hostname: bool = True


def server_context(
    certificate: Path,
    key: Path | None = None,
    *,
    ca: Path | None = None,
    require_client_certificate: bool = False,
) -> ssl.SSLContext:
    """Context of an acceptor.

    Args:
        key: PEM file of the private key; None when the certificate's file holds it.
        ca: CAs that sign client certificates.

    Raises:
        ConfigurationError: files that cannot be read or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_own(context, certificate, key)
    if ca is not None:
        _load_authorities(context, ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    if require_client_certificate:
        if ca is None:
            raise ConfigurationError(
                "client certificates are required, but no CA is named that signs them",
                hint="set receiver.tls.ca",
            )
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """Context of a requestor.

    Raises:
        ConfigurationError: files that cannot be read or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.check_hostname
    if tls.ca is None:
        context.load_default_certs()
    else:
        _load_authorities(context, tls.ca)
    if tls.certificate is not None:
        _load_own(context, tls.certificate, tls.key)
    return context


def _load_own(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"TLS certificate {certificate} cannot be used with key {key or certificate}: {error}"
        ) from error


def _load_authorities(context: ssl.SSLContext, ca: Path) -> None:
    try:
        context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"TLS authorities {ca} cannot be read: {error}") from error
