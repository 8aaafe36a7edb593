"""A contract of our own for import-linter: apps meet in named rooms only."""

from __future__ import annotations

from collections.abc import Iterator

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class RoomsContract(Contract):  # type: ignore[misc]
    """Modules of one app may import only the open rooms of another.

    Settings: ``apps_package`` (``isocenter.apps``) and ``open_rooms`` (``services``, …).
    """

    apps_package = fields.StringField()
    open_rooms = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        broken = sorted(self._forbidden(graph))
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for importer, imported in check.metadata["broken"]:
            output.print_error(f"{importer} must not import {imported}")
        output.print(f"Open to other apps: {', '.join(sorted(self.open_rooms))}")

    def _forbidden(self, graph: ImportGraph) -> Iterator[tuple[str, str]]:
        prefix = f"{self.apps_package}."
        for importer in graph.find_descendants(self.apps_package):
            app = importer.removeprefix(prefix).split(".")[0]
            for imported in graph.find_modules_directly_imported_by(importer):
                if not imported.startswith(prefix):
                    continue
                other, *room = imported.removeprefix(prefix).split(".")
                if other != app and room[:1] and room[0] not in self.open_rooms:
                    yield importer, imported
