"""What a client takes, and what is given of it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocenter.apps.dicomweb.accept import (
    DICOM,
    JSON,
    OCTETS,
    XML,
    ZIP,
    Offer,
    acceptable,
    choose,
    chosen_of,
    parse_accept,
)
from isocenter.apps.dicomweb.errors import BadRequest, NotAcceptable

PARTS, FILE = Offer(DICOM, is_multipart=True), Offer(DICOM)
DATA = (Offer(JSON), Offer(XML, is_multipart=True))
EXPLICIT = "1.2.840.10008.1.2.1"


def chosen(header: str, *offered: Offer) -> str:
    found = choose(parse_accept(header), offered)
    return str(found.offer) if found else "none"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/dicom+json", JSON),
        ("APPLICATION/DICOM+JSON; charset=utf-8", JSON),
        ('multipart/related; type="application/dicom+xml"', str(DATA[1])),
        ("multipart/related;type=application/dicom+xml", str(DATA[1])),
        ('multipart/related; type="application/dicom+xml", application/dicom+json', str(DATA[1])),
        ('multipart/related; type="application/dicom+xml";q=0.5, application/dicom+json', JSON),
        ("multipart/related", str(DATA[1])),
        ("application/dicom+json;q=0, */*", str(DATA[1])),
        ("text/html", "none"),
        ("application/dicom+xml", "none"),  # one document is no answer of many
        (", ,application/dicom+json,", JSON),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", JSON),  # Java's own
        ("*", JSON),
        ("*;q=0, text/html", "none"),
        ("json, application/dicom+json", JSON),
        ('nonsense="a, */*", application/dicom+json', JSON),
        ("application/dicom+xml;q=2, */*;q=0.1", JSON),
        ("json, text/html", "none"),
    ],
)
def test_the_best_form_that_a_client_takes_is_chosen(header: str, expected: str) -> None:
    assert chosen(header, *DATA) == expected


def test_quotes_and_slashes_in_parameters_are_read() -> None:
    (found,) = parse_accept(
        'multipart/related; type="application/dicom"; transfer-syntax=*; boundary="a,\\"b;c"'
    )
    assert (found.media_type, found.is_multipart) == (DICOM, True)
    assert (found.transfer_syntax, found.parameters["boundary"]) == ("*", 'a,"b;c')


def test_transfer_syntaxes_are_kept_in_the_clients_order() -> None:
    header = (
        f'multipart/related; type="{DICOM}"; transfer-syntax={EXPLICIT};q=0.5,'
        f'multipart/related; type="{DICOM}"; transfer-syntax=1.2.3, {DICOM}'
    )
    found = acceptable(parse_accept(header), [PARTS])
    assert [each.transfer_syntax for each in found] == ["1.2.3", EXPLICIT]


def test_an_offer_in_certain_syntaxes_is_taken_in_those_alone() -> None:
    offer = Offer(OCTETS, is_multipart=True, transfer_syntaxes=(EXPLICIT,))
    header = f'multipart/related; type="{OCTETS}"; transfer-syntax='
    assert chosen(header + EXPLICIT, offer) == str(offer)
    assert chosen(header + "*", offer) == str(offer)
    assert chosen(header + "1.2.3", offer) == "none"


def test_the_query_goes_before_the_header_and_a_plus_survives_it() -> None:
    assert chosen_of("text/html", "application/dicom json", DATA).media_type == JSON


def test_a_single_part_is_chosen_where_it_is_named() -> None:
    assert chosen("application/dicom", PARTS, FILE) == DICOM
    assert chosen("*/*", PARTS, FILE) == str(PARTS)


def test_nothing_acceptable_says_what_there_is() -> None:
    with pytest.raises(NotAcceptable) as caught:
        chosen_of("image/bmp", None, (PARTS, Offer(ZIP)))
    assert caught.value.hint == f"there is: {PARTS}, {ZIP}"


@pytest.mark.parametrize(
    "header",
    [
        "json",
        "json, *x, **;q=1",
        "application/",
        "application/json;q=2",
        "application/json;q=x",
        'application/json;a="',
        "multipart/related;type=dicom",
        "a/b " * 3,
        "a/b," * 100,
        "a/b;" + "x" * 9000,
    ],
)
def test_a_header_that_cannot_be_read_is_refused(header: str) -> None:
    with pytest.raises(BadRequest):
        parse_accept(header)


@given(st.text(alphabet='abc/*+;=",. \\q01\t\x00é', max_size=120))
def test_no_header_breaks_the_parser(header: str) -> None:
    with contextlib.suppress(BadRequest):
        choose(parse_accept(header, None), DATA)
