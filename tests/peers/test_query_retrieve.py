"""DCMTK, pynetdicom's applications and Orthanc ask a whole platform by C-FIND, C-GET, C-MOVE."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pynetdicom.ae import ApplicationEntity

from isocenter.core.network.client import Peer
from isocenter.core.network.requestor import read_item, send
from platform_under_test import Platform
from stand.peers import Orthanc, Serving, content_of, free_port, program, run

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # pydicom's, about values that are odd
]

STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PATIENT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def contents(paths: Sequence[Path]) -> dict[str, bytes]:
    return {read_item(path).sop_instance_uid: content_of(path) for path in paths}


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def ct(shared_data: Path) -> list[Path]:
    files = sorted((shared_data / "rt_STS_001" / "CT").rglob("*.dcm"))
    return [path for path in files if read_item(path).sop_class_uid == CT]


@pytest.fixture(scope="module")
def named(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of the character sets, each a study of its own."""
    folder = tmp_path_factory.mktemp("named")
    found = {}
    for number, path in enumerate(sorted((shared_data / "charsets").glob("chr*.dcm"))):
        ds = dcmread(path)
        if "PatientName" not in ds:
            continue
        ds.StudyInstanceUID = f"1.2.826.0.1.3680043.10.99.{number}"
        ds.SeriesInstanceUID = f"1.2.826.0.1.3680043.10.99.{number}.1"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = (
            f"1.2.826.0.1.3680043.10.99.{number}.1.1"
        )
        found[path.stem] = folder / path.name
        ds.save_as(found[path.stem])
    return found


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """Where destinations of C-MOVE listen, when they do."""
    return {"SHELF": free_port(), "ORTHANC": free_port(), "ASKER": free_port()}


@pytest.fixture(scope="module")
def platform(
    module_folder: Path,
    ct: list[Path],
    named: dict[str, Path],
    ports: dict[str, int],
) -> Iterator[Platform]:
    """A platform with a study of CT slices, and names in every character set."""
    one = Platform(module_folder / "data")
    try:
        one.start()
        for title, port in ports.items():
            one.cli(
                *("nodes", "add", title.lower(), "--host", "127.0.0.1", "--port", port),
                *("--ae-title", title, "--allow", "store,query,retrieve"),
                *("--max-associations", 2),
            )
        report = send([*ct, *named.values()], Peer("127.0.0.1", one.dicom_port, one.ae_title))
        assert report.is_complete, [r for r in report.results if r.status][:3]
        one.wait_for(lambda: len(find(one, STUDY_FIND, "STUDY", StudyInstanceUID="")) > len(named))
        one.wait_for(lambda: len(find_ct(one, ct)) == len(ct))
        yield one
    finally:
        one.end()


def find(
    platform: Platform,
    sop_class: str,
    level: str,
    character_set: str | list[str] | None = None,
    calling: str = "ASKER",
    **keys: Any,
) -> list[Dataset]:
    """Ask with pynetdicom."""
    entity = ApplicationEntity(calling)
    entity.add_requested_context(sop_class, EXPLICIT)
    association = entity.associate("127.0.0.1", platform.dicom_port, ae_title=platform.ae_title)
    assert association.is_established
    asked = Dataset()
    if character_set is not None:
        asked.SpecificCharacterSet = character_set
    asked.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(asked, keyword, value)
    answers = list(association.send_c_find(asked, sop_class))
    association.release()
    assert answers[-1][0].Status == 0x0000, answers[-1][0]
    return [found for _, found in answers if found is not None]


def find_ct(platform: Platform, ct: list[Path]) -> list[Dataset]:
    head = dcmread(ct[0], stop_before_pixels=True)
    return find(
        platform,
        STUDY_FIND,
        "IMAGE",
        StudyInstanceUID=head.StudyInstanceUID,
        SeriesInstanceUID=head.SeriesInstanceUID,
        SOPInstanceUID="",
        InstanceNumber="",
    )


