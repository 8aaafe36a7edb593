"""numba and numpy draw the same bits, and numba needs no folder that can be written."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from isocenter.core.contours import kernels
from isocenter.core.contours.rasterise import snapped

pytest.importorskip("numba")

points = hnp.arrays(
    np.float64,
    st.tuples(st.integers(3, 40), st.just(2)),
    elements=st.one_of(st.floats(-30, 70), st.integers(-30, 70).map(float), st.floats(-1e9, 1e9)),
)


@settings(max_examples=300, deadline=None)
@given(
    polygon=points,
    row=st.integers(-5, 30),
    column=st.integers(-5, 30),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_numba_and_numpy_agree_bit_for_bit(
    polygon: np.ndarray, row: int, column: int, size: tuple[int, int]
) -> None:
    by_numpy, by_numba = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    kernels.fill_numpy(snapped(polygon), row, column, by_numpy)
    kernels.compiled()(snapped(polygon), row, column, by_numba)
    assert np.array_equal(by_numpy, by_numba)


def _run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_and_a_little_drawing_do_not_import_numba() -> None:
    code = (
        "import sys, numpy as np\n"
        "from isocenter.core.contours.rasterise import rasterise\n"
        "print(rasterise([(1, 1), (5, 1), (5, 5), (1, 5)], 8, 8).sum(), 'numba' in sys.modules)"
    )
    assert _run(code) == "16 False"


def test_numba_works_where_nothing_can_be_cached(tmp_path: object) -> None:
    code = (
        "import numba.core.caching as caching\n"
        "caching.FunctionCache._impl_class._locator_classes = []\n"
        "import numpy as np\n"
        "from isocenter.core.contours import kernels\n"
        "toggles = np.zeros((4, 4), np.uint8)\n"
        "kernels.compiled()(np.array([[0., 0], [3, 0], [3, 3], [0, 3]]), 0, 0, toggles)\n"
        "print(toggles.sum())"
    )
    assert _run(code) == "9"


def test_the_cache_folder_can_be_chosen(tmp_path) -> None:
    code = "from isocenter.core.contours import kernels; kernels.compiled()"
    _run(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert list(tmp_path.rglob("*.nbc"))


def test_a_long_job_changes_to_numba_and_draws_the_same() -> None:
    code = (
        "import sys, numpy as np\n"
        "from isocenter.core.contours import kernels\n"
        "from isocenter.core.contours.rasterise import rasterise\n"
        "shape = [(1.5, 1), (9.2, 2), (7, 8.8), (2, 9)]\n"
        "before = rasterise(shape, 12, 12)\n"
        "kernels.fill.spent_s = 1e9\n"
        "after = rasterise(shape, 12, 12)\n"
        "print((before == after).all(), 'numba' in sys.modules)"
    )
    assert _run(code) == "True True"
