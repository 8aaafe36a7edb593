"""The receiver's questions to the archive, where there is no database to ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom.ae import ApplicationEntity

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"

# Says which modules are loaded when it is told to stop.
PROGRAM = """
import json, sys
from pathlib import Path
from isocenter.runtime.receiver import run_receiver
from isocenter.runtime.settings import Receiver, Settings
settings = Settings(data_dir=sys.argv[1], receiver=Receiver(hosts=("127.0.0.1",), port=0))
code = run_receiver(settings)
heavy = [name for name in ("django", "pydicom", "numpy", "psycopg") if name in sys.modules]
Path(sys.argv[1], "modules.json").write_text(json.dumps(heavy))
sys.exit(code)
"""


class Receiver:
    """A receiver alone, in a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={k: v for k, v in os.environ.items() if not k.startswith("DJANGO_")},
        )
        state = folder / "run" / "receiver.json"
        deadline = time.monotonic() + 60
        while not state.exists():
            assert time.monotonic() < deadline
            assert self.process.poll() is None
            time.sleep(0.05)
        self.port = int(json.loads(state.read_text())["addresses"][0]["port"])

    def heavy_modules(self) -> list[str]:
        """Stop it; what it had loaded."""
        self.process.terminate()
        assert self.process.wait(30) == 0
        return list(json.loads((self.folder / "modules.json").read_text()))


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    one = Receiver(tmp_path / "data")
    yield one
    if one.process.poll() is None:
        one.process.kill()
    one.process.wait(30)


def image() -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CT, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.Rows = ds.Columns = 8
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation, ds.SamplesPerPixel = 15, 0, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelData = np.zeros((8, 8), np.uint16).tobytes()
    return ds


def test_taking_instances_loads_nothing_of_the_archive(receiver: Receiver) -> None:
    entity = ApplicationEntity()
    entity.add_requested_context(CT, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", receiver.port)
    assert association.send_c_store(image()).Status == 0x0000
    association.release()
    assert receiver.heavy_modules() == []


def test_without_a_database_queries_are_refused_and_instances_taken(receiver: Receiver) -> None:
    entity = ApplicationEntity()
    entity.add_requested_context(STUDY_FIND)
    entity.add_requested_context(STUDY_GET)
    entity.add_requested_context(CT, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", receiver.port)
    asked = Dataset()
    asked.QueryRetrieveLevel = "STUDY"
    asked.StudyInstanceUID = "1.2.3"
    for ask, sop_class in (
        (association.send_c_find, STUDY_FIND),
        (association.send_c_get, STUDY_GET),
    ):
        ((status, _),) = list(ask(asked, sop_class))
        assert status.Status == 0xA700
        assert "database" in status.ErrorComment
        assert association.send_c_store(image()).Status == 0x0000
    association.release()
