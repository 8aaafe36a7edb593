"""The matrix of transfer syntaxes: in by every sender, out by every service, the same bytes.

A cell is one peer and one syntax. Where a peer does not know a syntax, its cell is an expected
failure that says so, and passes by itself once a newer peer knows it. In between is a platform as
a user runs it: what comes out is compared with what went in, and with the file in the archive.

DCMTK writes what it sends anew: lengths of sequences, group lengths and padding differ, so what
its senders sent is compared by values. pynetdicom sends files as they are; what comes out of us is
compared byte for byte, whoever asks.
"""

from __future__ import annotations

import json
import subprocess
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.parser import BytesParser
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.presentation import build_role
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet

from isocenter.core.dicom.part10 import EXPLICIT_LITTLE
from platform_under_test import Platform
from stand.peers import Serving, content_of, free_port, program

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # pydicom's, about values that are odd
]

CALLER = "MATRIX"
TIMEOUT_S = 60
HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.203")
JPEG_12_BIT = "1.2.840.10008.1.2.4.51"
NO_12_BIT = "no decoder with a permissive licence reads JPEG of 12 bits, so it is told as failed"
NO_HTJ2K = "this version of DCMTK knows no HTJ2K"

_CT = "ctimage_all/CTImage.dcm_"
#: Transfer syntax → the file that is in it.
SYNTAXES = {
    "1.2.840.10008.1.2": f"{_CT}LittleEndianImplicitTransferSyntax_1.2.840.10008.1.2.dcm",
    "1.2.840.10008.1.2.1": f"{_CT}LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm",
    "1.2.840.10008.1.2.1.99": f"{_CT}DeflatedExplicitVRLittleEndianTransferSyntax"
    "_1.2.840.10008.1.2.1.99.dcm",
    "1.2.840.10008.1.2.2": f"{_CT}BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2.dcm",
    "1.2.840.10008.1.2.4.50": f"{_CT}JPEGProcess1TransferSyntax_1.2.840.10008.1.2.4.50.dcm",
    "1.2.840.10008.1.2.4.51": f"{_CT}JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm",
    "1.2.840.10008.1.2.4.57": f"{_CT}JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57.dcm",
    "1.2.840.10008.1.2.4.70": f"{_CT}JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70.dcm",
    "1.2.840.10008.1.2.4.80": f"{_CT}JPEGLSLosslessTransferSyntax_1.2.840.10008.1.2.4.80.dcm",
    "1.2.840.10008.1.2.4.81": f"{_CT}JPEGLSLossyTransferSyntax_1.2.840.10008.1.2.4.81.dcm",
    "1.2.840.10008.1.2.4.90": f"{_CT}JPEG2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90.dcm",
    "1.2.840.10008.1.2.4.91": f"{_CT}JPEG2000TransferSyntax_1.2.840.10008.1.2.4.91.dcm",
    "1.2.840.10008.1.2.4.201": "pydicom/HTJ2KLossless_08_RGB.dcm",
    "1.2.840.10008.1.2.4.203": "pydicom/HTJ2K_08_RGB.dcm",
    "1.2.840.10008.1.2.5": f"{_CT}RLELosslessTransferSyntax_1.2.840.10008.1.2.5.dcm",
}
#: What storescu is told to propose; getscu, movescu and storescp have the same letters.
LETTERS = {
    "1.2.840.10008.1.2": "i",
    "1.2.840.10008.1.2.1": "e",
    "1.2.840.10008.1.2.1.99": "d",
    "1.2.840.10008.1.2.2": "b",
    "1.2.840.10008.1.2.4.50": "y",
    "1.2.840.10008.1.2.4.51": "x",
    "1.2.840.10008.1.2.4.70": "s",
    "1.2.840.10008.1.2.4.80": "t",
    "1.2.840.10008.1.2.4.81": "u",
    "1.2.840.10008.1.2.4.90": "v",
    "1.2.840.10008.1.2.4.91": "w",
    "1.2.840.10008.1.2.5": "r",
}


def name_of(syntax: str) -> str:
    return UID(syntax).name.split(",")[0].replace(" ", "_")


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@dataclass(frozen=True)
class Object:
    """A file of the matrix under a UID of its own."""

    path: Path
    syntax: str
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str

    @property
    def content(self) -> bytes:
        return content_of(self.path)


