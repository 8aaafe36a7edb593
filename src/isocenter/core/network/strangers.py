"""What answered in place of a DICOM peer, in a sentence for whoever typed its port."""

from __future__ import annotations

import ssl

_PDU_KINDS = range(1, 8)  # PS3.8 9.3.1
_TLS_ALERT = 0x15
_SAYINGS = ((b"HTTP/", "a web server (HTTP)"), (b"SSH-", "an SSH server"), (b"RTSP/", "RTSP"))


def stranger(head: bytes) -> str:
    """What the first bytes of an answer say that it is; empty where they may be a PDU.

    Args:
        head: the first six bytes, as long as the head of a PDU is.
    """
    if not head or head[0] in _PDU_KINDS:
        return ""
    for beginning, name in _SAYINGS:
        if head.startswith(beginning[: len(head)]):
            return name
    if head[0] == _TLS_ALERT and head[1:2] == b"\x03":
        return "a TLS server, which wants TLS"
    if head[:3].isdigit() and head[3:4] in (b" ", b"-"):
        return "a mail or file server"
    return "something else"


def without_answer(error: str, *, is_tls: bool) -> str:
    """Why a peer may have left without a word."""
    if is_tls:
        return f"closed the connection without an answer ({error})"
    return "closed the connection without an answer; does it want TLS?"


def tls_failure(error: OSError) -> str:
    """Why there is no TLS, without OpenSSL's names where another sentence says more."""
    reason = str(getattr(error, "reason", "") or "")
    if reason in (
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "UNEXPECTED_MESSAGE",
        "PACKET_LENGTH_TOO_LONG",
    ):
        return "it does not talk TLS there"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if (
        isinstance(error, ssl.SSLEOFError | ConnectionError)
        or reason == "UNEXPECTED_EOF_WHILE_READING"
    ):
        return "it closed the connection; does it talk TLS there, and does it want our certificate?"
    return str(error)
