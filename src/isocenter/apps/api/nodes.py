"""Nodes."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import actor, needs
from isocenter.apps.api.paging import whole
from isocenter.apps.api.schemas import Command, Moment, PageOf, Row, with_problems
from isocenter.apps.transfers import queries, services
from isocenter.apps.transfers.models import Node

router = Router(tags=["nodes"])


class Tls(Row):
    """TLS towards a node (PS3.15 B.12); files on the server, in PEM."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
    verify: bool = Field(True, description="the name in its certificate must be the host")


class NodeRow(Row):
    """A node, with what its last test showed."""

    name: str
    kind: str = Field(description="`dimse`, `dicomweb` or `folder`")
    ae_title: str
    host: str
    port: int | None
    calling_ae_title: str = Field(description="how we call ourselves there; empty: the default")
    folder: str
    tls: dict[str, Any] = Field(description="empty: plain TCP")
    max_associations: int
    rate_mb_s: float | None = Field(description="megabytes per second; null: no limit")
    timeout_s: float | None
    can_query: bool = Field(description="it answers C-FIND")
    allows: list[str] = Field(
        description="what it may ask of us: `store`, `query`, `retrieve`, `commit`"
    )
    demands: str = Field(
        description="what it shows beside AE title and address: empty, `tls`, `certificate`"
    )
    wants_commitment: bool = Field(description="it is asked for Storage Commitment")
    url: str = Field(description="base of a DICOMweb service")
    username: str = Field(description="empty: its secret is a token")
    has_secret: bool = Field(description="the secret itself is never shown")
    enabled: bool
    health: str = Field(description="`ok`, `fails` or `unknown`")
    health_message: str
    health_ms: int | None
    health_at: Moment
    health_since: Moment
    open_deliveries: int
    failed_deliveries: int


class NodeChange(Command):
    """A node as it shall be; what is left out gets its default."""

    kind: str = Field(description="`dimse`, `dicomweb` or `folder`")
    ae_title: str = ""
    host: str = ""
    port: int | None = None
    calling_ae_title: str = ""
    folder: str = ""
    tls: Tls | None = None
    max_associations: int = 2
    rate_mb_s: float | None = None
    timeout_s: float | None = None
    can_query: bool = False
    allows: list[Literal["store", "query", "retrieve", "commit"]] | None = Field(
        None, description="left out: `store` for a DICOM system"
    )
    demands: Literal["", "tls", "certificate"] = ""
    wants_commitment: bool = False
    url: str = ""
    username: str = ""
    secret: str | None = Field(
        None, max_length=4096, description="left out: what is kept stays; empty: it is removed"
    )
    enabled: bool = True

    def values(self) -> dict[str, Any]:
        """As the service takes it."""
        return self.model_dump(exclude={"name"}) | {
            "tls": self.tls.model_dump() if self.tls else {}
        }


class NewNode(NodeChange):
    """A node that is not there yet."""

    name: str


class NodeTested(Row):
    """What a test showed."""

    node: str
    ok: bool
    seconds: float
    message: str


@router.get("/nodes", response=with_problems(PageOf[NodeRow]), auth=needs(Right.MANAGE_NODES))
def list_nodes(request: HttpRequest) -> Any:
    """All nodes, by name."""
    waiting = queries.deliveries()
    return whole([_row(item, waiting) for item in queries.nodes()])


@router.post("/nodes", response=with_problems(NodeRow, 201), auth=needs(Right.MANAGE_NODES))
def make_node(request: HttpRequest, node: NewNode) -> Any:
    """Make a node. What is wrong with it is said by field."""
    row = services.set_node(node.name, node.values(), actor=actor(request), is_new=True)
    return Status(201, _row(row, {}))


@router.get("/nodes/{name}", response=with_problems(NodeRow), auth=needs(Right.MANAGE_NODES))
def get_node(request: HttpRequest, name: str) -> Any:
    """One node."""
    return _row(queries.node(name), queries.deliveries())


@router.put("/nodes/{name}", response=with_problems(NodeRow), auth=needs(Right.MANAGE_NODES))
def change_node(request: HttpRequest, name: str, node: NodeChange) -> Any:
    """Set a node to exactly these values."""
    services.set_node(name, node.values(), actor=actor(request), is_new=False)
    return _row(queries.node(name), queries.deliveries())


@router.delete("/nodes/{name}", response=with_problems(None, 204), auth=needs(Right.MANAGE_NODES))
def remove_node(request: HttpRequest, name: str) -> Any:
    """Remove a node that no route names."""
    services.remove_node(name, actor=actor(request))
    return Status(204, None)


@router.post(
    "/nodes/{name}/test", response=with_problems(NodeTested), auth=needs(Right.MANAGE_NODES)
)
def test_node(request: HttpRequest, name: str) -> Any:
    """C-ECHO to a DICOM system; write and remove a file in a folder. A node that fails is an
    answer (`ok` is false), not an error."""
    result = services.test_node(name)
    return {
        "node": name,
        "ok": result.is_ok,
        "seconds": round(result.seconds, 4),
        "message": result.message,
    }


def _row(row: Node, waiting: dict[str, dict[str, int]]) -> dict[str, Any]:
    counts = waiting.get(row.name, {"open": 0, "failed": 0})
    return (
        queries.node_row(row)
        | queries.health_row(row)
        | {"open_deliveries": counts["open"], "failed_deliveries": counts["failed"]}
    )