@pytest.fixture(scope="module")
def head(ct: list[Path]) -> Dataset:
    return dcmread(ct[0], stop_before_pixels=True)


# -- C-FIND ------------------------------------------------------------------------------------


def findscu(platform: Platform, folder: Path, model: str, *keys: str) -> list[Dataset]:
    folder.mkdir(exist_ok=True)
    run(
        *(program("findscu"), "-aet", "ASKER", "-aec", platform.ae_title, model, "-X"),
        *("-od", str(folder)),
        *(part for key in keys for part in ("-k", key)),
        *("127.0.0.1", str(platform.dicom_port)),
    )
    return [dcmread(path, force=True) for path in files_in(folder)]


@pytest.mark.parametrize("model", ["-S", "-P"])
def test_findscu_at_every_level(
    platform: Platform, head: Dataset, ct: list[Path], tmp_path: Path, model: str
) -> None:
    study = f"StudyInstanceUID={head.StudyInstanceUID}"
    series = f"SeriesInstanceUID={head.SeriesInstanceUID}"
    patient = [f"PatientID={head.PatientID}"] if model == "-P" else []
    (found,) = findscu(
        *(platform, tmp_path / "1", model, "QueryRetrieveLevel=STUDY", study, *patient),
        *("NumberOfStudyRelatedInstances", "ModalitiesInStudy", "StudyDate"),
    )
    assert int(found.NumberOfStudyRelatedInstances) == len(ct)
    assert found.ModalitiesInStudy == "CT"
    assert found.StudyDate == head.StudyDate
    assert found.RetrieveAETitle == platform.ae_title
    keys = (study, *patient, "QueryRetrieveLevel=SERIES", "SeriesInstanceUID", "Modality=C*")
    (found,) = findscu(platform, tmp_path / "2", model, *keys)
    assert found.SeriesInstanceUID == head.SeriesInstanceUID
    keys = (study, series, *patient, "QueryRetrieveLevel=IMAGE", "SOPInstanceUID", "InstanceNumber")
    found_all = findscu(platform, tmp_path / "3", model, *keys)
    assert {ds.SOPInstanceUID for ds in found_all} == set(contents(ct))


def test_findscu_at_patient_level(platform: Platform, head: Dataset, tmp_path: Path) -> None:
    keys = ("QueryRetrieveLevel=PATIENT", f"PatientID={head.PatientID}", "PatientName")
    (found,) = findscu(platform, tmp_path / "1", "-P", *keys)
    assert str(found.PatientName) == str(head.PatientName)


def test_findscu_with_ranges_lists_and_wildcards(
    platform: Platform, head: Dataset, tmp_path: Path
) -> None:
    year = str(head.StudyDate)[:4]
    name = str(head.PatientName)
    keys = [
        (f"StudyDate={year}0101-{year}1231", f"PatientID={head.PatientID}"),
        (f"PatientName={name[:3].lower()}*",),
        (f"PatientName=?{name[1:]}",),
        (f"StudyInstanceUID={head.StudyInstanceUID}\\1.2.3.4.5", "PatientName"),
    ]
    for number, some in enumerate(keys):
        found = findscu(
            *(platform, tmp_path / str(number), "-S", "QueryRetrieveLevel=STUDY"),
            *("StudyInstanceUID", *some) if number < 3 else some,
        )
        assert [ds.StudyInstanceUID for ds in found] == [head.StudyInstanceUID], some


def test_findscu_of_a_relational_query_is_told_why(platform: Platform) -> None:
    told = run(
        *(program("findscu"), "-v", "-aet", "ASKER", "-S", "-k", "QueryRetrieveLevel=SERIES"),
        *("-k", "SeriesInstanceUID", "127.0.0.1", str(platform.dicom_port)),
        code=None,
    )
    assert "Error: DataSetDoesNotMatchSOPClass" in told, told


