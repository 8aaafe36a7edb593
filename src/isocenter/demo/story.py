"""The demonstration, in the order of its telling."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from isocenter.core.errors import ConfigurationError, IsocenterError, NotDicomError
from isocenter.core.network.client import Peer
from isocenter.core.network.proposals import SendItem, read_item
from isocenter.core.network.requestor import Outcome, send
from isocenter.core.phantoms import head_phantom
from isocenter.demo.node import FolderNode
from isocenter.demo.platform import DemoPlatform
from isocenter.demo.tables import print_deliveries, print_rois, print_stages

RUN_TIMEOUT_S = 600
SENDER = "DEMO_SENDER"

ROUTES = """\
nodes:
  - {{name: demo-node, kind: dimse, ae_title: {ae_title}, host: 127.0.0.1, port: {port}}}
  - {{name: demo-folder, kind: folder, folder: "{folder}"}}
pipelines:
  - name: demo
    description: RT structure sets as overlay series, segmentation, masks and pictures
    steps:
      - step: contours
        with: {{formats: [overlay, seg, nifti, json, preview], overlay_mode: per-roi}}
      - step: burn_in
      - step: deliver
routes:
  - name: demo
    condition: '"RTSTRUCT" in ModalitiesInStudy'
    pipeline: demo
    destinations: [demo-node, demo-folder]
"""


@dataclass
class Stage:
    """One line of the last table."""

    name: str
    seconds: float = 0.0
    result: str = ""


@dataclass
class Story:
    """Tells what happens while it happens, and remembers it for the table."""

    console: Console
    stages: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[tuple[Stage, Callable[[str], None]]]:
        """Times what happens inside; the second value shows what it is at."""
        stage = Stage(name)
        started = time.monotonic()
        with self.console.status(f"{name} …") as status:
            yield stage, lambda text: status.update(f"{name} … {text}")
        stage.seconds = time.monotonic() - started
        self.stages.append(stage)
        self.console.print(f"[green]✓[/] {name} [dim]({stage.seconds:.1f} s)[/] {stage.result}")


def tell(study: Path | None, console: Console, out: Path | None = None) -> int:
    """Run the main job once, from C-STORE to delivery.

    Args:
        study: folder with images and structure sets of one study; None makes a synthetic head.
        out: folder for what comes out; None takes a new temporary one.

    Returns:
        Exit code: 0 when everything arrived.

    Raises:
        IsocenterError: what went wrong, and what to do.
    """
    workspace = out or Path(tempfile.mkdtemp(prefix="isocenter-demo-"))
    workspace.mkdir(parents=True, exist_ok=True)
    if any(workspace.iterdir()):
        raise ConfigurationError(f"{workspace} is not empty", hint="name an empty or new folder")
    workspace = workspace.resolve()
    story = Story(console)
    try:
        return _run(story, study, workspace)
    finally:
        _tidy(workspace)
        console.print(f"Everything is in {workspace}; it is yours to remove.")


def _run(story: Story, study: Path | None, workspace: Path) -> int:
    with (
        FolderNode(workspace / "node") as node,
        DemoPlatform(workspace / "platform") as platform,
    ):
        items = _study(story, study, workspace)
        state = _start(story, platform)
        _set_up(story, platform, node, workspace)
        study_uid = _send(story, items, state)
        facts = _watch(story, study_uid)
        _show(story.console, story, workspace, facts)
    return 0 if facts["is_done"] else 1


def _study(story: Story, folder: Path | None, workspace: Path) -> list[SendItem]:
    with story.stage("Study") as (stage, at):
        if folder is None:
            at("making a synthetic head CT with structure set")
            paths = head_phantom("demo").write(workspace / "study")
        else:
            paths = sorted(path for path in folder.expanduser().rglob("*") if path.is_file())
        items, others = [], 0
        for path in paths:
            try:
                items.append(read_item(path))
            except NotDicomError:
                others += 1
        if not items:
            raise ConfigurationError(f"no DICOM file in {folder}")
        stage.result = f"{len(items)} instances" + (f", {others} other files" if others else "")
    return items


def _start(story: Story, platform: DemoPlatform) -> dict[str, Any]:
    with story.stage("Start") as (stage, at):
        state = platform.wait_ready(lambda: at("database, receiver, ingest, worker, web"))
        dicom, http = state["dicom"], state["http"]
        stage.result = (
            f"DICOM {dicom['ae_title']} at port {dicom['port']}, http://127.0.0.1:{http['port']}"
        )
    return state


def _set_up(story: Story, platform: DemoPlatform, node: FolderNode, workspace: Path) -> None:
    with story.stage("Route") as (stage, at):
        from isocenter.runtime.boot import boot

        at("connecting")
        boot(platform.layout.root)
        from isocenter.apps.routing import services as routing

        folder = workspace / "folder"
        folder.mkdir()
        routing.apply_yaml(
            ROUTES.format(ae_title=node.ae_title, port=node.port, folder=folder), where="the demo"
        )
        stage.result = "RTSTRUCT in study → contours, burn-in → second node and folder"


def _send(story: Story, items: list[SendItem], state: dict[str, Any]) -> str:
    from isocenter.core.dicom.reading import header_of

    study_uid = header_of(items[0].path)[1].study_uid
    peer = Peer("127.0.0.1", state["dicom"]["port"], state["dicom"]["ae_title"], SENDER)
    with story.stage("C-STORE") as (stage, at):
        sent: list[int] = []

        def count(_: object) -> None:
            sent.append(1)
            at(f"{len(sent)} of {len(items)}")

        report = send(items, peer, on_result=count)
        stored = report.count(Outcome.STORED)
        if not report.is_complete:
            raise IsocenterError(f"{len(items) - stored} of {len(items)} instances were refused")
        rate = report.bytes_sent / 1e6 / max(report.seconds, 1e-6)
        stage.result = f"{stored} instances acknowledged, {rate:.0f} MB/s"
    return study_uid


def _watch(story: Story, study_uid: str) -> dict[str, Any]:
    from isocenter.demo import watching

    deadline = time.monotonic() + RUN_TIMEOUT_S
    with story.stage("Complete") as (stage, at):
        found = watching.until(deadline, lambda: watching.complete(study_uid), at)
        stage.result = f"revision {found['revision']}, {found['instances']} instances"
    with story.stage("Pipeline") as (stage, at):
        run = watching.until(deadline, lambda: watching.finished_run(study_uid), at)
        stage.result = f"run {run['state']}" + (f": {run['reason']}" if run["reason"] else "")
    with story.stage("Deliver") as (stage, at):
        deliveries = watching.until(deadline, lambda: watching.delivered(run["id"]), at)
        done = [item for item in deliveries if item["state"] == "done"]
        stage.result = f"{len(done)} of {len(deliveries)} destinations have everything"
    return {
        "run": run,
        "deliveries": deliveries,
        "is_done": run["state"] == "done" and bool(deliveries) and len(done) == len(deliveries),
        **watching.outputs(run["id"]),
    }


def _show(console: Console, story: Story, workspace: Path, facts: dict[str, Any]) -> None:
    print_rois(console, facts["rois"])
    print_stages(console, story.stages, facts["steps"])
    print_deliveries(console, facts["deliveries"], facts["artifacts"], workspace)


def _tidy(workspace: Path) -> None:
    """Leave results and logs; database, spool and passwords of the platform go."""
    for name in ("postgres", "spool", "secrets", "run"):
        shutil.rmtree(workspace / "platform" / name, ignore_errors=True)
