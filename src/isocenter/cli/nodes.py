"""``isocenter nodes``: systems that we talk to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from isocenter.cli.platform import ConfigOption, DataDirOption, JsonOption, connect, emit, fail

app = typer.Typer(no_args_is_help=True)
_COLUMNS = (
    "name",
    "kind",
    "ae_title",
    "host",
    "port",
    "url",
    "folder",
    "allows",
    "max_associations",
    "enabled",
    "health",
    "health_at",
)

Name = Annotated[str, typer.Argument(help="Name of the node.", show_default=False)]
FolderOption = Annotated[Path | None, typer.Option(help="A folder in place of a DICOM system.")]
HostOption = Annotated[str, typer.Option(help="Name or address of the DICOM system.")]
PortOption = Annotated[int | None, typer.Option(min=1, max=65535)]
AeTitleOption = Annotated[str, typer.Option(help="AE title that the system is called by.")]
CallingAeTitleOption = Annotated[str, typer.Option(help="How we call ourselves there.")]
MaxAssociationsOption = Annotated[
    int, typer.Option(min=1, help="Associations at once, of all deliveries.")
]
RateMbSOption = Annotated[
    float | None, typer.Option(min=0.1, help="Megabytes per second, at most.")
]
TimeoutSOption = Annotated[float | None, typer.Option(help="Longest silence of the peer.")]
CanQueryOption = Annotated[
    bool, typer.Option(help="It answers C-FIND, so completion compares counts.")
]
AllowOption = Annotated[
    str,
    typer.Option(help="What it may ask of us: store, query, retrieve, commit; with commas."),
]
DemandOption = Annotated[
    str, typer.Option(help="What it has to show when it calls: tls, or certificate.")
]
CommitOption = Annotated[
    bool, typer.Option(help="Ask it for Storage Commitment after each delivery.")
]
UrlOption = Annotated[str, typer.Option(help="A DICOMweb service: what /studies is added to.")]
UsernameOption = Annotated[str, typer.Option(help="Of the DICOMweb service; empty: a token.")]
SecretFileOption = Annotated[
    typer.FileText | None,
    typer.Option(encoding="utf-8", help="File with its password or token, - for standard input."),
]
TlsOption = Annotated[bool, typer.Option(help="Talk TLS.")]
TlsCaOption = Annotated[Path | None, typer.Option(help="PEM file with its CA.")]
TlsCertificateOption = Annotated[Path | None, typer.Option(help="PEM file: our own.")]
TlsKeyOption = Annotated[Path | None, typer.Option(help="PEM file: our own key.")]
TlsVerifyOption = Annotated[bool, typer.Option(help="Check the name in its certificate.")]
DisabledOption = Annotated[bool, typer.Option(help="Add it, but send nothing there.")]


@app.command("list")
def list_nodes(
    data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the nodes, with what their last test showed."""
    connect(data_dir, config)
    from isocenter.apps.transfers import queries

    rows = [queries.node_row(item) | queries.health_row(item) for item in queries.nodes()]
    emit(rows, as_json, columns=_COLUMNS, empty="no nodes: isocenter nodes add NAME …")


@app.command()
def add(
    name: Name,
    folder: FolderOption = None,
    host: HostOption = "",
    port: PortOption = None,
    ae_title: AeTitleOption = "",
    calling_ae_title: CallingAeTitleOption = "",
    max_associations: MaxAssociationsOption = 2,
    rate_mb_s: RateMbSOption = None,
    timeout_s: TimeoutSOption = None,
    can_query: CanQueryOption = False,
    allow: AllowOption = "store",
    demand: DemandOption = "",
    commit: CommitOption = False,
    url: UrlOption = "",
    username: UsernameOption = "",
    secret_file: SecretFileOption = None,
    tls: TlsOption = False,
    tls_ca: TlsCaOption = None,
    tls_certificate: TlsCertificateOption = None,
    tls_key: TlsKeyOption = None,
    tls_verify: TlsVerifyOption = True,
    disabled: DisabledOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a node, or set an existing one to exactly these values."""
    values: dict[str, Any] = {
        "name": name,
        **_kind(folder, url),
        "host": host,
        "port": port,
        "ae_title": ae_title,
        "calling_ae_title": calling_ae_title,
        "max_associations": max_associations,
        "rate_mb_s": rate_mb_s,
        "timeout_s": timeout_s,
        "can_query": can_query,
        "allows": [part.strip() for part in allow.split(",") if part.strip()],
        "demands": demand,
        "wants_commitment": commit,
        "url": url,
        "username": username,
        "secret": secret_file.read().rstrip("\r\n") if secret_file else None,
        "enabled": not disabled,
        **_tls(tls or url.startswith("https:"), tls_verify, tls_ca, tls_certificate, tls_key),
    }
    connect(data_dir, config)
    emit(_saved(values), as_json)


def _kind(folder: Path | None, url: str) -> dict[str, str]:
    return {
        "kind": "folder" if folder else "dicomweb" if url else "dimse",
        "folder": str(folder.expanduser().absolute()) if folder else "",
    }


def _tls(
    is_asked: bool, verify: bool, ca: Path | None, certificate: Path | None, key: Path | None
) -> dict[str, Any]:
    if not (is_asked or ca or certificate):
        return {}
    files = {"ca": ca, "certificate": certificate, "key": key}
    places = {name: str(path.absolute()) if path else "" for name, path in files.items()}
    return {"tls": {**places, "verify": verify}}


def _saved(values: dict[str, Any]) -> dict[str, Any]:
    """The node as it is now; ends the command where an option cannot be."""
    from isocenter.apps.routing.documents import PipelineErrors, write_yaml
    from isocenter.apps.routing.services import apply_yaml
    from isocenter.apps.transfers import queries

    try:
        apply_yaml(write_yaml({"nodes": [values]}), where="the options", actor="cli")
    except PipelineErrors as error:
        fail("\n".join(_as_option(str(problem)) for problem in error.errors))
    return queries.node_row(queries.node(values["name"]))


@app.command()
def remove(
    name: Name,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a node that no route names."""
    connect(data_dir, config)
    from isocenter.apps.transfers.services import remove_node

    remove_node(name, actor="cli")
    if as_json:
        emit({"node": name, "removed": True}, as_json)
    else:
        typer.echo(f"{name} is removed")


@app.command("test")
def try_node(
    name: Name,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """C-ECHO to a DICOM system; write and remove a file in a folder."""
    connect(data_dir, config)
    from isocenter.apps.transfers import services

    result = services.test_node(name)
    if as_json:
        emit(
            {
                "node": name,
                "ok": result.is_ok,
                "seconds": round(result.seconds, 4),
                "message": result.message,
            },
            as_json,
        )
        raise typer.Exit(0 if result.is_ok else 1)
    if not result.is_ok:
        fail(f"{name}: {result.message}")
    typer.echo(f"{name}: {result.message} ({result.seconds * 1000:.0f} ms)")


_OPTIONS = {
    "name": "NAME",
    "allows": "--allow",
    "demands": "--demand",
    "wants_commitment": "--commit",
    "secret": "--secret-file",
}


def _as_option(problem: str) -> str:
    """``nodes[0].allows[0]: …`` → ``--allow: …``: what was typed, not how it is kept."""
    key, _, text = problem.removeprefix("nodes[0].").partition(": ")
    field = key.partition("[")[0]
    option = _OPTIONS.get(field) or f"--{field.replace('_', '-').replace('.', '-')}"
    return f"{option}: {text}"
