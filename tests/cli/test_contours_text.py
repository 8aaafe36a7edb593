"""What the contours command says: in a pipe without rich, on a terminal with it."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from isocenter.cli.contours_text import print_drawn
from isocenter.cli.late_progress import LateProgress

ROI = {
    "name": "Tumör\x1b[2J 肺",
    "type": "",
    "contours": 3,
    "planes": 2,
    "voxels": 100,
    "volume_ml": 1.5,
    "polygon_volume_ml": 1.25,
    "warnings": ["cut"],
}
PAIR = {
    "modality": "CT",
    "images": 4,
    "series_uid": "1.2",
    "rtstruct_uid": "1.3",
    "rois": [ROI, {**ROI, "name": "b", "warnings": []}],
    "warnings": ["uneven"],
    "skipped_rois": [{"name": "skull", "reason": "asked for"}],
}
GROUPS = [{"kind": "nifti", "count": 2, "path": "CT/nifti"}]


def test_a_pipe_gets_plain_tables(capsys: pytest.CaptureFixture[str]) -> None:
    print_drawn([PAIR], GROUPS, Path("out"), 3, 0.25)
    said = capsys.readouterr().out
    assert "CT series, 4 images, 2 ROIs" in said
    assert "\x1b" not in said
    lines = [line for line in said.splitlines() if "1.500" in line]
    assert [line.split()[-5:] for line in lines] == [["3", "2", "100", "1.500", "1.250"]] * 2
    for text in ("uneven", "Tumör?[2J 肺: cut", "left out skull: asked for", "3 files in 0.2 s"):
        assert text in said
    assert str(Path("out/CT/nifti")) in said


def test_stdout_of_few_letters_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    paper = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", paper)
    print_drawn([PAIR], GROUPS, Path("out"), 3, 0.25)
    paper.flush()
    assert b"Tum?r" in paper.buffer.getvalue()


def test_a_terminal_gets_the_same_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    print_drawn([PAIR], GROUPS, Path("out"), 3, 0.25)
    said = capsys.readouterr().out
    assert "polygon ml" in said
    assert "left out skull" in said
    assert "\x1b[2J" not in said


def test_progress_is_shown_late_and_on_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, is_shown in ((io.StringIO(), False), (Terminal(), True)):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        with LateProgress() as progress:
            progress(0.1, "reading")
            assert stream.getvalue() == ""
            progress._started -= 60
            progress(0.5, "drawing")
        assert ("drawing" in stream.getvalue()) == is_shown


def test_the_command_starts_without_heavy_libraries() -> None:
    heavy = ("rich", "pydicom", "nibabel", "scipy", "numba", "highdicom", "numpy", "django")
    code = (
        "import sys, isocenter.cli.main as m; m.build(['contours'])\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
