"""A de-identified set made by hand from the answers, to test the scorer with.

It keeps what the answers ask for and nothing else: no engine, no rules, only the answer database.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

from deid_proof import answers
from deid_proof.answers import Answered
from deid_proof.expectations import (
    DATE_SHIFTED,
    PATID_CONSISTENT,
    PIXELS_RETAINED,
    TAG_RETAINED,
    TEXT_NOTNULL,
    TEXT_RETAINED,
    UID_CHANGED,
)
from deid_proof.reading import read_folder, text_of
from deid_proof.samples import native

_WANTED = frozenset(
    {
        DATE_SHIFTED,
        PATID_CONSISTENT,
        PIXELS_RETAINED,
        TAG_RETAINED,
        TEXT_NOTNULL,
        TEXT_RETAINED,
        UID_CHANGED,
    }
)


def other_uid(value: str) -> str:
    """Another UID, the same for the same one."""
    return f"2.25.{int.from_bytes(hashlib.sha256(value.encode()).digest()[:16], 'big')}"


def other_patient(key: str) -> str:
    """Another PatientID for a key ``PatientID|Issuer``."""
    return "P" + hashlib.sha256(key.encode()).hexdigest()[:10].upper()


def other_day(value: str, patient: str) -> str:
    """A DA or DT, some days earlier."""
    days = 20 + 17 * int(patient)
    moved = datetime.strptime(value[:8], "%Y%m%d") - timedelta(days=days)  # noqa: DTZ007
    return moved.strftime("%Y%m%d") + value[8:]


class Perfect:
    """Writes the set."""

    def __init__(self, database: Path) -> None:
        self._checks: dict[str, list[Answered]] = defaultdict(list)
        for check in answers.read(database):
            self._checks[check.sop_uid].append(check)

    def write(self, source: Path, output: Path) -> None:
        """Every object of ``source``, de-identified, into ``output``."""
        for one in read_folder(source)[0]:
            checks: dict[str, list[Answered]] = defaultdict(list)
            for check in self._checks[str(one.dataset.SOPInstanceUID)]:
                if check.action in _WANTED:
                    checks[check.path].append(check)
            pixels = native(one.dataset) if "PixelData" in one.dataset else None
            made = self._filtered(one.dataset, checks, "")
            if pixels is not None:
                vr = "OW" if made.BitsAllocated == 16 else "OB"
                made.add_new("PixelData", vr, pixels + b"\0" * (len(pixels) % 2))
            self._save(made, output)

    def _filtered(
        self, dataset: Dataset, checks: dict[str, list[Answered]], prefix: str
    ) -> Dataset:
        made = Dataset()
        for tag in sorted(dataset.keys()):
            element = dataset[tag]
            label = f"({tag.group:04x},{tag.element:04x})"
            if tag.is_private and not tag.is_private_creator and element.private_creator:
                label = (
                    f'({tag.group:04x},"{element.private_creator.upper()}",{tag.element & 255:02x})'
                )
            path = f"{prefix}<{label}>"
            if path in checks:
                made.add_new(tag, element.VR, _value(element.value, element.VR, checks[path]))
                if tag.is_private:
                    block = made.private_block(tag.group, element.private_creator, create=True)
                    del made[tag]
                    made.add_new(block.get_tag(tag.element & 255), element.VR, element.value)
            elif element.VR == "SQ" and any(key.startswith(f"{path}[") for key in checks):
                items = [
                    self._filtered(item, checks, f"{path}[<{index:04d}>]")
                    for index, item in enumerate(element.value)
                ]
                made.add_new(tag, "SQ", items)
        return made

    @staticmethod
    def _save(dataset: Dataset, output: Path) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        target = output / str(dataset.SeriesInstanceUID) / f"{dataset.SOPInstanceUID}.dcm"
        target.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dcmwrite(target, dataset, enforce_file_format=True)


def _value(value: Any, vr: str, checks: list[Answered]) -> Any:
    actions = {check.action: check for check in checks}
    if PATID_CONSISTENT in actions:
        return other_patient(actions[PATID_CONSISTENT].text)
    if UID_CHANGED in actions:
        return other_uid(actions[UID_CHANGED].value)
    if DATE_SHIFTED in actions:
        return other_day(actions[DATE_SHIFTED].value, checks[0].patient)
    kept = [check.text for check in checks if check.action == TEXT_RETAINED]
    if kept:
        whole = kept[0] == text_of(value, vr) or kept[0] == checks[0].value
        return value if whole else " ".join(kept)
    if PIXELS_RETAINED in actions:
        return value
    return [] if vr == "SQ" else None
