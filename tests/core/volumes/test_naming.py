"""File names from names that people gave."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocenter.core.volumes.naming import MAX_BYTES, FileNames, safe_stem


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("GTV_Mass_CT", "GTV_Mass_CT"),
        ("Lt Lung", "Lt Lung"),
        ("Größe", "Größe"),
        ("脑干", "脑干"),
        ("PTV 60/2", "PTV 60_2"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\x00b\nc", "a_b_c"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("-rf", "_rf"),
        (" . ", ""),
        ("", ""),
        ("E\u0301", "É"),
        ("a\u202eb", "ab"),
    ],
)
def test_stems(name, stem):
    assert safe_stem(name) == stem


def test_collisions_get_numbers():
    names = FileNames()
    stems = [names.stem(n, "ROI 1") for n in ("PTV", "ptv", "PTV/1", "PTV:1", "PTV", "", "")]
    assert stems == ["PTV", "ptv_2", "PTV_1", "PTV_1_2", "PTV_3", "ROI 1", "ROI 1_2"]


@given(st.lists(st.text(max_size=200), max_size=8))
def test_stems_are_safe_and_different(texts):
    names = FileNames()
    stems = [names.stem(text, "ROI") for text in texts]
    assert len({stem.casefold() for stem in stems}) == len(stems)
    for stem in stems:
        assert 0 < len(stem.encode()) <= MAX_BYTES
        assert not set(stem) & set('/\\:*?"<>|\x00')
        assert stem not in {".", ".."}
        assert unicodedata.normalize("NFC", stem) == stem
