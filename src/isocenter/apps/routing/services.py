"""What can be done with routing; other apps and the command line meet it here."""

from __future__ import annotations

from isocenter.apps.routing.committing import wake as wake_delivery
from isocenter.apps.routing.definitions import (
    Change,
    apply_yaml,
    check_yaml,
    export_yaml,
    pipeline_document,
    route_document,
)
from isocenter.apps.routing.editing import (
    ChangedMeanwhile,
    move,
    remove,
    reorder,
    restore,
    save,
    set_enabled,
)
from isocenter.apps.routing.evaluation import evaluate, start_run
from isocenter.apps.routing.forgetting import drop_outputs
from isocenter.apps.routing.forgetting import forget as forget_study
from isocenter.apps.routing.quarantine_control import (
    delete as delete_quarantined,
)
from isocenter.apps.routing.quarantine_control import (
    export as export_quarantined,
)
from isocenter.apps.routing.quarantine_control import (
    release as release_quarantined,
)
from isocenter.apps.routing.quarantine_control import (
    retry as retry_quarantined,
)
from isocenter.apps.routing.quarantining import (
    quarantine_delivery,
    quarantine_instance,
    quarantine_run,
)
from isocenter.apps.routing.run_control import (
    cancel_run,
    prioritise,
    rerun,
    retry_delivery,
    retry_run,
    start,
)
from isocenter.apps.routing.sending_rights import require_again, require_repeat, require_start

__all__ = [
    "Change",
    "ChangedMeanwhile",
    "apply_yaml",
    "cancel_run",
    "check_yaml",
    "delete_quarantined",
    "drop_outputs",
    "evaluate",
    "export_quarantined",
    "export_yaml",
    "forget_study",
    "move",
    "pipeline_document",
    "prioritise",
    "quarantine_delivery",
    "quarantine_instance",
    "quarantine_run",
    "release_quarantined",
    "remove",
    "reorder",
    "require_again",
    "require_repeat",
    "require_start",
    "rerun",
    "restore",
    "retry_delivery",
    "retry_quarantined",
    "retry_run",
    "route_document",
    "save",
    "set_enabled",
    "start",
    "start_run",
    "wake_delivery",
]
