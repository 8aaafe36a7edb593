"""What can be done with projects of de-identification. Each of these is an event."""

from __future__ import annotations

from isocenter.apps.deid.documents import (
    ProjectDocument,
    ProjectProblems,
    policy_of,
    read_document,
    read_file,
    write_document,
)
from isocenter.apps.deid.lookups import Found, look_up
from isocenter.apps.deid.maps import Imported, export_map, import_map, import_netrt_map, secret_of
from isocenter.apps.deid.orders import ProjectOrder, order_for
from isocenter.apps.deid.projects import (
    ProjectChanged,
    change_project,
    create_project,
    delete_project,
    name_problem,
)
from isocenter.apps.deid.rotation import Rotated, rotate_key
from isocenter.apps.deid.sealing import open_text, seal_text

__all__ = [
    "Found",
    "Imported",
    "ProjectChanged",
    "ProjectDocument",
    "ProjectOrder",
    "ProjectProblems",
    "Rotated",
    "change_project",
    "create_project",
    "delete_project",
    "export_map",
    "import_map",
    "import_netrt_map",
    "look_up",
    "name_problem",
    "open_text",
    "order_for",
    "policy_of",
    "read_document",
    "read_file",
    "rotate_key",
    "seal_text",
    "secret_of",
    "write_document",
]
