"""Stored studies, routes and a destination, without the processes around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from isocenter.apps.archive.incoming import FilePayload, Incoming, Origin
from isocenter.apps.archive.ingest import ingest_records
from isocenter.apps.archive.models import Revision, Study
from isocenter.apps.archive.revisions import ensure_revision
from isocenter.apps.deid.models import Project
from isocenter.apps.routing.models import Run
from isocenter.core.phantoms import HeadPhantom, head_phantom
from isocenter.runtime.settings import Settings

SMALL = {"slices": 5, "rows": 48, "columns": 64, "spacing_mm": 5.0, "slice_distance_mm": 30.0}
SENDER = Origin("dimse", "SENDER", "ISOCENTER", "127.0.0.1")


@dataclass
class Stored:
    """A phantom in the archive."""

    phantom: HeadPhantom
    files: list[Path]
    study_uid: str
    taken: list[Path] = field(default_factory=list)

    @property
    def study(self) -> Study:
        return Study.objects.get(study_uid=self.study_uid)

    def take(self, *files: Path, origin: Origin = SENDER) -> Revision:
        """Take files in and complete the study."""
        now = timezone.now()
        ingest_records([Incoming(FilePayload(path), origin, now) for path in files])
        with transaction.atomic():
            study = Study.objects.select_for_update().get(study_uid=self.study_uid)
            revision, _ = ensure_revision(study, Revision.Reason.COMPLETE)
            study.state = Study.State.COMPLETE
            study.save()
        assert revision is not None
        return revision


@pytest.fixture
def stored(transactional_db: None, tmp_path: Path) -> Callable[..., tuple[Stored, Revision]]:
    """A study in the archive: all of it, or what ``only`` picks of its files."""

    def make(
        key: str = "a", *, only: slice = slice(None), origin: Origin = SENDER, **size: Any
    ) -> tuple[Stored, Revision]:
        phantom = head_phantom(key, **(SMALL | size))
        files = phantom.write(tmp_path / f"phantom-{key}")
        study = Stored(phantom, files, str(phantom.study_uid))
        return study, study.take(*files[only], origin=origin)

    return make


@pytest.fixture
def configure(installation: Any) -> Callable[..., None]:
    """Change settings, section by section."""

    def change(**sections: dict[str, Any]) -> None:
        values = settings.ISOCENTER.model_dump()
        for name, section in sections.items():
            values[name] = {**values[name], **section}
        settings.ISOCENTER = Settings(**values)

    return change


@pytest.fixture(autouse=True)
def _short_times(request: pytest.FixtureRequest) -> Iterator[None]:
    if {"db", "transactional_db", "stored"} & set(request.fixturenames):
        request.getfixturevalue("configure")(
            workers={"heartbeat_s": 0.2, "dead_after_s": 1.0},
            delivery={"first_wait_s": 0.05, "max_wait_s": 0.2, "timeout_s": 5, "attempts": 3},
            storage={"reserve_mb": 0},
        )
    return


@pytest.fixture
def folder_node(tmp_path: Path) -> Path:
    """Where the node ``out`` puts files."""
    return tmp_path / "out"


def document(folder: Path, **route: Any) -> dict[str, Any]:
    """A node, a pipeline and a route; keys of the route can be changed, ``steps`` too."""
    steps = route.pop("steps", None) or [
        {"step": "contours", "with": {"formats": ["overlay"]}},
        {"step": "burn_in"},
        {"step": "deliver"},
    ]
    return {
        "nodes": [{"name": "out", "kind": "folder", "folder": str(folder)}],
        "pipelines": [{"name": "overlay", "steps": steps}],
        "routes": [
            {
                "name": "overlay",
                "condition": '"RTSTRUCT" in ModalitiesInStudy',
                "pipeline": "overlay",
                "destinations": ["out"],
                **route,
            }
        ],
    }


@pytest.fixture
def apply(transactional_db: None, folder_node: Path) -> Callable[..., None]:
    """Set the route ``overlay`` up."""
    from isocenter.apps.routing.documents import write_yaml
    from isocenter.apps.routing.services import apply_yaml

    def do(**route: Any) -> None:
        apply_yaml(write_yaml(document(folder_node, **route)))

    return do


@pytest.fixture
def go() -> Callable[[Revision], Run]:
    """Evaluate a revision and do the one run that comes of it."""
    from isocenter.apps.routing.execution import execute
    from isocenter.apps.routing.services import evaluate

    def do(revision: Revision) -> Run:
        (run,) = evaluate(revision)
        execute(run.pk)
        run.refresh_from_db()
        return run

    return do


@pytest.fixture
def send_all() -> Callable[[Run], None]:
    """Do the deliveries of a run once each."""
    from isocenter.apps.routing.delivery import send

    def do(run: Run) -> None:
        for pk in run.deliveries.values_list("pk", flat=True):
            send(pk)

    return do


@pytest.fixture
def project(transactional_db: None) -> Callable[..., Project]:
    """Makes a project of de-identification."""
    from isocenter.apps.deid.services import ProjectDocument, create_project

    def make(name: str = "trial", **document: Any) -> Project:
        return create_project(name, ProjectDocument(**document), actor="test")

    return make


@pytest.fixture
def study(transactional_db: None, tmp_path: Path) -> tuple[Stored, Revision]:
    """A study of somebody in the archive, and its revision."""
    from .identified import identified_study

    made = identified_study(tmp_path / "study")
    return made, made.take(*made.files)


@pytest.fixture
def again() -> Callable[..., Run]:
    """Does a run again."""
    from isocenter.apps.routing.execution import execute
    from isocenter.apps.routing.services import retry_run

    def do(run: Run, from_step: str | None = None) -> Run:
        retry_run(run.pk, from_step=from_step)
        execute(run.pk)
        run.refresh_from_db()
        return run

    return do
