"""Encapsulated documents and graphics: what may leave."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from isocenter.core.deid.dataset.elements import ItemView
from isocenter.core.deid.pixels.documents import DocumentInspector, is_dropped
from isocenter.core.deid.pixels.graphics import GraphicsHandler
from isocenter.core.deid.standard.actions import Action
from isocenter.core.dicom.charsets import text_decoder
from isocenter.core.dicom.part10 import EXPLICIT_LITTLE
from isocenter.core.dicom.writing import encode_dataset
from isocenter.core.volumes.mesh import write_stl

_STORAGE = "1.2.840.10008.5.1.4.1.1.104."
STL, OBJ = _STORAGE + "3", _STORAGE + "4"
INSPECTOR = DocumentInspector()


def binary_stl(header: bytes, attributes: int = 0) -> bytes:
    triangle = struct.pack("<12fH", *range(12), attributes)
    return header.ljust(80, b"\0") + struct.pack("<L", 2) + 2 * triangle


@pytest.mark.parametrize("header", [b"", b"Exported from 3D Slicer", b"VTK generated STL file"])
def test_models_with_a_plain_header_may_leave(header: bytes) -> None:
    assert INSPECTOR.refuses(STL, "model/stl", binary_stl(header.replace(b"3D ", b""))) is None


@pytest.mark.parametrize("header", [b"Doe Jane", b"model 19570312", b"solid 4711"])
def test_models_with_other_words_do_not(header: bytes) -> None:
    assert INSPECTOR.refuses(STL, "model/stl", binary_stl(header))


def test_models_that_hide_something_do_not() -> None:
    assert INSPECTOR.refuses(STL, "model/stl", binary_stl(b"", attributes=7))
    assert INSPECTOR.refuses(STL, "model/stl", binary_stl(b"") + b"JANE")
    assert INSPECTOR.refuses(STL, "model/stl", b"nothing")


def test_our_own_models_may_leave(tmp_path: Path) -> None:
    path = tmp_path / "a.stl"
    write_stl(path, iter([np.arange(18, dtype=np.float64).reshape(2, 3, 3)]))
    assert INSPECTOR.refuses(STL, "model/stl", path.read_bytes()) is None


def test_models_as_text() -> None:
    facet = b"facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1e-3 0 0\nvertex 0 1 0\n"
    rest = b"endloop\nendfacet\nendsolid\n"
    assert INSPECTOR.refuses(STL, "model/stl", b"solid\n" + facet + rest) is None
    assert INSPECTOR.refuses(STL, "model/stl", b"solid jane\n" + facet + rest)
    assert INSPECTOR.refuses(STL, "model/stl", b"solid\n# Jane Doe\n" + facet + rest)
    assert INSPECTOR.refuses(OBJ, "model/obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n") is None
    assert INSPECTOR.refuses(OBJ, "model/obj", b"# Jane\nv 0 0 0\n")
    assert INSPECTOR.refuses(OBJ, "model/obj", b"g jane\nv 0 0 0\n")


@pytest.mark.parametrize(
    ("tail", "mime"), [("1", "application/pdf"), ("2", "text/XML"), ("5", "model/mtl")]
)
def test_reports_are_refused_and_may_be_left_out(tail: str, mime: str) -> None:
    assert INSPECTOR.refuses(_STORAGE + tail, mime, b"anything")
    assert is_dropped(_STORAGE + tail, "drop")
    assert not is_dropped(_STORAGE + tail, "refuse")


def item(dataset: Dataset) -> ItemView:
    data = encode_dataset(dataset, EXPLICIT_LITTLE)
    return ItemView(data, 0, len(data), False, text_decoder(b""), 9)


def test_typed_text_is_cleaned_and_shapes_stay() -> None:
    text, shape, writing = Dataset(), Dataset(), Dataset()
    text.UnformattedTextValue = "Doe, Jane"
    shape.GraphicType, shape.GraphicData = "POLYLINE", [0.0, 1.0] * 5
    writing.GraphicType, writing.GraphicData = "POLYLINE", [0.0, 1.0] * 200
    handler = GraphicsHandler()
    assert handler.item("", item(text)).overrides[0x00700006].action is Action.CLEAN
    assert not handler.item("", item(shape)).drop
    assert handler.item("", item(writing)).drop
    writing.GraphicType = "ELLIPSE"
    assert not handler.item("", item(writing)).drop
