"""One tool that de-identifies files, in a process of its own, by the tool's own Python interface.

    python deid_worker.py TOOL OUT FILE ...

Writes OUT/<name of the file> and prints how many seconds the files took, imports left out, and how
many of them a processor worked (all processes together). Runs in the environment of the peers as
well, so it imports nothing of ours but for our own tools.
"""

from __future__ import annotations

import json
import logging
import resource
import shutil
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

Run = Callable[[list[Path], Path], None]


def dicom_anonymizer(newest: bool) -> Run:
    from dicomanonymizer import anonymize_dicom_file
    from dicomanonymizer.simpledicomanonymizer import initialize_actions

    version = "dicomfields_2026c" if newest else "dicomfields_2023"

    def run(files: list[Path], out: Path) -> None:
        for path in files:
            anonymize_dicom_file(
                str(path), str(out / path.name), base_rules_gen=lambda: initialize_actions(version)
            )

    return run


def deid() -> Run:
    from deid.dicom import get_identifiers, replace_identifiers

    def run(files: list[Path], out: Path) -> None:
        names = [str(path) for path in files]
        replace_identifiers(
            names,
            ids=get_identifiers(names),
            save=True,
            overwrite=True,
            output_folder=str(out),
            remove_private=True,
        )

    return run


def dicognito() -> Run:
    import pydicom
    from dicognito.anonymizer import Anonymizer

    def run(files: list[Path], out: Path) -> None:
        anonymizer = Anonymizer(seed="bench")
        for path in files:
            dataset = pydicom.dcmread(path)
            anonymizer.anonymize(dataset)
            dataset.save_as(out / path.name)

    return run


def isocenter_engine() -> Run:
    """The header engine by itself: every rule, cleaned text, no verifier."""
    from isocenter.core.deid.engine import Context, deidentify_object
    from isocenter.core.deid.policy import Option, Policy
    from isocenter.core.deid.proof.identifiers import collect
    from isocenter.core.deid.pseudonyms.issuing import PatientAlias
    from isocenter.core.deid.pseudonyms.secrets import Secret
    from isocenter.core.deid.text.descriptors import Cleaner

    def run(files: list[Path], out: Path) -> None:
        policy = Policy(frozenset([Option.CLEAN_DESCRIPTORS]))
        found = collect(files)
        context = Context(
            Secret(b"benchmark" * 4),
            policy,
            PatientAlias("ANON0001", "ANON^0001", -100),
            found,
            Cleaner(found, policy=policy),
        )
        for path in files:
            result = deidentify_object(path, out / path.name, context, durable=False)
            assert result.refused is None, result.refused

    return run


def isocenter_study(processes: int) -> Run:
    """Everything: what identifies is collected, all rules, the verifier, the report."""
    from isocenter.core.deid.policy import Option, Policy
    from isocenter.core.deid.pseudonyms.issuing import KeyedPseudonyms
    from isocenter.core.deid.pseudonyms.secrets import Secret
    from isocenter.core.deid.study import deidentify_study

    def run(files: list[Path], out: Path) -> None:
        secret, policy = Secret(b"benchmark" * 4), Policy(frozenset([Option.CLEAN_DESCRIPTORS]))
        report = deidentify_study(
            files, out / "study", policy, secret, KeyedPseudonyms(secret), processes=processes
        )
        written = sorted((out / "study").rglob("*.dcm"))
        assert len(written) == len(files), report
        if len(files) == 1:
            shutil.copy(written[0], out / files[0].name)

    return run


TOOLS: dict[str, Callable[[], Run]] = {
    "isocenter": lambda: isocenter_study(1),
    "isocenter, 2 processes": lambda: isocenter_study(2),
    "isocenter, engine alone": isocenter_engine,
    "dicom-anonymizer": lambda: dicom_anonymizer(newest=False),
    "dicom-anonymizer, newest table": lambda: dicom_anonymizer(newest=True),
    "deid": deid,
    "dicognito": dicognito,
}


def main() -> None:
    tool, out, *files = sys.argv[1:]
    run = TOOLS[tool]()
    began, worked = time.perf_counter(), _worked()
    run([Path(path) for path in files], Path(out))
    spent = {"seconds": time.perf_counter() - began, "cpu": _worked() - worked}
    print(json.dumps(spent), file=sys.__stdout__)


def _worked() -> float:
    """CPU seconds of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