def test_pynetdicoms_findscu(platform: Platform, head: Dataset) -> None:
    told = run(
        *(sys.executable, "-m", "pynetdicom", "findscu", "-aet", "ASKER", "-S", "-v"),
        *("127.0.0.1", str(platform.dicom_port), "-k", "QueryRetrieveLevel=STUDY"),
        *("-k", f"PatientID={head.PatientID}", "-k", "StudyInstanceUID="),
    )
    assert str(head.StudyInstanceUID) in told


CHARACTER_SETS: dict[str, list[str | list[str]]] = {
    "chrArab": ["ISO_IR 127", "ISO_IR 192", ["ISO 2022 IR 6", "ISO 2022 IR 127"]],
    "chrFren": ["ISO_IR 100", "ISO_IR 109", "ISO_IR 192", "GB18030"],
    "chrGerm": ["ISO_IR 100", "ISO_IR 101", "ISO_IR 192"],
    "chrGreek": ["ISO_IR 126", "ISO_IR 192", "GB18030"],
    "chrH31": [["", "ISO 2022 IR 87"], "ISO_IR 192", "GB18030"],
    "chrH32": [["ISO 2022 IR 13", "ISO 2022 IR 87"], "ISO_IR 192"],
    "chrHbrw": ["ISO_IR 138", "ISO_IR 192"],
    "chrI2": [["", "ISO 2022 IR 149"], "ISO_IR 192"],
    "chrKoreanMulti": [["", "ISO 2022 IR 149"], "ISO_IR 192"],
    "chrJapMulti": [["", "ISO 2022 IR 87"], "ISO_IR 192"],
    "chrRuss": ["ISO_IR 144", "ISO_IR 192", "GB18030"],
    "chrX1": ["ISO_IR 192", "GB18030"],
    "chrX2": ["GB18030", "ISO_IR 192", "GBK"],
}


@pytest.mark.parametrize(
    ("stem", "character_set"),
    [(stem, one) for stem, several in CHARACTER_SETS.items() for one in several],
)
def test_a_name_is_found_in_any_character_set_of_the_query(
    platform: Platform, named: dict[str, Path], stem: str, character_set: str | list[str]
) -> None:
    there = dcmread(named[stem])
    name = str(there.PatientName)
    for asked in (name, name.split("^", maxsplit=1)[0] + "*"):
        found = find(
            platform,
            STUDY_FIND,
            "STUDY",
            character_set=character_set,
            PatientName=asked,
            StudyInstanceUID="",
        )
        of_it = [ds for ds in found if ds.StudyInstanceUID == there.StudyInstanceUID]
        assert len(of_it) == 1, asked
        assert str(of_it[0].PatientName) == name
        assert of_it[0].SpecificCharacterSet == character_set


# -- C-GET and C-MOVE --------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["-S", "-P"])
def test_getscu(
    platform: Platform, head: Dataset, ct: list[Path], tmp_path: Path, model: str
) -> None:
    told = run(
        *(program("getscu"), "-v", "-aet", "ASKER", "-aec", platform.ae_title, model),
        *("+B", "-od", str(tmp_path), "-k", "QueryRetrieveLevel=STUDY"),
        *("-k", f"PatientID={head.PatientID}", "-k", f"StudyInstanceUID={head.StudyInstanceUID}"),
        *("127.0.0.1", str(platform.dicom_port)),
    )
    assert f"Completed Suboperations : {len(ct)}" in told
    assert contents(files_in(tmp_path)) == contents(ct)


def test_getscu_of_single_instances(
    platform: Platform, head: Dataset, ct: list[Path], tmp_path: Path
) -> None:
    wanted = contents(ct[:3])
    run(
        *(program("getscu"), "-aet", "ASKER", "-S", "+B", "-od", str(tmp_path)),
        *("-k", "QueryRetrieveLevel=IMAGE", "-k", f"StudyInstanceUID={head.StudyInstanceUID}"),
        *("-k", f"SeriesInstanceUID={head.SeriesInstanceUID}"),
        *("-k", "SOPInstanceUID=" + "\\".join(wanted)),
        *("127.0.0.1", str(platform.dicom_port)),
    )
    assert contents(files_in(tmp_path)) == wanted


