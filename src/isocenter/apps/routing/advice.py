"""What a person can do about something that failed."""

from __future__ import annotations

import re

from isocenter.apps.routing.models import QuarantineItem, Run, RunStep

# What a reason says → what mends it; the first that fits.
_KNOWN: tuple[tuple[str, str], ...] = (
    (
        r"no RTSTRUCT|no structure set belongs",
        "Send the structure set: the study then runs by itself. Where studies without one are "
        "normal, set on_missing_rtstruct: skip in the pipeline, or ask for one in the route.",
    ),
    (
        r"no ROI is left",
        "Look at which ROIs the contours step leaves out (choice), or set on_no_roi: skip.",
    ),
    (r"the study has no \w", "Send what is missing, or change the select step of the pipeline."),
    (r"is switched off", "Switch the node on, then try again."),
    (r"there is no node", "Make the node, or take it out of the route, then try again."),
    (
        r"return-to-sender",
        "Make a node with the sender's AE title, host and port; then try again.",
    ),
    (
        r"verifier found|must not leave",
        "Something that identifies is still there, at the places named. Change the project (its "
        "rules, options or private attributes) so that it goes, then retry from deidentify.",
    ),
    (
        r"since this run de-identified|what was searched|was not de-identified|searched now",
        "Retry the run from its step deidentify.",
    ),
    (
        r"project \S+ cannot be used|there is no project",
        "Look at the project and its keys, or name another one in the pipeline; then try again.",
    ),
    (
        r"of it was refused|of its objects were refused|of it cannot be read",
        "Look at the reasons. Where such objects may stay behind, set on_refused: skip in the "
        "step deidentify; else let the project's options take them.",
    ),
    (r"different patients", "Mend the study at its source and send it again."),
    (
        r"nothing identified may leave",
        "The route says that nothing identified leaves by it. Give it a pipeline that "
        "de-identifies before it delivers, and start the study by it.",
    ),
    (
        r"memory",
        "Give steps more memory (workers.step_memory_mb in the settings), then try again.",
    ),
    (
        r"longer than|time.?out|timed out",
        "Give more time (workers.step_timeout_s for steps, the node's own for sending).",
    ),
    (
        r"replaced by newer",
        "Nothing: the newer revision of the study has its own run.",
    ),
    (
        r"interrupted \d+ times",
        "The worker itself ended each time; the application log says why.",
    ),
    (
        r"did not answer|cannot be reached|[Cc]onnection|unreachable|no route to host",
        "Look whether the node answers (Nodes, Test now); then try again.",
    ),
    (
        r"refused|rejected|not accepted|0x[0-9A-Fa-f]{4}",
        "Ask the administrator of the receiving system what it says to this; then try again.",
    ),
    (r"another data set", "Compare the two; keep one, and delete this one if it is not needed."),
)


def for_reason(reason: str) -> str:
    """What mends this; empty where nothing is known of it."""
    for pattern, text in _KNOWN:
        if re.search(pattern, reason):
            return text
    return ""


def for_run(run: Run, failed: RunStep | None) -> list[str]:
    """What can be done about a run that failed, in the order in which it is worth trying."""
    known = for_reason(run.reason)
    found = [known] if known else []
    if run.reason.startswith("internal error"):
        found.append("This is a fault of Isocenter. Retry once; if it stays, report the trace.")
    if failed is not None:
        found.append(f"Retry from {failed.name}: what the steps before it made is kept.")
    else:
        found.append("Retry: what the steps made is kept.")
    return found


def for_item(item: QuarantineItem) -> list[str]:
    """What can be done about something in quarantine."""
    known = for_reason(item.reason)
    found = [known] if known else []
    match item.kind:
        case QuarantineItem.Kind.RUN:
            found.append("Retry: the run goes on where it failed.")
            found.append("Release: nothing more is done. The study stays, and what was made.")
        case QuarantineItem.Kind.DELIVERY:
            found.append("Retry: what was not sent is sent, with all its attempts.")
            found.append("Release: it is not sent. What was made stays with its run.")
        case _:
            found.append("Retry: it is taken in once more, by the same rules.")
            found.append(
                "Export, then delete: the quarantine has the only copy of this instance, "
                "so it cannot be released."
            )
    return found
