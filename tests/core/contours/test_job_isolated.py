"""The jobs as the platform runs them: in a child process, through JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isocenter.core.errors import ChildFailed
from isocenter.core.isolation import Limits, run_isolated

LIMITS = Limits(memory_bytes=1 << 30, timeout_s=120)


def test_contours_then_burn_in_in_child_processes(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study(rows=64, columns=96)
    rs = study.structure_set({"A": [(3, make_square(5, 6, 10))]})
    request: dict[str, Any] = {
        "instances": [{"path": str(path)} for path in (*study.paths, rs)],
        "options": {"formats": ["overlay"]},
        "made_at": "2026-03-04T05:06:07+00:00",
        "out_dir": str(tmp_path / "one"),
    }
    work = tmp_path / "work"
    work.mkdir()
    drawn = run_isolated("isocenter.core.contours.job:run", request, work_dir=work, limits=LIMITS)
    assert drawn["summary"]["pairs"][0]["rois"][0]["voxels"] == 100
    burnt = run_isolated(
        "isocenter.core.contours.burn_in_job:run",
        {
            "series": [{"instances": drawn["outputs"], "kind": "overlay"}],
            "options": {"text": "RESEARCH"},
            "made_at": request["made_at"],
            "out_dir": str(tmp_path / "two"),
        },
        work_dir=work,
        limits=LIMITS,
    )
    assert len(burnt["outputs"]) == 4
    assert not {o["sop_uid"] for o in burnt["outputs"]} & {o["sop_uid"] for o in drawn["outputs"]}


def test_a_refusal_comes_back_with_its_reason(tmp_path: Path) -> None:
    request = {
        "instances": [],
        "options": {"require_structure_set": True},
        "made_at": "2026-03-04T05:06:07",
        "out_dir": str(tmp_path / "out"),
    }
    with pytest.raises(ChildFailed, match="no RT Structure Set"):
        run_isolated("isocenter.core.contours.job:run", request, work_dir=tmp_path, limits=LIMITS)