def make_object(source: Path, target: Path, number: int) -> Object:
    """A copy whose SOP Instance UID is another of the same length, and nothing else.

    The HTJ2K files are of no study; they are given one first.
    """
    head = dcmread(source, stop_before_pixels=True)
    if "StudyInstanceUID" not in head:
        whole_one = dcmread(source)
        whole_one.StudyInstanceUID = f"{head.SOPInstanceUID[:40]}.1"
        whole_one.SeriesInstanceUID = f"{head.SOPInstanceUID[:40]}.2"
        source = target.with_suffix(".study")
        whole_one.save_as(source)
        head = dcmread(source, stop_before_pixels=True)
    old = str(head.SOPInstanceUID).encode()
    new = f"2.25.9{number:03d}{zlib.crc32(old):010d}".ljust(len(old), "7")[: len(old)].encode()
    whole = source.read_bytes()
    data_set = content_of(source)
    meta = whole[: len(whole) - len(data_set)]
    syntax = str(head.file_meta.TransferSyntaxUID)
    if syntax == "1.2.840.10008.1.2.1.99":
        plain = zlib.decompress(data_set, -zlib.MAX_WBITS).replace(old, new)
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data_set = packer.compress(plain) + packer.flush()
        data_set += b"\0" * (len(data_set) % 2)
    else:
        data_set = data_set.replace(old, new)
    target.write_bytes(meta.replace(old, new) + data_set)
    return Object(
        target,
        syntax,
        str(head.StudyInstanceUID),
        str(head.SeriesInstanceUID),
        new.decode(),
        str(head.SOPClassUID),
    )


def same_values(one: Dataset, other: Dataset) -> bool:
    """Equal but for group lengths and padding, which DCMTK mends on the way."""
    for ds in (one, other):
        for tag in [element.tag for element in ds]:
            if tag.element == 0 or tag == 0xFFFCFFFC:
                del ds[tag]
    if one.is_little_endian and other.is_little_endian:
        pixels = [bytes(ds.pop("PixelData").value).rstrip(b"\0") for ds in (one, other)]
        return one == other and pixels[0] == pixels[1]
    arrays = [ds.pixel_array for ds in (one, other)]
    for ds in (one, other):  # in the file private words are not in the order that it claims
        for tag in [element.tag for element in ds if element.tag.is_private]:
            del ds[tag]
        del ds.PixelData
    return one == other and bool((arrays[0] == arrays[1]).all())


class Site:
    """A platform that knows one node: our caller, which listens as well."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.data = data / "transfer_syntaxes"
        self.work = folder
        self.arrivals = folder / "arrivals"
        self.arrivals.mkdir()
        self.platform = Platform(folder / "platform").start()
        self._made = 0
        self._kept: dict[str, Object] = {}
        self.listening = free_port()
        self.platform.cli(
            *("nodes", "add", "matrix", "--host", "127.0.0.1", "--port", self.listening),
            *("--ae-title", CALLER, "--allow", "store,query,retrieve"),
        )
        self.platform.cli("user", "create", "matrix", "--role", "administrator")
        token = json.loads(
            self.platform.cli(
                "token", "create", "--user", "matrix", "--scope", "all", "--json"
            ).stdout
        )["token"]
        self.web = httpx.Client(
            base_url=f"http://127.0.0.1:{self.platform.http_port}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
        )

    @property
    def port(self) -> str:
        return str(self.platform.dicom_port)

    def object(self, syntax: str) -> Object:
        """A new one."""
        self._made += 1
        return make_object(
            self.data / SYNTAXES[syntax], self.work / f"{self._made}.dcm", self._made
        )

    def stored(self, syntax: str) -> Object:
        """One that is in the archive: sent once, then kept for all who ask for it."""
        if syntax not in self._kept:
            made = self.object(syntax)
            by_pynetdicom(self, made)
            self.archived(made)
            self.wait_until_found(made)
            self._kept[syntax] = made
        return self._kept[syntax]

    def archived(self, made: Object) -> Path:
        folder = self.platform.data_dir / "archive" / made.study_uid / made.series_uid
        path = folder / f"{made.sop_uid}.dcm"
        self.platform.wait_for(path.exists, 30, 0.05)
        return path

    def wait_until_found(self, made: Object) -> None:
        """Until its row is there too."""
        address = f"/dicom-web/studies/{made.study_uid}/instances"
        self.platform.wait_for(
            lambda: made.sop_uid in self.web.get(address).text, timeout_s=30, every_s=0.1
        )

    def end(self) -> None:
        self.web.close()
        self.platform.end()


@pytest.fixture(scope="module")
def site(shared_data: Path, module_folder: Path) -> Iterator[Site]:
    made = Site(module_folder, shared_data)
    yield made
    made.end()


# Senders: each returns what the peer said when it did not send.


def by_storescu(site: Site, made: Object) -> str:
    letter = LETTERS.get(made.syntax)
    options = [f"-x{letter}"] if letter else []
    done = run(
        *(program("storescu"), "-v", "-aet", CALLER, "-aec", site.platform.ae_title),
        *(*options, "127.0.0.1", site.port, made.path),
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def by_dcmsend(site: Site, made: Object) -> str:
    done = run(
        *(program("dcmsend"), "-v", "--decompress-never", "--no-uid-checks"),
        *("-aet", CALLER, "-aec", site.platform.ae_title, "127.0.0.1", site.port, made.path),
    )
    sent = "(Success)" in done.stdout + done.stderr
    return "" if sent else done.stdout + done.stderr


def by_pynetdicom(site: Site, made: Object) -> str:
    """The file's bytes as they are, in pieces."""
    from pynetdicom import _config

    ae = AE(CALLER)
    ae.add_requested_context(made.sop_class_uid, made.syntax)
    association = ae.associate("127.0.0.1", int(site.port), ae_title=site.platform.ae_title)
    if not association.is_established:
        return "no association"
    was = _config.STORE_SEND_CHUNKED_DATASET
    _config.STORE_SEND_CHUNKED_DATASET = True
    try:
        status = association.send_c_store(str(made.path))
    finally:
        _config.STORE_SEND_CHUNKED_DATASET = was
        association.release()
    return "" if status and status.Status == 0 else str(status)


