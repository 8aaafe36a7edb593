"""``isocenter reindex`` and ``isocenter fsck``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

from isocenter.apps.archive.models import Instance
from isocenter.runtime.layout import Layout

from .conftest import Cli

pytestmark = pytest.mark.django_db


def put(archive: Path, number: int) -> Path:
    """A slice as the archive has it."""
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = f"1.2.3.4.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.PatientName, dataset.PatientID = "Secret^Name", "SECRET"
    dataset.InstanceNumber = number
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = archive / "1.2.3" / "1.2.3.4" / f"1.2.3.4.{number}.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, dataset, enforce_file_format=True)
    return path


def test_an_archive_without_an_index(cli: Cli, installation: Layout) -> None:
    paths = [put(installation.archive, number) for number in (1, 2)]
    (installation.archive / "1.2.4").mkdir()  # left empty, and no study

    code, out, _ = cli("fsck", "--json")
    assert (code, json.loads(out)["counts"]["extra"]) == (3, 2)
    code, out, _ = cli("reindex", "--json")
    assert code == 0
    assert {"studies": 1, "added": 2, "problems": []}.items() <= json.loads(out).items()
    assert Instance.objects.count() == 2
    code, out, _ = cli("fsck", "--json")
    assert (code, json.loads(out)["digests"]) == (0, 2)

    content = bytearray(paths[0].read_bytes())
    content[-1] ^= 1
    paths[0].write_bytes(content)
    paths[1].unlink()
    code, out, _ = cli("fsck")
    assert code == 3
    assert "digest: 1.2.3/1.2.3.4/1.2.3.4.1.dcm: its content is not what came in" in out
    assert "missing: 1.2.3/1.2.3.4/1.2.3.4.2.dcm: no file is there" in out
    assert "Secret" not in out
    code, out, _ = cli("fsck", "--quick", "--json")
    assert (code, json.loads(out)["counts"]["digest"]) == (3, 0)
    assert cli("reindex")[0] == 1
    code, out, _ = cli("reindex", "--forget-missing", "--json")
    assert (code, json.loads(out)["forgotten"]) == (0, 1)
    assert Instance.objects.count() == 1


@pytest.mark.parametrize("command", ["fsck", "reindex"])
def test_as_a_process_of_its_own(command: str, tmp_path: Path) -> None:
    """Django is set up here, and not there until a platform is found."""
    done = subprocess.run(
        [sys.executable, "-m", "isocenter.cli.main", command, "--data-dir", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "ImproperlyConfigured" not in done.stderr
    assert "no database in" in done.stderr
