"""Who may do what: the one place that decides. Pages, API, DICOMweb and DIMSE ask here.

A role gives rights, groups add to them, a token's scopes take away. Nodes are free to
administrators and staff; others use those that a group of theirs was granted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from isocenter.core.errors import NotAllowed


class Right(StrEnum):
    """One kind of action."""

    VIEW = "view"  # that studies are here, their images, runs and results
    VIEW_IDENTIFIED = "view-identified"  # whose they are
    UPLOAD = "upload"
    DOWNLOAD = "download"
    RUN = "run"  # start, retry, cancel and prioritise runs; complete a study by hand
    TRANSFER = "transfer"  # send and fetch
    TRANSFER_IDENTIFIED = "transfer-identified"  # without pseudonyms
    QUARANTINE = "quarantine"  # retry, release, export what is held
    DELETE = "delete"  # studies and what is held; protect from deletion
    SIGN = "sign"
    VIEW_EVENTS = "view-events"
    MANAGE_ROUTES = "manage-routes"
    MANAGE_NODES = "manage-nodes"
    MANAGE_PEOPLE = "manage-people"
    MANAGE_SYSTEM = "manage-system"


ROLE_RIGHTS: dict[str, frozenset[Right]] = {
    "administrator": frozenset(Right),
    "staff": frozenset(Right)
    - {Right.SIGN, Right.DELETE, Right.MANAGE_PEOPLE, Right.MANAGE_SYSTEM},
    "physician": frozenset(
        {
            Right.VIEW,
            Right.VIEW_IDENTIFIED,
            Right.UPLOAD,
            Right.DOWNLOAD,
            Right.RUN,
            Right.TRANSFER,
            Right.SIGN,
        }
    ),
    "researcher": frozenset({Right.VIEW, Right.UPLOAD, Right.DOWNLOAD, Right.RUN, Right.TRANSFER}),
    "student": frozenset({Right.VIEW}),
    "service": frozenset(
        {
            Right.VIEW,
            Right.VIEW_IDENTIFIED,
            Right.UPLOAD,
            Right.DOWNLOAD,
            Right.RUN,
            Right.TRANSFER,
        }
    ),
}

SCOPES: dict[str, frozenset[Right]] = {
    "all": frozenset(Right),
    "read": frozenset({Right.VIEW, Right.VIEW_IDENTIFIED, Right.DOWNLOAD, Right.VIEW_EVENTS}),
    **{str(right): frozenset({right}) for right in Right},
}

_ANY_NODE = frozenset({"administrator", "staff"})


@dataclass(frozen=True)
class Principal:
    """Who asks. Nobody is ``Principal()``.

    Attributes:
        name: for the audit.
        rights: what is left of role and groups after a token's scopes.
        sources: names of nodes that may be fetched from; None: all.
        destinations: names of nodes that may be sent to; None: all.
        token: prefix of the token that was shown; empty for a session.
    """

    name: str = ""
    role: str = ""
    user_id: int | None = None
    rights: frozenset[Right] = field(default_factory=frozenset)
    sources: frozenset[str] | None = frozenset()
    destinations: frozenset[str] | None = frozenset()
    token: str = ""

    @property
    def is_known(self) -> bool:
        return self.user_id is not None

    def may(self, right: Right) -> bool:
        """Whether this is allowed at all."""
        return right in self.rights

    def may_send_to(self, node: str, *, identified: bool) -> bool:
        """Whether a study may go to this node, with or without its patient's identity."""
        needed = {Right.TRANSFER, Right.TRANSFER_IDENTIFIED} if identified else {Right.TRANSFER}
        is_granted = self.destinations is None or node in self.destinations
        return is_granted and needed <= self.rights

    def may_fetch_from(self, node: str) -> bool:
        """Whether studies may be searched and fetched there."""
        is_granted = self.sources is None or node in self.sources
        return is_granted and Right.TRANSFER in self.rights

    def require(self, right: Right) -> None:
        """
        Raises:
            NotAllowed: not allowed; names the right.
        """
        if right not in self.rights:
            who = f"{self.name} ({self.role})" if self.is_known else "nobody"
            raise NotAllowed(f"{who} lacks the right {right}", hint="ask an administrator")


# Whoever may read the database's password on the machine itself may do everything.
COMMAND_LINE = Principal(
    name="cli", role="administrator", rights=frozenset(Right), sources=None, destinations=None
)


def rights_for(
    role: str, group_rights: Iterable[str] = (), scopes: Iterable[str] | None = None
) -> frozenset[Right]:
    """What a role, groups and (for tokens) scopes come to; unknown names give nothing."""
    known = {str(right): right for right in Right}
    rights = ROLE_RIGHTS.get(role, frozenset()) | {
        known[name] for name in group_rights if name in known
    }
    if scopes is None:
        return rights
    allowed: frozenset[Right] = frozenset().union(
        *(SCOPES.get(scope, frozenset()) for scope in scopes)
    )
    return rights & allowed


def require_to_give(principal: Principal, rights: Iterable[Right]) -> None:
    """Nobody gives, or has power over, more than they have themselves.

    Raises:
        NotAllowed: some of these rights are not theirs.
    """
    lacking = sorted(set(rights) - principal.rights)
    if lacking:
        raise NotAllowed(
            f"{principal.name} lacks {', '.join(lacking)}, and nobody gives what they have not",
            hint="ask an administrator",
        )


def is_free_of_node_grants(role: str) -> bool:
    """Whether a role may use every node."""
    return role in _ANY_NODE
