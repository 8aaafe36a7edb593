"""Answers of searches as text: the same as the objects of the JSON model."""

from __future__ import annotations

import json

from isocenter.apps.dicomweb.qido_answers import RETRIEVE_URL, as_json, as_text, attributes


def test_what_is_written_at_once_is_the_same_as_the_objects():
    matches = [
        {
            0x00080005: ("ISO_IR 192",),
            0x00080018: (f"1.2.3.{number}",),
            0x00080061: ("CT", "MR"),
            0x00080090: (),
            0x00100010: ("Müller^Ä=山田^太郎",),
            0x00100020: ('a"b\\c\n',),
            0x00100030: ("",),
            0x00180050: ("1.5",),
            0x00200013: (number,),
            0x00280010: (512,),
            0x00400275: ({0x00400007: ("CT head",), 0x00400009: ()},),
            RETRIEVE_URL: (f"http://localhost/dicom-web/{number}",),
        }
        for number in (1, 2)
    ]
    assert as_text(matches) == as_json([attributes(each) for each in matches])
    assert len(json.loads(as_text(matches))) == 2
    assert as_text([]) == b"[]"