def test_pynetdicoms_getscu(
    platform: Platform, head: Dataset, ct: list[Path], tmp_path: Path
) -> None:
    run(
        *(sys.executable, "-m", "pynetdicom", "getscu", "-aet", "ASKER", "-S"),
        *("-od", str(tmp_path), "127.0.0.1", str(platform.dicom_port)),
        *("-k", "QueryRetrieveLevel=SERIES", "-k", f"StudyInstanceUID={head.StudyInstanceUID}"),
        *("-k", f"SeriesInstanceUID={head.SeriesInstanceUID}"),
    )
    assert len(files_in(tmp_path)) == len(ct)
    for path in files_in(tmp_path):
        there = dcmread(path)
        ours = next(p for p in ct if there.SOPInstanceUID in p.name or _uid(p) == _uid(path))
        assert there.PixelData == dcmread(ours).PixelData


def _uid(path: Path) -> str:
    return read_item(path).sop_instance_uid


def test_movescu_to_storescp(
    platform: Platform,
    head: Dataset,
    ct: list[Path],
    tmp_path: Path,
    serving: Serving,
    ports: dict[str, int],
) -> None:
    port = ports["SHELF"]
    serving.start([program("storescp"), "+B", "-od", str(tmp_path), str(port)], port)
    told = run(
        *(program("movescu"), "-v", "-aet", "ASKER", "-aem", "SHELF", "-S"),
        *("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={head.StudyInstanceUID}"),
        *("127.0.0.1", str(platform.dicom_port)),
    )
    assert "Success" in told
    assert contents(files_in(tmp_path)) == contents(ct)


def test_movescu_to_itself(
    platform: Platform, head: Dataset, ct: list[Path], tmp_path: Path, ports: dict[str, int]
) -> None:
    """It listens for the instances while it asks."""
    run(
        *(program("movescu"), "-aet", "ASKER", "-aem", "ASKER", "+P", str(ports["ASKER"]), "-S"),
        *("+B", "-k", "QueryRetrieveLevel=SERIES"),
        *("-k", f"StudyInstanceUID={head.StudyInstanceUID}"),
        *("-k", f"SeriesInstanceUID={head.SeriesInstanceUID}"),
        *("127.0.0.1", str(platform.dicom_port)),
        folder=tmp_path,  # with +B it knows no other
    )
    assert contents(files_in(tmp_path)) == contents(ct)


def test_movescu_to_nobody(platform: Platform, head: Dataset) -> None:
    told = run(
        *(program("movescu"), "-v", "-aet", "ASKER", "-aem", "NOBODY", "-S"),
        *("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={head.StudyInstanceUID}"),
        *("127.0.0.1", str(platform.dicom_port)),
        code=None,
    )
    assert "MoveDestinationUnknown" in told or "destination" in told.lower(), told


def test_pynetdicoms_movescu(
    platform: Platform,
    head: Dataset,
    ct: list[Path],
    tmp_path: Path,
    serving: Serving,
    ports: dict[str, int],
) -> None:
    port = ports["SHELF"]
    serving.start([program("storescp"), "+B", "-od", str(tmp_path), str(port)], port)
    run(
        *(sys.executable, "-m", "pynetdicom", "movescu", "-aet", "ASKER", "-aem", "SHELF", "-S"),
        *("127.0.0.1", str(platform.dicom_port), "-k", "QueryRetrieveLevel=STUDY"),
        *("-k", f"StudyInstanceUID={head.StudyInstanceUID}"),
    )
    assert contents(files_in(tmp_path)) == contents(ct)


# -- Who may ask -------------------------------------------------------------------------------


