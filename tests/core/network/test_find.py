"""C-FIND of our acceptor, asked by pynetdicom and by bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from dimse_tools import RawPeer, Receiving
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from query_tools import PATIENT_FIND, STUDY_FIND, Client, Library, question

from isocenter.core.network.command import C_FIND_RQ, Command, encode_response
from isocenter.core.network.find import FindService
from isocenter.core.network.identifiers import Element, encode_identifier
from isocenter.core.network.messages import encode_message
from isocenter.core.network.query_model import NOT_AUTHORISED, QueryRefused

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
STUDY_UID = Element(0x0020000D, "UI", ("1.2.3",))


def answer(name: str) -> list[Element]:
    return [STUDY_UID, Element(0x00100010, "PN", (name,)), Element(0x00080020, "DA", ())]


def ask(
    receiving: Receiving, ds: Dataset, sop_class: str = STUDY_FIND, syntax: str = EXPLICIT
) -> list[tuple[int, Dataset | None]]:
    with Client(receiving.port, (sop_class, syntax)) as association:
        return [
            (int(status.Status), found) for status, found in association.send_c_find(ds, sop_class)
        ]


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, DEFLATED, BIG])
def test_answers_in_the_transfer_syntax_of_the_context(
    receive: Callable[..., Receiving], syntax: str
) -> None:
    library = Library(answers=[answer("Doe^Jane"), answer("Roe^Richard")])
    receiving = receive(services=[FindService(library)])
    found = ask(receiving, question("STUDY", PatientName="*oe*"), syntax=syntax)
    assert [status for status, _ in found] == [0xFF00, 0xFF00, 0x0000]
    names = [str(ds.PatientName) for _, ds in found if ds is not None]
    assert names == ["Doe^Jane", "Roe^Richard"]
    first = found[0][1]
    assert first is not None
    assert first.QueryRetrieveLevel == "STUDY"
    assert first.RetrieveAETitle == "ISOCENTER"  # it named nobody, so we do
    assert first.StudyDate == ""
    assert library.queries[0].identifier.texts[0x00100010] == "*oe*"
    receiving.wait_for("ASSOCIATION_RELEASED")
    assert receiving.acceptor.stop(5)
    assert library.closed == 1


def test_the_audit_learns_the_keys_and_never_the_values(receive: Callable[..., Receiving]) -> None:
    receiving = receive(services=[FindService(Library(answers=[answer("Doe^Jane")]))])
    ask(receiving, question("STUDY", PatientName="Doe*", StudyDate=""))
    event = receiving.wait_for("QUERY")
    assert event.detail["keys"] == "00100010"
    assert event.detail["answers"] == 1
    assert event.detail["status"] == "0000"
    assert "Doe" not in str(event)


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 192", "Müller^Jürgen=山田^太郎"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("ISO_IR 126", "Διονυσιος"),
        ("ISO_IR 138", "שרון^דבורה"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)
def test_a_question_and_its_answers_are_in_the_character_set_of_the_question(
    receive: Callable[..., Receiving], character_set: str | list[str], name: str
) -> None:
    library = Library(answers=[answer(name)])
    receiving = receive(services=[FindService(library)])
    asked = question("STUDY", SpecificCharacterSet=character_set, PatientName=name)
    (_, found), _ = ask(receiving, asked)
    assert library.queries[0].identifier.texts[0x00100010] == name
    assert found is not None
    assert str(found.PatientName) == name
    assert found.SpecificCharacterSet == character_set


@pytest.mark.parametrize("character_set", [None, "ISO_IR 100", ["", "ISO 2022 IR 87"]])
def test_what_the_character_set_cannot_hold_comes_in_utf_8(
    receive: Callable[..., Receiving], character_set: str | list[str] | None
) -> None:
    receiving = receive(services=[FindService(Library(answers=[answer("Łukasz^Ő")]))])
    asked = question("STUDY", PatientName="*")
    if character_set is not None:
        asked.SpecificCharacterSet = character_set
    (_, found), _ = ask(receiving, asked)
    assert found is not None
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert str(found.PatientName) == "Łukasz^Ő"


def test_sequences_are_asked_and_answered(receive: Callable[..., Receiving]) -> None:
    item = [Element(0x00400009, "SH", ("STEP1",)), Element(0x00401001, "SH", ("PROC1",))]
    library = Library(answers=[[Element(0x00400275, "SQ", [item])]])
    receiving = receive(services=[FindService(library)])
    inner = Dataset()
    inner.RequestedProcedureID = "PROC*"
    asked = question("SERIES", StudyInstanceUID="1.2", RequestAttributesSequence=Sequence([inner]))
    (_, found), _ = ask(receiving, asked)
    (heard,) = library.queries[0].identifier.sequences[0x00400275]
    assert heard.texts == {0x00401001: "PROC*"}
    assert found is not None
    assert found.RequestAttributesSequence[0].ScheduledProcedureStepID == "STEP1"


@pytest.mark.parametrize(
    ("asked", "sop_class"),
    [
        (question(None, PatientName="x"), STUDY_FIND),
        (question("PATIENT", PatientName="x"), STUDY_FIND),
        (question("FRAME"), STUDY_FIND),
        (question("SERIES", SeriesInstanceUID="1.2"), STUDY_FIND),
        (question("IMAGE", StudyInstanceUID="1.2"), STUDY_FIND),
        (question("SERIES", StudyInstanceUID=["1.2", "1.3"]), STUDY_FIND),
        (question("SERIES", PatientID="P1"), PATIENT_FIND),
    ],
    ids=[
        "no-level",
        "patient-in-study-root",
        "odd-level",
        "no-study",
        "no-series",
        "list",
        "patient-alone",
    ],
)
def test_relational_and_odd_queries_are_refused_with_a_sentence(
    receive: Callable[..., Receiving], asked: Dataset, sop_class: str
) -> None:
    receiving = receive(services=[FindService(Library(answers=[answer("x")]))])
    with Client(receiving.port, (sop_class, EXPLICIT)) as association:
        ((status, _),) = association.send_c_find(asked, sop_class)
        assert status.Status == 0xA900
        assert 10 < len(status.ErrorComment) <= 64
        assert association.is_established


def test_a_refusal_of_the_provider_is_the_status(receive: Callable[..., Receiving]) -> None:
    library = Library(refusal=QueryRefused(NOT_AUTHORISED, "this node lacks the right query"))
    receiving = receive(services=[FindService(library)])
    ((status, _),) = ask(receiving, question("STUDY"))
    assert status == 0xC001
    assert receiving.wait_for("QUERY").detail["text"] == "this node lacks the right query"


def test_keys_that_are_not_supported_show_in_the_pending_status(
    receive: Callable[..., Receiving],
) -> None:
    receiving = receive(services=[FindService(Library(answers=[answer("x")], is_partial=True))])
    found = ask(receiving, question("STUDY", PatientName="x"))
    assert [status for status, _ in found] == [0xFF01, 0x0000]


def test_cancel_ends_an_endless_query(receive: Callable[..., Receiving]) -> None:
    library = Library(endless=True, pause_s=0.0005)  # pynetdicom keeps all that comes
    receiving = receive(services=[FindService(library)], network_timeout_s=60)
    statuses = []
    with Client(receiving.port, (STUDY_FIND, EXPLICIT)) as association:
        for status, _ in association.send_c_find(question("STUDY"), STUDY_FIND, msg_id=7):
            statuses.append(status.Status)
            if len(statuses) == 3:
                association.send_c_cancel(7, query_model=STUDY_FIND)
            assert len(statuses) < 200_000
        assert statuses[-1] == 0xFE00
        assert association.is_established
        association.send_c_cancel(7, query_model=STUDY_FIND)  # too late: harmless
        ((status, _),) = association.send_c_find(question("FRAME"), STUDY_FIND, msg_id=8)
        assert status.Status == 0xA900


def find_request() -> bytes:
    command = encode_response(  # a request has the same elements
        Command(C_FIND_RQ, message_id=1, affected_sop_class=STUDY_FIND), 0, has_data_set=True
    )
    command = command.replace(b"\0\0\0\1\2\0\0\0\x20\x80", b"\0\0\0\1\2\0\0\0\x20\0")
    command = command.replace(b"\0\0\x20\1\2\0\0\0", b"\0\0\x10\1\2\0\0\0")
    level = encode_identifier([Element(0x00080052, "CS", ("STUDY",))], EXPLICIT)
    return b"".join(bytes(part) for part in encode_message(1, command, level))


def test_a_peer_that_never_reads_is_given_up(receive: Callable[..., Receiving]) -> None:
    receiving = receive(services=[FindService(Library(endless=True))], network_timeout_s=1)
    began = time.monotonic()
    with RawPeer(receiving.port) as peer:
        assert peer.associate((STUDY_FIND, (EXPLICIT,)))[0] == 2
        peer.send(find_request())
        event = receiving.wait_for("ASSOCIATION_ABORTED")
    assert "taken" in event.detail["text"]
    assert time.monotonic() - began < 20


def test_a_peer_that_reads_a_byte_now_and_then_is_given_up(
    receive: Callable[..., Receiving], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isocenter.core.network.connection.SLOWEST_BYTES_PER_S", 1_000_000)
    receiving = receive(services=[FindService(Library(endless=True))], network_timeout_s=1)
    began = time.monotonic()
    with RawPeer(receiving.port) as peer:
        assert peer.associate((STUDY_FIND, (EXPLICIT,)))[0] == 2
        peer.send(find_request())
        while "ASSOCIATION_ABORTED" not in receiving.kinds():
            peer.socket.recv(2_000)
            time.sleep(0.2)
            assert time.monotonic() - began < 60


def test_stopping_ends_a_long_query_in_good_order(receive: Callable[..., Receiving]) -> None:
    receiving = receive(services=[FindService(Library(endless=True))])
    stopping = threading.Thread(target=receiving.acceptor.stop, args=(20,))
    statuses = []
    with Client(receiving.port, (STUDY_FIND, EXPLICIT)) as association:
        for status, _ in association.send_c_find(question("STUDY"), STUDY_FIND):
            statuses.append(status.Status)
            if len(statuses) == 3:
                stopping.start()
    stopping.join()
    assert statuses[-1] == 0xA700


def test_extended_negotiation_offers_times_and_names_and_nothing_relational(
    receive: Callable[..., Receiving],
) -> None:
    library = Library(answers=[])
    receiving = receive(services=[FindService(library)])
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = STUDY_FIND
    item.service_class_application_information = b"\1\1\1\1\1"
    with Client(receiving.port, (STUDY_FIND, EXPLICIT), extended=[item]) as association:
        agreed = association.acceptor.sop_class_extended[STUDY_FIND]
        list(association.send_c_find(question("STUDY"), STUDY_FIND))
    assert agreed == b"\0\1\1\0\0"
    assert library.queries[0].is_fuzzy
    assert library.queries[0].is_combined


def test_patient_study_only_is_refused_in_negotiation(receive: Callable[..., Receiving]) -> None:
    from pynetdicom.ae import ApplicationEntity

    receiving = receive(services=[FindService(Library())])
    entity = ApplicationEntity()
    entity.add_requested_context("1.2.840.10008.5.1.4.1.2.3.1")
    entity.add_requested_context(STUDY_FIND)
    association = entity.associate("127.0.0.1", receiving.port)
    assert [context.abstract_syntax for context in association.accepted_contexts] == [STUDY_FIND]
    association.release()


def test_a_query_is_not_taken_in_a_syntax_of_pixels(receive: Callable[..., Receiving]) -> None:
    receiving = receive(services=[FindService(Library())])
    jpeg = "1.2.840.10008.1.2.4.50"
    with RawPeer(receiving.port) as peer:
        accepted = peer.accepted((STUDY_FIND, (jpeg,)), (STUDY_FIND, (jpeg, IMPLICIT)))
    assert [result for _, result, _ in accepted] == [4, 0]
    assert accepted[1][2] == IMPLICIT
