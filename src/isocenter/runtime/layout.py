"""Where things are under the data directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The folders of one installation, all under ``root``."""

    root: Path

    @property
    def config_file(self) -> Path:
        return self.root / "isocenter.yaml"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def keys(self) -> Path:
        """Keys that seal the secrets of de-identification projects; made at first need."""
        return self.root / "keys"

    @property
    def run(self) -> Path:
        """State of the running platform: ``runtime.json``, ``receive-policy.json``, sockets."""
        return self.root / "run"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def runs(self) -> Path:
        """Work and outputs of runs: ``runs/<run id>/<step index>-<step name>/``."""
        return self.root / "runs"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def thumbnails(self) -> Path:
        """Small pictures: ``thumbnails/<study>/<series>.png``. Can be made again at any time."""
        return self.root / "thumbnails"

    @property
    def metadata(self) -> Path:
        """Metadata of stored series: ``metadata/<study>/<series>.meta``. Can be made again at any
        time, so a backup may leave it out."""
        return self.root / "metadata"

    @property
    def uploads(self) -> Path:
        """Uploaded bytes that are not in the spool yet; nothing here has been acknowledged."""
        return self.root / "uploads"

    @property
    def exports(self) -> Path:
        """Files made for somebody to fetch; retention may have an end for them."""
        return self.root / "exports"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def create(self) -> None:
        """Make every folder, durably; mode 0700, because they hold patients' data."""
        for folder in (
            self.root,
            self.secrets,
            self.run,
            self.spool,
            self.archive,
            self.runs,
            self.quarantine,
            self.reports,
            self.thumbnails,
            self.metadata,
            self.uploads,
            self.logs,
        ):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.root, self.root.parent):
            _sync_names(folder)


def _sync_names(folder: Path) -> None:
    """Make the names in a folder durable, where we may open it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
