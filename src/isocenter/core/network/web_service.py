"""Asking a DICOMweb service: connection, bounds on what it answers, reading DICOM JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from isocenter.core.errors import (
    ConfigurationError,
    NetworkError,
    NetworkTimeout,
    ProtocolError,
)

from .tls import ClientTls, client_context

JSON = "application/dicom+json"
_MAX_ANSWER_BYTES = 32 << 20
_ANSWER_FACTOR = 10  # an answer may drip for so many time-outs


@dataclass(frozen=True)
class WebPeer:
    """A DICOMweb service.

    Attributes:
        url: its base, to which ``/studies`` is added.
        timeout_s: of the connection, and longest silence in either direction.
        tls: None: the system's authorities, for an address that begins with https.
        username, secret: Basic; a secret alone is a bearer token; neither: nothing is shown.
        pace: called before each instance with its bytes; may wait.
    """

    url: str
    timeout_s: float = 30.0
    tls: ClientTls | None = None
    username: str = ""
    secret: str = field(default="", repr=False)
    pace: Callable[[int], None] = lambda size: None

    def __str__(self) -> str:
        return self.url


@contextmanager
def opened(peer: WebPeer) -> Iterator[httpx.Client]:
    """A client that shows what the peer is to be shown; it follows nothing and knows no proxy.

    Raises:
        ConfigurationError: TLS files that cannot be used.
    """
    headers = {"Accept-Encoding": "identity", "User-Agent": "isocenter"}
    auth: httpx.Auth | None = None
    if peer.username:
        auth = httpx.BasicAuth(peer.username, peer.secret)
    elif peer.secret:
        headers["Authorization"] = f"Bearer {peer.secret}"
    try:
        client = httpx.Client(
            auth=auth,
            headers=headers,
            timeout=peer.timeout_s,
            verify=client_context(peer.tls or ClientTls()),
            follow_redirects=False,
            trust_env=False,
        )
    except (ValueError, UnicodeError) as error:
        raise ConfigurationError(f"{peer} cannot be used: {type(error).__name__}") from None
    with client:
        yield client


@contextmanager
def asking(
    client: httpx.Client, peer: WebPeer, method: str, path: str, **given: Any
) -> Iterator[httpx.Response]:
    """One request, with what goes wrong as an error of ours.

    Raises:
        NetworkError: the service cannot be reached; NetworkTimeout: it is silent.
    """
    try:
        with client.stream(method, peer.url.rstrip("/") + path, **given) as answer:
            yield answer
    except httpx.TimeoutException:
        raise NetworkTimeout(f"{peer} did not answer within {peer.timeout_s:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise NetworkError(f"{peer} cannot be reached: {reason}") from None


def query(
    client: httpx.Client, peer: WebPeer, path: str, asked: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    """A search (PS3.18 10.6): its answers, none for 204.

    Raises:
        NetworkError: it is refused, or the answer is none of DICOMweb.
    """
    with asking(client, peer, "GET", path, params=asked, headers={"Accept": JSON}) as answer:
        if answer.status_code == 204:
            return []
        if answer.status_code != 200:
            raise refusal(peer, answer)
        content = _body(peer, answer)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ProtocolError(
            f"{peer} answers, but not as a DICOMweb service", hint="is this its base address?"
        )
    return found


def document_of(peer: WebPeer, answer: httpx.Response) -> Mapping[str, Any]:
    """The Store Instances Response; empty where the service says nothing that can be read."""
    content = _body(peer, answer)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if isinstance(found, list) and len(found) == 1:  # some put it into an array
        found = found[0]
    return found if isinstance(found, dict) else {}


def _body(peer: WebPeer, answer: httpx.Response) -> bytes:
    """The answer's content, bounded in bytes and in time."""
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProtocolError(f"{peer} answers in an encoding that was not asked for")
    deadline = time.monotonic() + _ANSWER_FACTOR * peer.timeout_s
    content = bytearray()
    for piece in answer.iter_raw(64 << 10):
        content += piece
        if len(content) > _MAX_ANSWER_BYTES:
            raise ProtocolError(f"{peer} answers with more than {_MAX_ANSWER_BYTES >> 20} MB")
        if time.monotonic() > deadline:
            raise NetworkTimeout(f"the answer of {peer} does not come to its end")
    return bytes(content)


def refusal(peer: WebPeer, answer: httpx.Response) -> NetworkError:
    """What an answer means that is no result."""
    status = answer.status_code
    if status in (401, 403):
        return NetworkError(
            f"{peer} refuses us ({status})", hint="check the node's user name and password or token"
        )
    if 300 <= status < 400:
        return NetworkError(
            f"{peer} sends us elsewhere ({status})", hint="set the node to its real address"
        )
    if status in (404, 405):
        return NetworkError(
            f"{peer} does not offer this ({status})", hint="is this its base address?"
        )
    return NetworkError(f"{peer} answered {status}")


def items_of(document: Mapping[str, Any], tag: str) -> list[Mapping[str, Any]]:
    """The items of a sequence; none where it is none."""
    element = document.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []


def first_of(document: Mapping[str, Any], tag: str) -> object:
    """The first value of an element; empty where there is none."""
    element = document.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else ""


def number_in(value: object) -> int | None:
    """A number that is not 0."""
    try:
        return int(str(value)) or None
    except ValueError:
        return None
