"""The planted-identity set is what it says it is."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from pydicom import dcmread

from deid_proof.expectations import ACTIONS, POLICIES, answers
from deid_proof.generate import PlantedSet, generate
from deid_proof.hiding import unlisted_text
from deid_proof.plants import annex_e
from deid_proof.reading import read, read_folder


def test_it_is_large_enough(planted: PlantedSet) -> None:
    identifying = [plant for plant in planted.plants if plant.kind not in {"keep", "present"}]
    assert planted.objects >= 200
    assert len(identifying) >= 5_000


def test_every_attribute_of_annex_e_is_in_it(planted: PlantedSet) -> None:
    found: Counter[str] = Counter()
    for path in planted.folder.rglob("IM*"):
        one = read(path)
        assert one is not None
        for where in one.texts:
            tag = where.rsplit("<", maxsplit=1)[1].rstrip(">").strip("()").replace(",", "")
            found[tag] += 1
            found[tag[:2] + "xx" + tag[4:]] += 1
            found[tag[:2] + "xxxxxx"] += 1
    assert [row.tag for row in annex_e() if not found[row.tag]] == []


def test_every_text_attribute_that_nobody_lists_is_in_it(planted: PlantedSet) -> None:
    paths = {plant.path for plant in planted.plants}
    missing = [
        f"{tag:08x}"
        for tag, _ in unlisted_text()
        if f"<({tag >> 16:04x},{tag & 0xFFFF:04x})>" not in paths
    ]
    # Kept attributes stand where a name would have stood.
    assert len(missing) < 12, missing


def test_it_has_every_kind_of_object_and_character_set(planted: PlantedSet) -> None:
    objects, _ = read_folder(planted.folder / "headers")
    modalities = Counter(str(one.dataset.Modality) for one in objects)
    assert set(modalities) >= {
        "CT", "MR", "US", "CR", "OT", "ECG",
        "RTSTRUCT", "RTPLAN", "RTDOSE", "SEG", "PR", "SR", "KO",
    }  # fmt: skip
    sets = {str(one.dataset.get("SpecificCharacterSet", "")) for one in objects}
    assert len(sets) == 12
    syntaxes = {str(one.dataset.file_meta.TransferSyntaxUID) for one in objects}
    assert len(syntaxes) == 5


def test_what_must_stay_is_not_what_must_go(planted: PlantedSet) -> None:
    listed = {row.tag for row in annex_e() if row.basic.startswith("X") and row.basic != "X/Z/U*"}
    for plant in planted.plants:
        if plant.kind in {"keep", "standard uid"}:
            tags = {part[1:5] + part[6:10] for part in plant.path.split("<")[1:] if part[0] == "("}
            assert not tags & listed, plant


def test_every_action_of_the_validation_script_is_asked(planted: PlantedSet) -> None:
    asked = {
        action
        for plant in planted.plants
        for policy in POLICIES.values()
        for action, _ in answers(plant, policy)
    }
    assert asked == set(ACTIONS)


def test_the_same_seed_gives_the_same_bytes(few: PlantedSet, tmp_path: Path) -> None:
    generate(tmp_path / "again", persons=2)
    assert _digests(few.folder) == _digests(tmp_path / "again")


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("IM*"))
    }


def test_dates_have_known_intervals(few: PlantedSet) -> None:
    days = {
        str(dcmread(path, stop_before_pixels=True).StudyDate)
        for path in (few.folder / "headers").rglob("IM*")
        if path.parent.name.endswith("_0")
    }
    assert days == {"20140211", "20140320"}
