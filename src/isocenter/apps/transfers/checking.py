"""What a node needs to work, checked before it is kept."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from isocenter.apps.accounts.rights import DimseRight
from isocenter.apps.transfers.models import Node
from isocenter.core.errors import ConfigurationError
from isocenter.core.network.tls import ClientTls, client_context

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
# VR AE (PS3.5 6.2): the default repertoire without backslash and control characters.
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_SYSTEM = frozenset(
    {"", "bin", "boot", "dev", "etc", "proc", "sbin", "sys", "usr"}  # and those named lib…
)
_TAKEN = {
    "return-to-sender": "this name means the sender of a study",
    "new": "this name is the address of the page for new nodes",
}


class NodeProblems(ConfigurationError):
    """A node that cannot be used as it is.

    Attributes:
        problems: what is wrong, by field.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {text}" for field, text in problems.items()))
        self.problems = dict(problems)


def problems_of(values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a node's values, by field (``tls.ca`` and so on); empty when nothing.

    Folders and files are those of this machine.
    """
    found = {"name": name_problem(values.get("name") or "")}
    kind = values.get("kind")
    if kind == Node.Kind.FOLDER:
        found["folder"] = folder_problem(values.get("folder") or "")
    elif kind == Node.Kind.DIMSE:
        found |= _dimse_problems(values)
    elif kind == Node.Kind.DICOMWEB:
        found |= web_problems(values)
    else:
        found["kind"] = "a node is dimse, dicomweb or folder"
    if kind != Node.Kind.FOLDER and values.get("tls"):
        found |= tls_problems(values["tls"])
    if kind != Node.Kind.DIMSE and values.get("wants_commitment"):
        found["wants_commitment"] = "only DICOM systems know Storage Commitment"
    if values.get("calling_ae_title"):
        found["calling_ae_title"] = ae_title_problem(values["calling_ae_title"])
    for field, (low, high) in _BOUNDS.items():
        number = values.get(field)
        if number is not None and not low <= number <= high:
            found[field] = f"from {low:g} to {high:g}"
    return {field: text for field, text in found.items() if text}


def _dimse_problems(values: Mapping[str, Any]) -> dict[str, str]:
    found = {
        "ae_title": ae_title_problem(values.get("ae_title") or ""),
        "host": host_problem(values.get("host") or ""),
        "demands": demands_problem(values.get("demands") or ""),
    }
    port = values.get("port")
    if port is None or not 1 <= port <= 65535:
        found["port"] = "a DICOM node has a port from 1 to 65535; 104 and 11112 are common"
    unknown = sorted(set(values.get("allows") or ()) - set(map(str, DimseRight)))
    if unknown:
        found["allows"] = f"{unknown[0]} is none of {', '.join(DimseRight)}"
    return found


_BOUNDS = {
    "max_associations": (1, 64),
    "rate_mb_s": (0.1, 100_000),
    "timeout_s": (0.1, 3600),
}


def name_problem(name: str) -> str:
    """What is wrong with a node's name; empty when nothing."""
    if not _NAME.fullmatch(name):
        return "letters, digits, - and _, at most 64, the first a letter or digit"
    return _TAKEN.get(name, "")


def ae_title_problem(title: str) -> str:
    """What is wrong with an AE title (PS3.5 6.2, VR AE); empty when nothing."""
    if not title.strip(" "):
        return "an AE title has 1 to 16 characters that are not all spaces"
    if len(title) > 16:
        return f"an AE title has at most 16 characters; this has {len(title)}"
    if "\\" in title:
        return "an AE title has no backslash"
    if not _AE_TITLE.fullmatch(title):
        return "an AE title has ASCII characters only, and no control characters"
    return ""


def host_problem(host: str) -> str:
    """What is wrong with a host's name or address; empty when nothing. It is not looked up."""
    if not host:
        return "a DICOM node has a host: its name or address"
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return ""
    if "/" in host or ":" in host:
        return "only a name or an address, without scheme, port or path"
    if len(host) > 253 or not all(_LABEL.fullmatch(part) for part in host.rstrip(".").split(".")):
        return "this is no host name and no address"
    return ""


def demands_problem(demands: str) -> str:
    """What is wrong with what a caller has to show; empty when nothing."""
    if demands not in Node.Demand.values:
        return "a node demands tls, certificate, or nothing"
    ours = settings.ISOCENTER.receiver.tls
    if demands and ours.certificate is None:
        return "our receiver talks no TLS, so nobody could: set receiver.tls.certificate"
    if demands == Node.Demand.CERTIFICATE and ours.ca is None:
        return "no CA is named that signs certificates of callers: set receiver.tls.ca"
    return ""


def web_problems(values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a DICOMweb service, by field. It is not asked."""
    username = values.get("username") or ""
    is_name = ":" not in username and _is_printable(username)  # RFC 7617 2
    is_line = _is_printable(values.get("secret") or "")
    return {
        "url": url_problem(values.get("url") or ""),
        "username": "" if is_name else "no colon and no control characters",
        "secret": "" if is_line else "one line without control characters",
    }


def url_problem(text: str) -> str:
    """What is wrong with the address of a DICOMweb service (PS3.18 8.2); empty when nothing."""
    if not text:
        return "a DICOMweb service has an address, for example https://pacs.example/dicom-web"
    if len(text) > 2048 or not text.isascii() or not _is_printable(text) or " " in text:
        return "at most 2048 ASCII characters without spaces"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "this is no address of the web"
    if parts.scheme not in ("http", "https") or not host:
        return "an address that begins with https:// or http:// and names a host"
    if parts.username is not None or parts.password is not None:
        return "without name and password; these have fields of their own"
    if parts.query or parts.fragment:
        return "without ? and #: the base that /studies is added to"
    return host_problem(host) and "the host in it is no name and no address"


def _is_printable(text: str) -> bool:
    return all(char.isprintable() for char in text)


def folder_problem(text: str) -> str:
    """What is wrong with a folder to write to; empty when nothing. Nothing is made."""
    if not text.startswith(("/", "~")):
        return "an absolute path, for example /srv/outgoing"
    try:
        folder = Path(text).expanduser().resolve()
        if problem := _place_problem(folder):
            return problem
        there = folder
        while not there.exists() and there != there.parent:
            there = there.parent
    except (OSError, RuntimeError, ValueError) as error:
        return f"this path cannot be used: {error}"
    if not there.is_dir():
        return f"{there} is a file"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} cannot be written by the user who runs Isocenter"
    return ""


def _place_problem(folder: Path) -> str:
    """Whether a node may write here at all; the service often runs as root, who may everywhere."""
    ours = Path(settings.LAYOUT.root).resolve()
    if folder.is_relative_to(ours):
        return "this is inside the data directory of Isocenter; choose a folder outside"
    roots = [root.expanduser().resolve() for root in settings.ISOCENTER.nodes.folder_roots]
    if roots:
        if any(folder.is_relative_to(root) for root in roots):
            return ""
        return f"folder nodes lie below {', '.join(map(str, roots))} (setting nodes.folder_roots)"
    top = folder.parts[1] if len(folder.parts) > 1 else ""
    if top in _SYSTEM or top.startswith("lib"):
        return "this is a folder of the system; choose another, for example /srv/outgoing"
    for home in (Path("/root"), Path.home().resolve()):
        if home in folder.parents and str(folder.relative_to(home)).startswith("."):
            return "this holds settings of a user; choose another, for example /srv/outgoing"
    return ""


def tls_problems(values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the files of TLS, by field."""
    found: dict[str, str] = {}
    for key in ("ca", "certificate", "key"):
        text = values.get(key)
        if not text:
            continue
        if not _is_readable(text):
            found[f"tls.{key}"] = "there is no such file that the user who runs Isocenter may read"
    if values.get("key") and not values.get("certificate"):
        found["tls.certificate"] = "a key needs its certificate"
    if not found:
        found |= _unusable(values)
    return found


def _unusable(values: Mapping[str, Any]) -> dict[str, str]:
    def file(key: str) -> Path | None:
        return Path(values[key]).expanduser() if values.get(key) else None

    # What a library says of a file is not passed on: it may be about what stands in it.
    try:
        client_context(ClientTls(ca=file("ca")))
    except ConfigurationError:
        return {"tls.ca": "this file holds no certificates in PEM"}
    try:
        client_context(ClientTls(certificate=file("certificate"), key=file("key")))
    except ConfigurationError:
        return {"tls.certificate": "no certificate in PEM with the key that belongs to it"}
    return {}


def _is_readable(text: str) -> bool:
    try:
        path = Path(text).expanduser()
        if not path.is_file():  # to open a pipe would wait for ever
            return False
        with path.open("rb") as stream:
            stream.read(1)
    except (OSError, RuntimeError, ValueError):
        return False
    return True
