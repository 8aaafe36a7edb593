"""How fast objects are de-identified and what is left in them, beside the best peers.

    python benchmarks/deid.py [--quick] [--rounds N] [--peers-venv DIR] [FOLDER]

Every tool works on the same CT slices, in turn; the Python ones by their own interface in one
process, imports left out, dcmodify as a whole process, Orthanc's anonymize over HTTP on a running
server, upload left out. Ours does all that its command does: it collects what identifies, applies
every rule with cleaned text, searches its own output and writes the report. Then each gets four
objects full of identity: how much of it is where it was? The peers live in an environment of
their own, which is made at ``--peers-venv`` when it is missing.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import httpx
from stand.identified import survivors, table_tags, write_objects
from stand.studies import make_series
from stand.table import machine, middle, print_claims, print_table

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "shared" / "data"
WORKER = HERE / "stand" / "deid_worker.py"
OURS = "isocenter"
ENGINE, TWO = "isocenter, engine alone", "isocenter, 2 processes"
OWN = (OURS, ENGINE)
PYTHON_PEERS = ("dicom-anonymizer", "dicom-anonymizer, newest table", "deid", "dicognito")
#: "The fastest complete Python tool".
COMPLETE = ("dicom-anonymizer", "dicom-anonymizer, newest table")
ORTHANC_PORT, FILES, QUICK_FILES = 8987, 74, 24
MANY_FILES = 1500


def peers_environment(folder: Path) -> Path:
    """The interpreter that has the Python peers; made where it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        requirements = HERE / "deid-requirements.txt"
        command = [str(python), "-m", "pip", "install", "-q", "-r", str(requirements)]
        subprocess.run(command, check=True)
    return python


class Spent(NamedTuple):
    """Seconds by the clock, and of a processor; nan where that cannot be told."""

    seconds: float
    cpu: float = math.nan


class Tool:
    """Something that de-identifies files into a folder."""

    def __init__(self, name: str, python: Path | None = None) -> None:
        self.name = name
        self._python = python or Path(sys.executable)

    def run(self, files: list[Path], out: Path) -> Spent:
        """What the files took."""
        command = [str(self._python), str(WORKER), self.name, str(out), *map(str, files)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stderr[-500:]}")
        return Spent(**json.loads(done.stdout.strip().splitlines()[-1]))


class Dcmodify(Tool):
    """DCMTK's dcmodify, told every attribute of Table E.1-1; it has no profile of its own."""

    def __init__(self) -> None:
        super().__init__("dcmodify")

    def run(self, files: list[Path], out: Path) -> Spent:
        copies = [Path(shutil.copy(path, out)) for path in files]
        kept = {0x0020000D, 0x0020000E, 0x00080018}
        erase = [f"-ea=({t >> 16:04x},{t & 0xFFFF:04x})" for t in table_tags() if t not in kept]
        erase = [part for one in erase for part in one.split("=", 1)]
        began = time.perf_counter()
        subprocess.run(
            ["dcmodify", "-nb", "-imt", "-ep", "-gst", "-gse", "-gin", *erase, *map(str, copies)],
            check=False,
            capture_output=True,
        )
        return Spent(time.perf_counter() - began)


class Orthanc(Tool):
    """Orthanc's anonymize, DICOM edition 2023b, on a server without authentication."""

    def __init__(self, folder: Path) -> None:
        super().__init__("Orthanc")
        configuration = {
            "StorageDirectory": str(folder),
            "IndexDirectory": str(folder),
            "HttpPort": ORTHANC_PORT,
            "DicomServerEnabled": False,
            "AuthenticationEnabled": False,
            "RemoteAccessAllowed": False,
        }
        path = folder / "orthanc.json"
        path.write_text(json.dumps(configuration))
        log = (folder / "log").open("w")
        self._process = subprocess.Popen(["Orthanc", str(path)], stdout=log, stderr=log)
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{ORTHANC_PORT}", timeout=60)
        self._wait()

    def _wait(self) -> None:
        for _ in range(100):
            try:
                self._client.get("/system").raise_for_status()
                return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise RuntimeError("Orthanc does not answer")

    def run(self, files: list[Path], out: Path) -> Spent:
        seconds = 0.0
        for path in files:
            answer = self._client.post("/instances", content=path.read_bytes())
            answer.raise_for_status()
            identifier = answer.json()["ID"]
            began = time.perf_counter()
            made = self._client.post(f"/instances/{identifier}/anonymize", json={"Force": True})
            made.raise_for_status()
            (out / path.name).write_bytes(made.content)
            seconds += time.perf_counter() - began
            self._client.delete(f"/instances/{identifier}")
        return Spent(seconds)

    def stop(self) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(30)


