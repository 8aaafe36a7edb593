"""dciodvfy finds no error in the output that the input did not have."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deid_proof.expectations import POLICIES
from deid_proof.generate import PlantedSet
from deid_proof.pairing import pairs
from deid_proof.reading import read_folder
from deid_proof.running import deidentify

pytestmark = pytest.mark.peers


def errors(path: Path) -> Counter[str]:
    """Errors by their text, without values and item numbers."""
    done = subprocess.run(
        ["dciodvfy", "-new", str(path)], capture_output=True, check=False, timeout=60
    )
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    found = Counter()
    for line in lines:
        if line.startswith("Error"):
            text = re.sub(r"\[\d+\]|<[^<>]*/?>|\d+(\.\d+){3,}|= *\S+", lambda m: _kept(m[0]), line)
            found[text] += 1
    return found


def _kept(part: str) -> str:
    """Paths stay readable; values go."""
    return part if part.startswith("</") else "*"


@pytest.mark.parametrize("name", ["basic", "shift", "descriptors"])
def test_no_error_is_new(few: PlantedSet, tmp_path: Path, name: str) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("not installed: dciodvfy (make peers)")
    output = tmp_path / "out"
    deidentify(few.folder / "headers", output, POLICIES[name].arguments)
    paired = pairs(read_folder(few.folder / "headers")[0], read_folder(output)[0])
    assert len(paired) == 40
    with ThreadPoolExecutor(2) as pool:
        before = pool.map(errors, [old.path for old, _ in paired])
        after = pool.map(errors, [new.path for _, new in paired])
        new = {
            (old.dataset.SOPClassUID.name, text)
            for (old, _), had, has in zip(paired, before, after, strict=True)
            for text in has.keys() - had.keys()
        }
    assert new == set()
