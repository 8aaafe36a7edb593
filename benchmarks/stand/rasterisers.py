"""Programs that turn structure sets into NIfTI masks, each run as a whole process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil

TIMEOUT_S = 600

RT_UTILS = """
import sys
import nibabel, numpy, pydicom
from pathlib import Path
from rt_utils import RTStructBuilder
images, structure_set, out, suffix = sys.argv[1:]
reader = RTStructBuilder.create_from(dicom_series_path=images, rt_struct_path=structure_set)
affine = numpy.diag([-0.9765625, -0.9765625, 1.0, 1.0])
affine[:2, 3] = 250.0
for name in reader.get_roi_names():
    mask = reader.get_roi_mask_by_name(name)
    volume = nibabel.Nifti1Image(mask.swapaxes(0, 1).astype("uint8"), affine)
    nibabel.save(volume, str(Path(out) / (name + suffix)))
"""
DCMRTSTRUCT2NII = """
import sys
from dcmrtstruct2nii import dcmrtstruct2nii
images, structure_set, out, suffix = sys.argv[1:]
is_packed = suffix.endswith("gz")
dcmrtstruct2nii(structure_set, images, out, gzip=is_packed, convert_original_dicom=False)
"""


@dataclass(frozen=True)
class Usage:
    """What a process took: wall time, and most memory of it and its children together."""

    seconds: float
    peak_mb: float


class Rasteriser(ABC):
    """Reads a CT series and its structure set, writes one NIfTI mask per ROI.

    Args:
        python: interpreter of the environment that holds the Python peers.
    """

    name = ""
    compression: ClassVar[str] = ""

    def __init__(self, python: Path) -> None:
        self.python = python

    @abstractmethod
    def command(self, images: Path, structure_set: Path, out: Path, suffix: str) -> Sequence[str]:
        """What does it; ``suffix`` is .nii or .nii.gz."""

    def is_installed(self) -> bool:
        return True

    def run(self, images: Path, structure_set: Path, out: Path, suffix: str) -> Usage:
        out.mkdir(parents=True)
        return run_watched(self.command(images, structure_set, out, suffix))

    def masks(self, out: Path) -> dict[str, Path]:
        """What it wrote, by a name that holds the ROI's."""
        return {path.name: path for path in out.rglob("*.nii*")}


class Isocenter(Rasteriser):
    name, compression = "Isocenter", "1 (ISA-L)"

    def command(self, images: Path, structure_set: Path, out: Path, suffix: str) -> Sequence[str]:
        level = "0" if suffix == ".nii" else "1"
        return [
            *(sys.executable, "-m", "isocenter.cli.main", "contours", str(images.parent)),
            *("--out", str(out), "--formats", "nifti", "--nifti-compression", level),
        ]


class Plastimatch(Rasteriser):
    name, compression = "plastimatch", "ITK's"

    def is_installed(self) -> bool:
        return shutil.which("plastimatch") is not None

    def command(self, images: Path, structure_set: Path, out: Path, suffix: str) -> Sequence[str]:
        return [
            *("plastimatch", "convert", "--input", str(structure_set)),
            *("--referenced-ct", str(images), "--output-prefix", str(out)),
            *("--prefix-format", suffix.lstrip(".")),
        ]


class PythonPeer(Rasteriser):
    program = ""
    module = ""

    def is_installed(self) -> bool:
        check = [str(self.python), "-c", f"import {self.module}"]
        return (
            self.python.exists()
            and not subprocess.run(check, check=False, capture_output=True).returncode
        )

    def command(self, images: Path, structure_set: Path, out: Path, suffix: str) -> Sequence[str]:
        arguments = map(str, (images, structure_set, out, suffix))
        return [str(self.python), "-c", self.program, *arguments]


class RtUtils(PythonPeer):
    name, module, program, compression = "rt-utils", "rt_utils", RT_UTILS, "1 (nibabel)"


class DcmRtStruct2Nii(PythonPeer):
    name, module, compression = "dcmrtstruct2nii", "dcmrtstruct2nii", "SimpleITK's"
    program = DCMRTSTRUCT2NII


def run_watched(command: Sequence[str]) -> Usage:
    """Run a command to its end; its memory is looked at every 20 ms."""
    started = time.monotonic()
    # Python programs keep their compiled modules, as on any machine but a build machine.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    process = psutil.Popen(
        list(command),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    peak = 0.0
    with process:
        while True:
            peak = max(peak, _memory_mb(process))
            try:
                process.wait(0.02)
                break
            except psutil.TimeoutExpired:
                if time.monotonic() - started > TIMEOUT_S:
                    process.kill()
                    raise RuntimeError(f"{command[0]} takes more than {TIMEOUT_S} s") from None
        seconds = time.monotonic() - started
        said = process.stdout.read()
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}: {said[-2000:]!r}")
    return Usage(seconds, peak)


def _memory_mb(process: psutil.Process) -> float:
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.Error:
        return 0.0
    return total / 1e6


def is_there(program: Rasteriser) -> bool:
    """True when it is installed; says so when it is not."""
    if program.is_installed():
        return True
    print(f"not installed: {program.name}", file=sys.stderr)
    return False