def test_who_is_no_node_asks_in_vain(platform: Platform, head: Dataset, tmp_path: Path) -> None:
    port = str(platform.dicom_port)
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={head.StudyInstanceUID}")
    told = run(program("findscu"), "-v", "-aet", "STRANGER", "-S", *keys, "127.0.0.1", port)
    assert "Failed: UnableToProcess" in told, told
    assert "Pending" not in told
    run(
        *(program("getscu"), "-aet", "STRANGER", "-S", "-od", str(tmp_path), *keys),
        *("127.0.0.1", port),
        code=None,
    )
    assert not files_in(tmp_path)


def test_termscu_and_echoscu(platform: Platform) -> None:
    run(program("termscu"), "127.0.0.1", str(platform.dicom_port), code=None)
    run(program("echoscu"), "127.0.0.1", str(platform.dicom_port))


def test_the_audit_knows_of_it(platform: Platform, head: Dataset) -> None:
    def events(kind: str) -> list[dict[str, Any]]:
        found = json.loads(platform.cli("audit", "list", "--kind", kind, "--json").stdout)
        return list(found)

    find(platform, STUDY_FIND, "STUDY", PatientName=str(head.PatientName), StudyInstanceUID="")
    platform.wait_for(lambda: events("QUERY"))
    assert str(head.PatientName) not in json.dumps(events("QUERY"))


# -- Orthanc -----------------------------------------------------------------------------------


@pytest.fixture
def orthanc(platform: Platform, tmp_path: Path, serving: Serving, ports: dict[str, int]) -> Orthanc:
    return Orthanc(tmp_path, serving, ours=platform.dicom_port, port=ports["ORTHANC"])


def test_orthanc_asks_and_has_it_sent(orthanc: Orthanc, head: Dataset, ct: list[Path]) -> None:
    query = orthanc.post(
        "/modalities/us/query",
        {"Level": "Study", "Query": {"PatientID": str(head.PatientID), "StudyDate": ""}},
    )
    assert orthanc.get(query["Path"] + "/answers") == ["0"]
    answer = orthanc.get(query["Path"] + "/answers/0/content?simplify")
    assert answer["StudyInstanceUID"] == head.StudyInstanceUID
    orthanc.post(query["Path"] + "/retrieve", {"TargetAet": "ORTHANC", "Synchronous": True})
    there = orthanc.data_sets()  # it writes sequences anew: values are compared, not bytes
    assert there.keys() == contents(ct).keys()
    for path in ct:
        ours = dcmread(path)
        assert there[str(ours.SOPInstanceUID)] == ours


def test_orthanc_asks_for_series_and_instances(
    orthanc: Orthanc, head: Dataset, ct: list[Path]
) -> None:
    uids = {"StudyInstanceUID": str(head.StudyInstanceUID)}
    query = orthanc.post("/modalities/us/query", {"Level": "Series", "Query": uids})
    assert len(orthanc.get(query["Path"] + "/answers")) == 1
    uids["SeriesInstanceUID"] = str(head.SeriesInstanceUID)
    query = orthanc.post("/modalities/us/query", {"Level": "Instance", "Query": uids})
    assert len(orthanc.get(query["Path"] + "/answers")) == len(ct)


def test_orthanc_moves_a_series_elsewhere(
    orthanc: Orthanc,
    head: Dataset,
    ct: list[Path],
    tmp_path: Path,
    serving: Serving,
    ports: dict[str, int],
) -> None:
    target = tmp_path / "shelf"
    target.mkdir()
    serving.start(
        [program("storescp"), "+B", "-od", str(target), str(ports["SHELF"])], ports["SHELF"]
    )
    orthanc.post(
        "/modalities/us/move",
        {
            "Level": "Series",
            "TargetAet": "SHELF",
            "Resources": [
                {
                    "StudyInstanceUID": str(head.StudyInstanceUID),
                    "SeriesInstanceUID": str(head.SeriesInstanceUID),
                }
            ],
            "Synchronous": True,
        },
    )
    assert contents(files_in(target)) == contents(ct)