def slices(folder: Path | None, workspace: Path, count: int) -> list[Path]:
    """CT slices of this folder, else of the reference data, else made for this."""
    chosen = folder or DATA / "ct_chest_ACRIN" / "image"
    found = sorted(chosen.glob("*.dcm"))[:count]
    if found:
        return found
    return list(make_series(workspace, "CT", count=count, size=512, modality="CT").paths)


def measure(
    tools: list[Tool], files: list[Path], rounds: int, workspace: Path
) -> dict[str, list[Spent]]:
    """Files per second of each tool, round by round; the tools take turns."""
    found: dict[str, list[Spent]] = defaultdict(list)
    for number in range(rounds):
        for tool in tools:
            out = workspace / "out"
            out.mkdir()
            speed = Spent(*(len(files) / spent for spent in tool.run(files, out)))
            found[tool.name].append(speed)
            shutil.rmtree(out)
            print(
                f"round {number + 1}: {tool.name} {speed.seconds:.1f}/s, {speed.cpu:.1f}/cpu s",
                file=sys.stderr,
            )
    return found


def left(tools: list[Tool], workspace: Path) -> dict[str, dict[str, str]]:
    """By tool and place: how many planted values are where they were."""
    objects = write_objects(workspace)
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for tool in tools:
        for place, path in objects.items():
            out = workspace / "left"
            out.mkdir()
            try:
                tool.run([path], out)
                planted, survived = survivors(path, out / path.name)
                found[tool.name][place] = f"{survived} of {planted}"
            except (OSError, RuntimeError, httpx.HTTPError) as error:
                print(f"{tool.name}, {place}: {error}", file=sys.stderr)
                found[tool.name][place] = "fails"
            shutil.rmtree(out)
    return found


def middles(found: dict[str, list[Spent]]) -> dict[str, Spent]:
    """The median of each tool."""
    return {
        name: Spent(*(middle(list(values)) for values in zip(*rounds, strict=True)))
        for name, rounds in found.items()
    }


def scale(workspace: Path) -> dict[str, Spent]:
    """Files per second by one process and by two, where starting them no longer counts."""
    series = make_series(workspace / "many", "CT", count=MANY_FILES, size=128, modality="CT")
    tools = [Tool(OURS), Tool(TWO)]
    return middles(measure(tools, list(series.paths), 3, workspace))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer files, one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers-venv", type=Path, default=HERE.parent / ".bench-venv" / "deid")
    parser.add_argument("folder", nargs="?", type=Path)
    options = parser.parse_args()
    print(f"deid: {machine()}")
    python = peers_environment(options.peers_venv)
    tools = [Tool(name) for name in OWN] + [Tool(name, python) for name in PYTHON_PEERS]
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as folder:
        workspace = Path(folder)
        if shutil.which("dcmodify"):
            tools.append(Dcmodify())
        orthanc = None
        if shutil.which("Orthanc"):
            (workspace / "orthanc").mkdir()
            orthanc = Orthanc(workspace / "orthanc")
            tools.append(orthanc)
        try:
            count = QUICK_FILES if options.quick else FILES
            files = slices(options.folder, workspace, count)
            speed = measure(tools, files, 1 if options.quick else options.rounds, workspace)
            remains = left(tools, workspace)
            scaling = None if options.quick else scale(workspace)
        finally:
            if orthanc is not None:
                orthanc.stop()
    report(speed, remains, len(files))
    if scaling:
        one = scaling[OURS]
        rows = [
            (n, each.seconds, each.seconds / one.seconds, each.cpu) for n, each in scaling.items()
        ]
        columns = ("tool", "files/s", "x one", "files/cpu s")
        print_table(f"{MANY_FILES} small CT slices, with cores", columns, rows)
    return 0


def report(speed: dict[str, list[Spent]], remains: dict[str, dict[str, str]], files: int) -> None:
    each = middles(speed)
    rows = [
        (name, one.seconds, one.seconds / each[OURS].seconds, one.cpu) for name, one in each.items()
    ]
    title = f"{files} CT slices, median of {len(speed[OURS])} rounds"
    print_table(title, ("tool", "files/s", "x ours", "files/cpu s"), rows)
    places = list(next(iter(remains.values())))
    print_table(
        "Planted values that are where they were",
        ("tool", *places),
        [(name, *(found[place] for place in places)) for name, found in remains.items()],
    )
    # By processor time: one process each, and a busy machine does not count.
    ours, engine = each[OURS].cpu, each[ENGINE].cpu
    peer = max(each[name].cpu for name in COMPLETE)
    claims = [
        ("all rules, one process / dicom-anonymizer", engine / peer, 2.0),
        ("and searched, synced, reported / dicom-anonymizer", ours / peer, 1.5),
        ("nothing left", float(all(n.startswith("0 of") for n in remains[OURS].values())), 1.0),
    ]
    print_claims(claims)


if __name__ == "__main__":
    raise SystemExit(main())
