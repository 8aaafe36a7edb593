"""The root of the command line. Groups are imported only when they are used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import typer

from isocenter.cli.platform import run


@dataclass(frozen=True)
class Entry:
    """A command or group: the module that has it, and one line of help."""

    module: str
    help: str


# A module exposes either `app` (a typer.Typer, mounted under the name) or `register(root)`.
COMMANDS: dict[str, Entry] = {
    "demo": Entry("demo", "Send a study through a platform made for it, and show what comes out."),
    "up": Entry("up", "Start everything on this machine."),
    "receiver": Entry("parts", "Run the DICOM receiver alone."),
    "ingest": Entry("parts", "Run the ingest alone."),
    "worker": Entry("parts", "Run one worker alone."),
    "web": Entry("parts", "Run the web server alone."),
    "db": Entry("db", "The embedded database: start, stop, url, migrate."),
    "config": Entry("config", "Show and check the configuration."),
    "doctor": Entry("doctor", "Say what is wrong on this machine, and how to mend it."),
    "version": Entry("version", "Print the version."),
    "send": Entry("network", "Send DICOM files to a peer (C-STORE)."),
    "echo": Entry("network", "Ask a peer whether it is there (C-ECHO)."),
    "import": Entry("import_", "Import a folder, ZIP or DICOMDIR."),
    "contours": Entry("contours", "Draw RT structure sets: overlays, masks, SEG, meshes."),
    "deidentify": Entry("deidentify", "De-identify a folder, and prove it."),
    "deid-rules": Entry("deid_rules", "Rules of de-identification: check, take over, presets."),
    "deid-project": Entry("deid_project", "Projects of de-identification on the platform."),
    "reindex": Entry("reindex", "Rebuild the index from the files of the archive."),
    "fsck": Entry("fsck", "Compare the index with the files."),
    "studies": Entry("studies", "Studies that are here."),
    "routes": Entry("routes", "Routes and pipelines."),
    "runs": Entry("runs", "Runs of pipelines."),
    "quarantine": Entry("quarantine", "What could not be done."),
    "audit": Entry("audit", "Events: list, export, verify."),
    "user": Entry("user", "People: make, change, approve, disable, passwords."),
    "group": Entry("group", "Groups of people, their rights and nodes."),
    "token": Entry("token", "Tokens that programs sign in with."),
    "nodes": Entry("nodes", "Systems that we talk to."),
}


def build(wanted: Collection[str] = COMMANDS) -> typer.Typer:
    """The root with all its commands; only the wanted ones are imported, the rest is help text.

    Args:
        wanted: names of commands; others are ignored.
    """
    root = typer.Typer(
        name="isocenter",
        help="A self-hosted imaging gateway: receives DICOM studies, keeps them safe, runs "
        "pipelines on them, delivers the results.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @root.callback()
    def _root() -> None:
        """Makes this a group, however many commands it has."""

    imported = {COMMANDS[name].module for name in wanted if name in COMMANDS}
    registered: set[str] = set()
    for name, entry in COMMANDS.items():
        if entry.module not in imported:
            root.command(name, help=entry.help)(_placeholder)
            continue
        module: Any = importlib.import_module(f"isocenter.cli.{entry.module}")
        if hasattr(module, "register"):
            if entry.module not in registered:
                module.register(root)
        else:
            root.add_typer(module.app, name=name, help=entry.help)
        registered.add(entry.module)
    return root


def _placeholder() -> None:
    """Stands for a command in the list; never runs."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point of ``isocenter``."""
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(run(build(given[:1]), given))


if __name__ == "__main__":
    main()
