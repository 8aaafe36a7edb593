"""Makes core/deid/data/pixel_templates.yaml from the recipe that the package ``deid`` ships.

The recipe (MIT licence, file ``deid/data/deid.dicom``) holds the rectangles that the users of
RSNA's CTP and of Stanford's pipeline have collected. Run it with the package's source beside:

    pip download deid==0.4.13 --no-deps && unzip deid-0.4.13-py3-none-any.whl -d deid
    python scripts/pixel_templates.py deid/deid/data/deid.dicom "deid 0.4.13"

Entries that cannot match as they are written are put right here (see ``CORRECTIONS``), entries
without rectangles are left out.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

TARGET = Path(__file__).resolve().parents[1] / "src/isocenter/core/deid/data/pixel_templates.yaml"
KEYS = {
    "Modality": "modality",
    "Manufacturer": "manufacturer",
    "Manfacturer": "manufacturer",
    "Manufacture": "manufacturer",
    "ManufacturerModelName": "model",
    "ImageType": "image_type",
    "SeriesDescription": "series_description",
    "ProtocolName": "protocol_name",
    "CodeMeaning": "phantom",
    "CommentsOnRadiationDose": "comments_on_radiation_dose",
    "BurnedInAnnotation": "burned_in_annotation",
    "WindowWidth": "window_width",
    "ImplementationVersionName": "implementation_version_name",
    "OverlayDescription": "overlay_description",
}
#: Values of the recipe that no file has, and what was meant.
CORRECTIONS = {
    ("modality", "MRI"): [],  # Canon CXDI is a radiography system
    ("modality", "Other"): [],
    ("modality", "PET/CT"): [],
    ("model", "CXD1"): ["CXDI"],
    ("rows", 786): 768,  # iU22: 1024 x 768
    ("manufacturer", "VITREA"): ["Vital Images", "VITREA"],
    ("series_description", "AW electronic field"): ["AW electronic film"],
}
#: Cannot be asked of a file's header after its group 0002 is written anew, or of one plane only.
LEFT_OUT = ("implementation_version_name", "overlay_description", "phantom")
_CONDITION = re.compile(r"\+?\s*(contains|equals)\s+(\w+)\s+(.+)")
_COORDINATES = re.compile(r"(ctp)?coordinates\s+([\d,\s]+)")

Entry = dict[str, object]


def main(recipe: Path, edition: str) -> None:
    """Write the templates."""
    entries = []
    for block in re.split(r"(?m)^LABEL ", recipe.read_text(encoding="utf-8"))[1:]:
        for lines in _alternatives(block.splitlines()):
            entry = _entry(lines)
            if entry and entry not in entries:
                entries.append(entry)
    text = (
        f"# Made by scripts/pixel_templates.py from deid.dicom of {edition} (MIT licence), which\n"
        "# carries the rectangles of CTP's DicomPixelAnonymizer script. Do not edit: write your\n"
        "# own file with the same keys beside it. A rectangle is [x, y, width, height].\n"
    )
    text += yaml.safe_dump(
        {"source": edition, "templates": entries},
        sort_keys=False,
        default_flow_style=None,
        width=100,
    )
    TARGET.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(entries)} templates\n")


def _alternatives(lines: list[str]) -> list[list[str]]:
    """One block for each side of a line that says ``this || that``."""
    variants: list[list[str]] = [[]]
    for line in lines:
        sides = line.split("||") if "||" in line and not line.startswith("%") else [line]
        variants = [[*variant, side] for variant in variants for side in sides]
    return variants


def _entry(lines: list[str]) -> Entry | None:
    name = re.sub(r"\s*#.*|\s*\((CTP|AMB)\)\s*$", "", lines[0]).strip()
    entry: Entry = {"name": name}
    rectangles: list[list[int]] = []
    for line in map(str.strip, lines[1:]):
        if line.startswith("%filter"):
            break
        if found := _COORDINATES.match(line.removeprefix("+").strip()):
            numbers = [int(number) for number in found.group(2).split(",")]
            if not found.group(1):  # left, top, right, bottom
                numbers[2:] = numbers[2] - numbers[0], numbers[3] - numbers[1]
            rectangles.append(numbers)
        elif found := _CONDITION.match(line):
            _add(entry, found.group(2), found.group(3).strip())
    if not rectangles or any(key in entry for key in LEFT_OUT):
        return None
    entry["rectangles"] = rectangles
    return entry


def _add(entry: Entry, keyword: str, value: str) -> None:
    if keyword in ("Rows", "Columns"):
        numbers = [int(number) for number in value.split("|")]
        key = keyword.lower()
        entry[key] = [CORRECTIONS.get((key, number), number) for number in numbers]
        return
    key = KEYS[keyword]
    if key == "image_type":  # all of those with a plus are meant; the last is the narrowest
        value = value.rpartition("+")[2]
    values = value.split("|")
    meant: list[str] = []
    for one in values:
        correction = CORRECTIONS.get((key, one.strip()), [one.strip()])
        meant += correction if isinstance(correction, list) else [str(correction)]
    if not meant:
        return
    before = entry.get(key)
    if isinstance(before, list) and before != meant:  # both have to hold: keep the narrower
        meant = [one for one in meant if any(old.lower() in one.lower() for old in before)] or meant
    entry[key] = list(dict.fromkeys(meant))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
