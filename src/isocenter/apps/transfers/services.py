"""What can be done with nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.db import transaction

from isocenter.apps.accounts.rights import DimseRight
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.deid.services import open_text, seal_text
from isocenter.apps.transfers import queries
from isocenter.apps.transfers.checking import NodeProblems, problems_of
from isocenter.apps.transfers.models import Node, only_store
from isocenter.apps.transfers.testing import NodeTest, test_all, test_node
from isocenter.apps.transfers.transmission import OnReceipt, Parcel, Receipt
from isocenter.apps.transfers.transmission import send as send_parcels
from isocenter.core.errors import ConfigurationError

log = structlog.get_logger(__name__)

__all__ = [
    "NodeProblems",
    "NodeTest",
    "OnReceipt",
    "Parcel",
    "Receipt",
    "problems_of",
    "remove_node",
    "save_node",
    "send_parcels",
    "set_node",
    "test_all",
    "test_node",
]


def set_node(name: str, values: Mapping[str, Any], *, actor: str = "", is_new: bool) -> Node:
    """Check and keep a node as a person describes it; fields that are left out get defaults.

    Args:
        is_new: whether the person means to make it; a name that is taken is no change then.

    Raises:
        NodeProblems: what is wrong, by field.
        NotFound: it is to be changed, and there is none.
    """
    values = {**values, "name": name}
    problems = problems_of(values)
    if not problems and is_new and queries.is_taken(name):
        problems = {"name": f"there is a node {name} already"}
    if problems:
        raise NodeProblems(problems)
    if not is_new:
        queries.node(name)
    return save_node(name, values, actor=actor)[0]


def _tell_receiver() -> None:
    """Nodes are part of the receiver's policy: write it now, not at ingest's next look."""
    from isocenter.apps.archive.services import write_receive_policy

    try:
        write_receive_policy()
    except OSError as error:  # ingest tries again every few seconds
        log.warning("receive_policy_not_written", reason=type(error).__name__)


def save_node(name: str, values: Mapping[str, Any], *, actor: str = "") -> tuple[Node, bool]:
    """Make a node or change it to exactly these (checked) values; whether it is new.

    A ``secret`` that is None or left out stays as it is; an empty one is taken away, and so is
    one whose service has another address now: it was given for that one alone.
    """
    defaults = {**values, "tls": dict(values.get("tls") or {})}
    defaults.pop("name", None)
    defaults["allows"] = _allows(values)
    secret = defaults.pop("secret", None)
    with transaction.atomic():
        before = Node.objects.filter(name=name).first()
        old = queries.node_row(before) if before else {}
        if secret is None and before is not None and before.secret:
            secret = None if _origin(before.url) == _origin(str(values.get("url", ""))) else ""
        is_new_secret = secret is not None and not _is_kept(before, secret)
        if is_new_secret:
            defaults["secret"] = seal_text(secret) if secret else ""
        node, is_new = Node.objects.update_or_create(name=name, defaults=defaults)
        new = queries.node_row(node)
        changed = {key: new[key] for key in new if old.get(key) != new[key]}
        if is_new_secret:
            changed["secret"] = "changed" if secret else "removed"
        if changed:
            change = "made" if is_new else "changed"
            record(Kind.NODE_CHANGED, actor=actor, node=name, change=change, values=changed)
            transaction.on_commit(_tell_receiver)
    return node, is_new


def _allows(values: Mapping[str, Any]) -> list[str]:
    """In the order of the rights, each once; only DICOM systems call us."""
    if values.get("kind") != Node.Kind.DIMSE:
        return []
    wanted = values.get("allows")
    given = set(only_store() if wanted is None else wanted)
    return [str(right) for right in DimseRight if str(right) in given]


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _is_kept(before: Node | None, secret: str) -> bool:
    if before is None or not before.secret:
        return not secret
    try:
        return open_text(before.secret) == secret
    except ConfigurationError:
        return False


def remove_node(name: str, *, actor: str = "") -> None:
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
        record(Kind.NODE_CHANGED, actor=actor, node=name, change="removed")
        transaction.on_commit(_tell_receiver)