@dataclass(frozen=True)
class Sender:
    name: str
    send: Callable[[Site, Object], str]
    is_exact: bool
    unknown: dict[str, str]  # syntax → why its cell fails
    rewritten: tuple[str, ...] = ()  # it sends these as explicit little endian, its favourite


_NO_OPTION = "storescu has no option to propose it"
SENDERS = (
    Sender(
        "storescu",
        by_storescu,
        False,
        {**dict.fromkeys(HTJ2K, NO_HTJ2K), "1.2.840.10008.1.2.4.57": _NO_OPTION},
    ),
    Sender(
        "dcmsend",
        by_dcmsend,
        False,
        dict.fromkeys(HTJ2K, NO_HTJ2K),
        ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2"),
    ),
    Sender("pynetdicom", by_pynetdicom, True, {}),
)


@pytest.mark.parametrize("syntax", list(SYNTAXES), ids=name_of)
@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.name)
def test_in(site: Site, sender: Sender, syntax: str) -> None:
    made = site.object(syntax)
    said = sender.send(site, made)
    if said and syntax in sender.unknown:
        pytest.xfail(f"{sender.name}: {sender.unknown[syntax]}")
    assert not said
    kept = site.archived(made)
    expected = EXPLICIT_LITTLE if syntax in sender.rewritten else syntax
    assert dcmread(kept, stop_before_pixels=True).file_meta.TransferSyntaxUID == expected
    if sender.is_exact:
        assert content_of(kept) == made.content
    else:
        assert same_values(dcmread(kept), dcmread(made.path))


# Services: each returns the data sets that came, by SOP Instance UID, with their syntax.

Came = dict[str, tuple[str, bytes]]


def read_folder(folder: Path) -> Came:
    found = {}
    for path in folder.iterdir():
        meta = dcmread(path, stop_before_pixels=True).file_meta
        content = content_of(path)
        found[str(meta.MediaStorageSOPInstanceUID)] = (str(meta.TransferSyntaxUID), content)
    return found


def keys_of(made: Object) -> list[str]:
    return [
        *("-k", "QueryRetrieveLevel=IMAGE", "-k", f"StudyInstanceUID={made.study_uid}"),
        *("-k", f"SeriesInstanceUID={made.series_uid}", "-k", f"SOPInstanceUID={made.sop_uid}"),
    ]


def by_getscu(site: Site, made: Object, folder: Path) -> Came:
    letter = LETTERS.get(made.syntax, "")
    prefer = [f"+x{letter}"] if letter not in ("", "i") else ["-xi"] * (letter == "i")
    run(
        *(program("getscu"), "-v", "-S", "+B", "-od", folder, *prefer, "-aet", CALLER),
        *("-aec", site.platform.ae_title, "127.0.0.1", site.port, *keys_of(made)),
    )
    return read_folder(folder)


def by_movescu(site: Site, made: Object, folder: Path) -> Came:
    """movescu asks, and storescp, which takes all that it knows, is sent to."""
    listener = Serving()
    try:
        scp = program("storescp")
        listener.start(
            [scp, "+B", "+xa", "-aet", CALLER, "-od", folder, str(site.listening)], site.listening
        )
        run(
            *(program("movescu"), "-v", "-S", "-aet", CALLER, "-aec", site.platform.ae_title),
            *("-aem", CALLER, "127.0.0.1", site.port, *keys_of(made)),
        )
    finally:
        listener.stop()
    return read_folder(folder)


