"""Who may do what: the one place that decides. Pages, API, DICOMweb and DIMSE ask here.

A role gives rights, groups add to them, a token's scopes take away. Nodes are free to
administrators and staff; others use those that a group of theirs was granted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

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
    MANAGE_PROJECTS = "manage-projects"  # of de-identification; import their maps
    REIDENTIFY = "reidentify"  # look up who is behind a pseudonym; export map and secret
    MANAGE_PEOPLE = "manage-people"
    MANAGE_SYSTEM = "manage-system"


ROLE_RIGHTS: dict[str, frozenset[Right]] = {
    "administrator": frozenset(Right),
    "staff": frozenset(Right)
    - {
        Right.SIGN,
        Right.DELETE,
        Right.REIDENTIFY,
        Right.MANAGE_PEOPLE,
        Right.MANAGE_SYSTEM,
    },
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
        is_narrow: that token has not the scope ``all``.
        withheld: rights of its owner that its scopes leave out.
    """

    name: str = ""
    role: str = ""
    user_id: int | None = None
    rights: frozenset[Right] = field(default_factory=frozenset)
    sources: frozenset[str] | None = frozenset()
    destinations: frozenset[str] | None = frozenset()
    token: str = ""
    is_narrow: bool = False
    withheld: frozenset[Right] = frozenset()

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
        if right in self.withheld:
            scopes = ", ".join(name for name, given in SCOPES.items() if right in given)
            raise NotAllowed(
                f"this token lacks the right {right}, which its owner has",
                hint=f"make a token with one of the scopes {scopes}",
            )
        if right not in self.rights:
            who = f"{self.name} ({self.role})" if self.is_known else "nobody"
            raise NotAllowed(f"{who} lacks the right {right}", hint="ask an administrator")

    def require_own_account(self) -> None:
        """Before somebody's own account is changed: its password, tokens, sessions.

        A program that was given a part of what its owner may is no way into the whole.

        Raises:
            NotAllowed: a token without the scope ``all``.
        """
        if self.is_narrow:
            raise NotAllowed(
                "a token without the scope all changes nothing about its owner's account",
                hint="it may revoke itself alone; use a session, or a token with the scope all",
            )


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


def require_to_give_nodes(
    principal: Principal, *, sources: Iterable[str] = (), destinations: Iterable[str] = ()
) -> None:
    """Nobody gives nodes that they may not use themselves, unless they manage nodes.

    Raises:
        NotAllowed: some of these nodes are not theirs.
    """
    if principal.may(Right.MANAGE_NODES):
        return
    lacking = _beyond(principal.sources, sources) | _beyond(principal.destinations, destinations)
    if lacking:
        raise NotAllowed(
            f"{principal.name} may not use {', '.join(sorted(lacking))} so, "
            "and nobody gives what they have not",
            hint="ask an administrator",
        )


def _beyond(granted: frozenset[str] | None, wanted: Iterable[str]) -> set[str]:
    return set() if granted is None else set(wanted) - granted


def is_free_of_node_grants(role: str) -> bool:
    """Whether a role may use every node."""
    return role in _ANY_NODE


class DimseRight(StrEnum):
    """What a DICOM system may ask of us over DIMSE. C-ECHO is free."""

    STORE = "store"  # C-STORE
    QUERY = "query"  # C-FIND
    RETRIEVE = "retrieve"  # C-GET, C-MOVE
    COMMIT = "commit"  # Storage Commitment: N-ACTION


class DimseCaller(Protocol):
    """Who asks over DIMSE; nobody that we know has an empty name."""

    @property
    def node_name(self) -> str | None: ...

    @property
    def allows(self) -> frozenset[DimseRight]: ...


def require_dimse(caller: DimseCaller, right: DimseRight) -> None:
    """Before a DIMSE service does what it was asked.

    Raises:
        NotAllowed: this caller lacks the right; the text fits an Error Comment (LO, PS3.7 C.4).
    """
    if right in caller.allows:
        return
    if caller.node_name is None:
        raise NotAllowed(f"AE title and address are no node with {right}")
    raise NotAllowed(f"this node lacks the right {right}")
