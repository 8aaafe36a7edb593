"""How long it takes to read the indexed attributes of a CT slice, beside pydicom.

    python benchmarks/headers.py [--quick] [FOLDER ...]

Without a folder it takes the CT slices of the reference data, or makes some. Readers take turns,
file by file; the table shows medians of all rounds. pydicom decodes a value when it is asked for,
so the third row, which asks for the same attributes, is the one to compare with.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pydicom
from stand.studies import make_series
from stand.table import machine, middle, print_claims, print_table

from isocenter.core.dicom.header import INDEXED
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import header_of, read_dataset

ROUNDS, QUICK_ROUNDS = 15, 7
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pydicom_attributes(path: Path) -> list[str]:
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    return [str(dataset[tag].value) for tag in INDEXED if tag in dataset]


READERS: dict[str, Callable[[Path], object]] = {
    "isocenter header_of": header_of,
    "pydicom, nothing decoded": lambda path: pydicom.dcmread(path, stop_before_pixels=True),
    "pydicom, the same attributes": pydicom_attributes,
    "isocenter read_dataset (bounded)": lambda path: read_dataset(path, stop_before_pixels=True),
}


def slices(folders: list[Path], workspace: Path) -> list[Path]:
    """CT slices of these folders, else of the reference data, else made for this."""
    folders = folders or [DATA / "ct_chest_ACRIN" / "image", DATA / "rt_STS_001" / "CT"]
    found = [path for folder in folders for path in sorted(folder.glob("*.dcm"))]
    return found or make_series(workspace, "CT", count=100, size=512, modality="CT").paths


def measure(files: list[Path], rounds: int) -> dict[str, float]:
    """Median milliseconds per file of each reader."""
    times: dict[str, list[float]] = {name: [] for name in READERS}
    with quiet_pydicom():
        for _ in range(rounds):
            for path in files:
                for name, read in READERS.items():
                    began = time.perf_counter()
                    read(path)
                    times[name].append(time.perf_counter() - began)
    return {name: 1000 * middle(values) for name, values in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("folders", nargs="*", type=Path)
    options = parser.parse_args()
    print(f"headers: {machine()}")
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as folder:
        files = slices(options.folders, Path(folder))
        found = measure(files, QUICK_ROUNDS if options.quick else ROUNDS)
    ours = found["isocenter header_of"]
    rows = [(name, f"{ms:.3f}", ms / ours) for name, ms in found.items()]
    print_table(f"{len(files)} CT slices, median per file", ("reader", "ms", "x ours"), rows)
    print_claims([("pydicom, same attributes", found["pydicom, the same attributes"] / ours, 5.0)])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
