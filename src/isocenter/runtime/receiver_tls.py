"""TLS of the receiver, from its settings."""

from __future__ import annotations

import ssl

from isocenter.core.network.tls import server_context
from isocenter.runtime.settings import Tls


def tls_context(tls: Tls) -> ssl.SSLContext | None:
    """The context of the acceptor; None where nobody named a certificate.

    `up` makes one before it starts anything: a receiver that can have none would be started again
    and again.

    Raises:
        ConfigurationError: files that cannot be read or do not belong together.
    """
    if tls.certificate is None:
        return None
    return server_context(
        tls.certificate,
        tls.key,
        ca=tls.ca,
        require_client_certificate=tls.require_client_certificate,
    )
