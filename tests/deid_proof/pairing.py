"""Mapping CSVs for the scorer, made from an input and an output set alone.

    python tests/deid_proof/pairing.py INPUT OUTPUT FOLDER

Objects are paired by InstanceNumber, which is unique in the planted-identity set and which no
policy may change. ``uid_mapping.csv`` and ``patid_mapping.csv`` have the columns id_old and id_new
as the MIDI-B validation script wants them; an ID of a patient is written ``PatientID|Issuer``.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deid_proof.reading import Read, read_folder

TOP = (
    "<(0008,0018)>",
    "<(0020,000d)>",
    "<(0020,000e)>",
    "<(0020,0052)>",
)


def pairs(before: Iterable[Read], after: Iterable[Read]) -> list[tuple[Read, Read]]:
    """Objects before and after."""
    old = {int(one.dataset.InstanceNumber): one for one in before}
    return [
        (old[number], one)
        for one in after
        if (number := int(one.dataset.get("InstanceNumber") or 0)) in old
    ]


def uid_mapping(paired: list[tuple[Read, Read]]) -> dict[str, str]:
    """Old UID to new UID; those at the top of objects first."""
    mapping: dict[str, str] = {}
    for old, new in paired:
        for path in TOP:
            if path in old.texts and path in new.texts:
                mapping.setdefault(old.texts[path], new.texts[path])
    for old, new in paired:
        for path, value in old.texts.items():
            if old.vrs[path] != "UI" or value.startswith("1.2.840.10008."):
                continue
            if new.texts.get(path) and _same_items(path, old, new):
                mapping.setdefault(value, new.texts[path])
    return mapping


def _same_items(path: str, old: Read, new: Read) -> bool:
    """Whether every sequence on the way has as many items as before."""
    parts = path.split("[<")
    prefix = parts[0]
    for part in parts[1:]:
        if old.texts.get(prefix) != new.texts.get(prefix):
            return False
        prefix += "[<" + part
    return True


def patient_mapping(paired: list[tuple[Read, Read]]) -> dict[str, str]:
    """Old patient key to new PatientID."""
    mapping: dict[str, str] = {}
    for old, new in paired:
        key = f"{old.dataset.get('PatientID', '')}|{old.dataset.get('IssuerOfPatientID', '')}"
        mapping.setdefault(key, str(new.dataset.get("PatientID", "")))
    return mapping


def _write(path: Path, mapping: dict[str, str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["id_old", "id_new"])
        writer.writerows(sorted(mapping.items()))
    return path


def write_mappings(
    before: Iterable[Read], after: Iterable[Read], folder: Path
) -> tuple[Path, Path]:
    """Write both files; returns their paths."""
    paired = pairs(before, after)
    return (
        _write(folder / "uid_mapping.csv", uid_mapping(paired)),
        _write(folder / "patid_mapping.csv", patient_mapping(paired)),
    )


if __name__ == "__main__":
    write_mappings(
        read_folder(Path(sys.argv[1]))[0], read_folder(Path(sys.argv[2]))[0], Path(sys.argv[3])
    )
