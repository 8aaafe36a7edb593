"""What can be done with nodes."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import transaction

from isocenter.apps.transfers import queries
from isocenter.apps.transfers.models import Node
from isocenter.apps.transfers.transmission import OnReceipt, Parcel, Receipt
from isocenter.apps.transfers.transmission import send as send_parcels
from isocenter.core.errors import ConfigurationError, IsocenterError

__all__ = [
    "NodeTest",
    "OnReceipt",
    "Parcel",
    "Receipt",
    "remove_node",
    "save_node",
    "send_parcels",
    "test_node",
]


@dataclass(frozen=True)
class NodeTest:
    """What a test of a node showed."""

    is_ok: bool
    seconds: float
    message: str


def save_node(name: str, values: dict[str, Any]) -> tuple[Node, bool]:
    """Make a node or change it to exactly these (checked) values; whether it is new."""
    defaults = {**values, "tls": dict(values.get("tls") or {})}
    defaults.pop("name", None)
    return Node.objects.update_or_create(name=name, defaults=defaults)


def remove_node(name: str) -> None:
    """Remove a node. What is waiting for it then fails with its reason.

    Raises:
        NotFound: there is none.
        ConfigurationError: a route names it.
    """
    # Routes are asked, not read: routing owns them.
    from isocenter.apps.routing.queries import routes_to

    with transaction.atomic():
        node = queries.node(name)
        used = routes_to(name)
        if used:
            raise ConfigurationError(
                f"the node {name} is a destination of {', '.join(used)}",
                hint="change or remove these routes first",
            )
        node.delete()


def test_node(name: str) -> NodeTest:
    """C-ECHO to a DICOM node; write and remove a file in a folder node.

    Raises:
        NotFound: there is none.
    """
    node = queries.node(name)
    begin = time.monotonic()
    try:
        if node.kind == Node.Kind.FOLDER:
            _try_folder(Path(node.folder).expanduser())
            message = f"{node.folder} can be written"
        else:
            from isocenter.core.network.requestor import echo

            echo(queries.peer_of(node))
            message = f"{node.ae_title} at {node.host}:{node.port} answers"
    except (IsocenterError, OSError) as error:
        return NodeTest(False, time.monotonic() - begin, str(error))
    return NodeTest(True, time.monotonic() - begin, message)


def _try_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".isocenter-{uuid.uuid4()}"
    try:
        probe.write_bytes(b"")
    finally:
        probe.unlink(missing_ok=True)
