"""Judging without a database; the comparisons are real."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless

from isocenter.apps.archive import judging
from isocenter.apps.archive.incoming import FilePayload, Incoming, Origin
from isocenter.apps.archive.judging import Judge, Known, Pair, differences
from isocenter.apps.archive.staging import Staged, StagingArea
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS

from .conftest import encoded, image


def staged(folder: Path, name: str, payload: bytes) -> Staged:
    path = folder / name
    path.write_bytes(payload)
    incoming = Incoming(FilePayload(path), Origin("dimse"), datetime.now(UTC))
    area = StagingArea(folder, DEFAULT_BOUNDS)
    area.__enter__()
    return area.stage([incoming])[0]


def known(item: Staged) -> Known:
    assert item.entry
    return Known(item.entry.study_uid, item.digest, item.path, item.transfer_syntax_uid)


def test_pixels_are_decoded_where_the_syntaxes_differ(tmp_path: Path) -> None:
    ds = image(1, Rows=16, Columns=16, PixelData=bytes(range(256)) * 2)
    first = staged(tmp_path, "a", encoded(ds))
    ds.compress(RLELossless, generate_instance_uid=False)
    second = staged(tmp_path, "b", encoded(ds, syntax=RLELossless))
    assert first.digest != second.digest
    assert differences([Pair(first.path, second.path, same_syntax=False)]) == [""]


def test_one_child_compares_all_and_one_bad_pair_spoils_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = staged(tmp_path, "a", encoded(image(1)))
    same = staged(tmp_path, "b", encoded(image(1), syntax=DeflatedExplicitVRLittleEndian))
    other = staged(tmp_path, "c", encoded(image(1, StudyID="9"), syntax="1.2.840.10008.1.2"))
    gone = tmp_path / "nowhere"
    calls: list[int] = []
    real = judging.run_isolated

    def counted(target: str, request: dict[str, list[str]], **more: object) -> object:
        calls.append(len(request["pairs"]))
        return real(target, request, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(judging, "run_isolated", counted)
    pairs = [Pair(good.path, path, same_syntax=False) for path in (same.path, other.path)]
    assert [bool(answer) for answer in differences(pairs)] == [False, True]
    assert calls == [2]
    calls.clear()
    answers = differences([*pairs, Pair(good.path, gone, same_syntax=False)])
    assert [bool(answer) for answer in answers] == [False, True, True]
    assert "could not be compared" in answers[2]
    assert calls[0] == 3


def test_a_second_look_compares_nothing_again(tmp_path: Path) -> None:
    here, new = (staged(tmp_path, name, encoded(image(1, StudyID=name))) for name in "ab")
    asked: list[int] = []

    def compare(pairs: object) -> list[str]:
        asked.append(1)
        return ["(0020,0010)"]

    judge = Judge("keep-first", compare)
    assert here.entry
    archived = {here.entry.sop_uid: known(here)}
    for _ in range(2):
        (judgement,) = judge.judge([new], archived, frozenset())
        assert judgement.outcome == "conflict"
    assert asked == [1]


def test_our_own_artifacts_are_never_replaced(tmp_path: Path) -> None:
    here, new = (staged(tmp_path, name, encoded(image(1, StudyID=name))) for name in "ab")
    assert here.entry
    uid = here.entry.sop_uid
    judge = Judge("replace")
    (foreign,) = judge.judge([new], {uid: known(here)}, frozenset())
    (own,) = judge.judge([new], {uid: known(here)}, frozenset([uid]))
    assert (foreign.outcome, own.outcome) == ("replaced", "conflict")
    assert new.transfer_syntax_uid == ExplicitVRLittleEndian
