"""Objects that are damaged, or made to break out: each is refused, and the others leave."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from isocenter.core.deid import workers
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.pseudonyms.issuing import KeyedPseudonyms
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.rules.file import read_rules
from isocenter.core.deid.study import Run, deidentify_paths

SECRET = Secret(b"a project's secret, for ever and ever")
KEPT = Policy(frozenset({Option.RETAIN_UIDS}))
SERIES = "1.2.3.4.5.6.0.111111111111111111111111"
MUTATIONS = int(os.environ.get("DEID_MUTATIONS", "150"))

Encode = Callable[..., bytes]


def run_for(folder: Path, policy: Policy) -> Run:
    return Run(
        folder / "below" / "out", policy, SECRET, KeyedPseudonyms(SECRET), folder / "quarantine"
    )


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (b"\x20\x00\x0e\x00", "Series Instance UID"),
        (b"\x20\x00\x0d\x00", "Study Instance UID"),
        (b"\x08\x00\x18\x00", "SOP Instance UID"),
    ],
)
@pytest.mark.parametrize("hostile", ["{root}/EVIL", "../../EVIL", "..", "Wolken.bruch", "1/2"])
@pytest.mark.parametrize("by_rule", [False, True])
def test_what_is_no_uid_names_no_file(
    tag: bytes,
    name: str,
    hostile: str,
    by_rule: bool,
    ct: Dataset,
    encode: Encode,
    tmp_path: Path,
) -> None:
    keyword = name.replace(" ", "")
    setattr(ct, keyword, SERIES)
    value = hostile.format(root=str(tmp_path)[-20:]).encode()
    if hostile.startswith("{"):
        value = b"/" + value.lstrip(b"/")
    data = encode(ct).replace(SERIES.encode(), value.ljust(len(SERIES), b"\0"))
    assert tag in data
    source = tmp_path / "in.dcm"
    source.write_bytes(data)
    rules = read_rules(f"name: x\nrules:\n  - tags: {keyword}\n    action: keep\n")
    policy = Policy(rules=rules) if by_rule else KEPT
    report = deidentify_paths([source], run_for(tmp_path, policy))
    (study,) = report.studies
    assert [one.refused for one in study.refused] == [f"its {name} is no UID"]
    told = str(report.to_json())
    assert not any(word in told for word in ("EVIL", "olken", "1/2"))
    assert everything(tmp_path) == {"in.dcm", "quarantine/reasons.json"}


def test_an_object_of_no_series_leaves(ct: Dataset, encode: Encode, tmp_path: Path) -> None:
    del ct.SeriesInstanceUID
    source = tmp_path / "in.dcm"
    source.write_bytes(encode(ct))
    report = deidentify_paths([source], run_for(tmp_path, Policy()))
    assert report.is_clean
    assert len(list((tmp_path / "below" / "out").glob("*/*/*.dcm"))) == 1


@pytest.mark.parametrize("vr", [b"C\xff", b"A\0", b"Ca", b"B1"])
def test_a_damaged_vr_costs_one_object(
    vr: bytes, ct: Dataset, encode: Encode, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.dcm", tmp_path / "bad.dcm"
    good.write_bytes(encode(ct))
    ct.SOPInstanceUID = "1.2.3.4.5.6.2"
    data = encode(ct).replace(b"\x08\x00\x60\x00CS", b"\x08\x00\x60\x00" + vr)
    bad.write_bytes(data)
    report = deidentify_paths([good, bad], run_for(tmp_path, Policy()))
    assert len(list((tmp_path / "below" / "out").rglob("*.dcm"))) == 1
    assert len(report.studies[0].refused) + sum(report.unreadable.values()) == 1
    assert not report.is_clean


def _two(ct: Dataset, encode: Encode, folder: Path) -> list[Path]:
    paths = [folder / "1.dcm", folder / "2.dcm"]
    for path in paths:
        ct.SOPInstanceUID = f"1.2.3.4.5.6.{path.stem}"
        path.write_bytes(encode(ct))
    return paths


@pytest.mark.parametrize("at", ["engine", "verifier", "looking"])
def test_a_failure_of_the_engine_refuses_one_object(
    at: str, ct: Dataset, encode: Encode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = _two(ct, encode, tmp_path)

    def fails_on_second(work: Callable[..., object]) -> Callable[..., object]:
        def tried(*given: object, **more: object) -> object:
            result = work(*given, **more)
            name = given[0] if at != "verifier" else given[1]
            assert isinstance(name, Path)
            uid = dcmread(name).SOPInstanceUID
            if uid in ("1.2.3.4.5.6.2", SECRET.uid("1.2.3.4.5.6.2")):
                raise KeyError("Wolkenbruch")
            return result

        return tried

    if at == "engine":
        work = fails_on_second(workers.deidentify_object)
        monkeypatch.setattr(workers, "deidentify_object", work)
    elif at == "looking":
        monkeypatch.setattr(workers, "read_values", fails_on_second(workers.read_values))
    else:
        work = fails_on_second(workers.StudyWorker._verify)
        monkeypatch.setattr(workers.StudyWorker, "_verify", work)
    report = deidentify_paths(paths, run_for(tmp_path, Policy()))
    assert len(list((tmp_path / "below" / "out").rglob("*.dcm"))) == 1
    reasons = [one.refused for one in report.studies[0].refused] + list(report.unreadable)
    assert reasons == ["the engine failed on it: KeyError"]
    assert "Wolkenbruch" not in (tmp_path / "quarantine" / "reasons.json").read_text()
    assert not report.is_clean


def test_a_study_that_cannot_be_begun_does_not_stop_the_others(
    ct: Dataset, encode: Encode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / "1.dcm", tmp_path / "2.dcm"]
    for path in paths:
        ct.StudyInstanceUID = f"1.2.3.4.9.{path.stem}"
        ct.PatientID = f"P000{path.stem}"
        path.write_bytes(encode(ct))
    begun = workers.Verifier

    def begin(identifiers: object, *more: object) -> object:
        if ("id", "P0002") in identifiers.texts:  # type: ignore[attr-defined]
            raise RecursionError("Wolkenbruch")
        return begun(identifiers, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(workers, "Verifier", begin)
    report = deidentify_paths(paths, run_for(tmp_path, Policy()))
    assert sorted(study.state for study in report.studies) == ["refused", "released"]
    assert [one.refused for study in report.studies for one in study.refused] == [
        "the engine failed on it: RecursionError"
    ]


def _kinds(ct: Dataset, encode: Encode) -> list[bytes]:
    """Objects of ten kinds, small."""
    found = [encode(ct), encode(ct, "1.2.840.10008.1.2"), encode(ct, "1.2.840.10008.1.2.2")]
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "T-1", "SRT", "Wolkenbruch"
    nested = Dataset()
    nested.ConceptNameCodeSequence = Sequence([item])
    nested.ValueType, nested.TextValue = "TEXT", "of Wolkenbruch"
    ct.ValueType, ct.ContentSequence = "CONTAINER", Sequence([nested])
    for sop_class in ("88.11", "88.33", "66.4", "481.3", "11.1", "9.1.1", "4.1"):
        ct.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.{sop_class}"
        ct["ContentSequence"].is_undefined_length = sop_class != "88.11"
        ct.private_block(0x0029, "ACME", create=True).add_new(1, "UN", b"Wolkenbruch ")
        found.append(encode(ct))
    return found


def _mutated(rnd: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rnd.randint(1, 4)):
        place, how = rnd.randrange(132, len(changed)), rnd.random()
        if how < 0.6:
            changed[place] = rnd.choice([0, 1, 0xFF, 0x20, 0x5C, 0x41, rnd.randrange(256)])
        elif how < 0.8:
            del changed[place : place + rnd.randint(1, 8)]
        else:
            changed[place:place] = rnd.randbytes(rnd.randint(1, 8))
    return bytes(changed)


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_refused_or_released(ct: Dataset, encode: Encode, tmp_path: Path) -> None:
    kinds, rnd = _kinds(ct, encode), random.Random(5)
    everything = Policy(frozenset({Option.CLEAN_DESCRIPTORS, Option.CLEAN_STRUCTURED_CONTENT}))
    failed = []
    for number in range(MUTATIONS):
        data = _mutated(rnd, kinds[number % len(kinds)])
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(data)
        policy = (Policy(), KEPT, everything)[number % 3]
        run = run_for(tmp_path / str(number), policy)
        report = deidentify_paths([path], run)
        reasons = [one.refused for study in report.studies for one in study.refused]
        failed += [one for one in [*reasons, *report.unreadable] if "engine failed" in str(one)]
        counted = sum(len(study.objects) for study in report.studies)
        assert counted + sum(report.unreadable.values()) + sum(report.skipped.values()) == 1
    assert failed == []