def by_pynetdicom_get(site: Site, made: Object, folder: Path) -> Came:
    came: Came = {}

    def keep(event: Any) -> int:
        request = event.request
        syntax = str(event.context.transfer_syntax)
        came[str(request.AffectedSOPInstanceUID)] = (syntax, request.DataSet.getvalue())
        return 0

    ae = AE(CALLER)
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    ae.add_requested_context(made.sop_class_uid, made.syntax)
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID = made.study_uid
    identifier.SeriesInstanceUID = made.series_uid
    identifier.SOPInstanceUID = made.sop_uid
    association = ae.associate(
        "127.0.0.1",
        int(site.port),
        ae_title=site.platform.ae_title,
        ext_neg=[build_role(made.sop_class_uid, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    assert association.is_established
    answers = association.send_c_get(identifier, StudyRootQueryRetrieveInformationModelGet)
    statuses = [status.Status for status, _ in answers if status]
    association.release()
    assert statuses[-1:] == [0x0000], [hex(status) for status in statuses]
    return came


def by_wado_rs(site: Site, made: Object, folder: Path) -> Came:
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    address = f"/dicom-web/studies/{made.study_uid}/series/{made.series_uid}"
    answer = site.web.get(f"{address}/instances/{made.sop_uid}", headers={"Accept": accept})
    assert answer.status_code == 200, answer.text[:300]
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    # Parts are read by their boundary here: the parser of mails takes bytes for lines.
    boundary = BytesParser().parsebytes(head).get_param("boundary")
    delimiter = b"\r\n--" + str(boundary).encode()
    came: Came = {}
    for part in (b"\r\n" + answer.content).split(delimiter)[1:-1]:
        whole = part.partition(b"\r\n\r\n")[2]
        meta = dcmread(BytesIO(whole), stop_before_pixels=True).file_meta
        came[str(meta.MediaStorageSOPInstanceUID)] = (
            str(meta.TransferSyntaxUID),
            content_of(BytesIO(whole)),
        )
    return came


def by_wado_uri(site: Site, made: Object, folder: Path) -> Came:
    answer = site.web.get(
        "/wado",
        params={
            "requestType": "WADO",
            "studyUID": made.study_uid,
            "seriesUID": made.series_uid,
            "objectUID": made.sop_uid,
            "contentType": "application/dicom",
            "transferSyntax": made.syntax,
        },
    )
    assert answer.status_code == 200, answer.text[:300]
    meta = dcmread(BytesIO(answer.content), stop_before_pixels=True).file_meta
    content = content_of(BytesIO(answer.content))
    return {str(meta.MediaStorageSOPInstanceUID): (str(meta.TransferSyntaxUID), content)}


@dataclass(frozen=True)
class Service:
    name: str
    fetch: Callable[[Site, Object, Path], Came]
    unknown: dict[str, str]


# getscu names several syntaxes in each context, and one has to be chosen before it is known what
# will be sent: explicit little endian, in which every instance can be.
_ONE_CONTEXT = "getscu proposes explicit little endian in the same context"
_GETSCU = {syntax: _ONE_CONTEXT for syntax in SYNTAXES if syntax != EXPLICIT_LITTLE}
SERVICES = (
    Service("C-GET_getscu", by_getscu, {**_GETSCU, **dict.fromkeys(HTJ2K, NO_HTJ2K)}),
    Service(
        "C-MOVE_storescp",
        by_movescu,
        {
            **dict.fromkeys(HTJ2K, NO_HTJ2K),
            "1.2.840.10008.1.2.4.57": "storescp takes JPEG lossless of selection value 1 only",
        },
    ),
    Service("C-GET_pynetdicom", by_pynetdicom_get, {}),
    Service("WADO-RS", by_wado_rs, {}),
    Service("WADO-URI", by_wado_uri, {}),
)


@pytest.mark.parametrize("syntax", list(SYNTAXES), ids=name_of)
@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_out(site: Site, service: Service, syntax: str, tmp_path: Path) -> None:
    made = site.stored(syntax)
    folder = tmp_path / "came"
    folder.mkdir()
    came = service.fetch(site, made, folder)
    if not came and syntax in service.unknown and syntax == JPEG_12_BIT:
        pytest.xfail(f"{service.name}: {service.unknown[syntax]}; {NO_12_BIT}")
    assert list(came) == [made.sop_uid]
    syntax_of_it, content = came[made.sop_uid]
    if syntax in service.unknown and syntax_of_it != syntax:
        assert syntax_of_it == EXPLICIT_LITTLE
        assert same_pixels(content, made)
        pytest.xfail(f"{service.name}: {service.unknown[syntax]}; it came uncompressed, lossless")
    assert syntax_of_it == syntax
    assert content == made.content


def same_pixels(content: bytes, made: Object) -> bool:
    """What was converted shows the same image."""
    came = dcmread(BytesIO(content), force=True)
    came.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE)
    sent = dcmread(made.path)
    return bool((came.pixel_array == sent.pixel_array).all())
