"""How long it takes to read the indexed attributes of a CT slice, beside pydicom.

    python benchmarks/headers.py [FOLDER]

Without a folder it takes the CT slices of the reference data. Readers take turns, file by file;
the table shows medians of all rounds. pydicom decodes a value when it is asked for, so the third
row, which asks for the same attributes, is the one to compare with.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pydicom

from isocenter.core.dicom.header import INDEXED
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import header_of, read_dataset

ROUNDS = 7
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


def main() -> None:
    folders = [Path(argument) for argument in sys.argv[1:]] or [
        DATA / "ct_chest_ACRIN" / "image",
        DATA / "rt_STS_001" / "CT",
    ]
    files = [path for folder in folders for path in sorted(folder.glob("*.dcm"))]
    if not files:
        sys.exit(f"no .dcm files in {', '.join(map(str, folders))}")
    times: dict[str, list[float]] = {name: [] for name in READERS}
    with quiet_pydicom():
        for _ in range(ROUNDS):
            for path in files:
                for name, read in READERS.items():
                    began = time.perf_counter()
                    read(path)
                    times[name].append(time.perf_counter() - began)
    ours = statistics.median(times["isocenter header_of"])
    print(f"{len(files)} CT slices, {ROUNDS} rounds, median per file\n")
    print("| reader | ms | x ours |\n|---|---|---|")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"| {name} | {median * 1000:.3f} | {median / ours:.1f} |")


if __name__ == "__main__":
    main()
