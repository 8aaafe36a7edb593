"""The commands around routes: what they print, in tables and as JSON, and how they fail."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from isocenter.apps.routing import queries, services
from isocenter.apps.routing.models import Run
from isocenter.cli.main import build
from isocenter.core.phantoms import head_phantom

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cli(installation):
    """Runs a command on this test's installation; (exit code, stdout, stderr)."""

    def run(*arguments: str, stdin: str = ""):
        from isocenter.core.errors import IsocenterError

        result = CliRunner().invoke(
            build([arguments[0]]), [*arguments], input=stdin,
            env={"ISOCENTER_DATA_DIR": str(installation.root)},
        )  # fmt: skip
        if result.exception and not isinstance(result.exception, SystemExit):
            assert isinstance(result.exception, IsocenterError), result.exception
            return 1, result.stdout, str(result.exception)
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def routes_file(tmp_path):
    path = tmp_path / "routes.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "nodes": [{"name": "out", "kind": "folder", "folder": str(tmp_path / "out")}],
                "pipelines": [
                    {
                        "name": "p",
                        "steps": [
                            {"step": "select", "with": {"requires": ["MR"]}},
                            {"step": "deliver", "with": {"what": "originals"}},
                        ],
                    }
                ],
                "routes": [{"name": "r", "pipeline": "p", "destinations": ["out"]}],
            }
        )
    )
    return path


@pytest.fixture
def study_uid(tmp_path) -> str:
    from django.utils import timezone

    from isocenter.apps.archive.incoming import FilePayload, Incoming, Origin
    from isocenter.apps.archive.ingest import ingest_records

    phantom = head_phantom(
        "cli", slices=2, rows=16, columns=16, spacing_mm=16, slice_distance_mm=60
    )
    origin = Origin("dimse", "SENDER", "ISOCENTER", "127.0.0.1")
    files = phantom.write(tmp_path / "phantom")
    ingest_records([Incoming(FilePayload(p), origin, timezone.now()) for p in files])
    return str(phantom.study_uid)


def answer(result):
    code, out, err = result
    assert code == 0, out + err
    return json.loads(out)


PACS = ("nodes", "add", "pacs", "--host", "10.0.0.5", "--port", "104", "--ae-title", "PACS")


def test_rights_of_a_node(cli):
    row = answer(cli(*PACS, "--allow", "retrieve, query", "--commit", "--json"))
    assert (row["allows"], row["wants_commitment"]) == (["query", "retrieve"], True)
    row = answer(cli(*PACS, "--allow", "", "--json"))
    assert (row["allows"], row["wants_commitment"]) == ([], False)
    assert answer(cli(*PACS, "--json"))["allows"] == ["store"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--allow", "everything"), "--allow: "),
        (("--demand", "password"), "--demand: "),
        (("--demand", "tls"), "--demand: "),
    ],
)
def test_what_is_wrong_with_rights_is_told_at_its_option(cli, options, told):
    code, _, err = cli(*PACS, *options)
    assert (code, told in err) == (1, True), err


def test_a_dicomweb_service(cli):
    web = ("nodes", "add", "cloud", "--url", "https://pacs.example/dicom-web")
    row = answer(cli(*web, "--username", "me", "--secret-file", "-", "--json", stdin="a word\n"))
    assert (row["kind"], row["username"], row["has_secret"]) == ("dicomweb", "me", True)
    assert "a word" not in json.dumps(row)
    code, _, err = cli("nodes", "add", "cloud", "--url", "ftp://pacs.example")
    assert (code, "--url: " in err) == (1, True), err


def test_nodes(cli, tmp_path):
    folder = tmp_path / "there"
    assert answer(cli("nodes", "list", "--json")) == []
    row = answer(cli("nodes", "add", "there", "--folder", str(folder), "--json"))
    assert (row["name"], row["kind"], row["folder"]) == ("there", "folder", str(folder))
    assert answer(cli("nodes", "test", "there", "--json"))["ok"] is True
    assert folder.is_dir()

    code, _, err = cli("nodes", "add", "pacs", "--host", "127.0.0.1")
    assert code == 1
    assert "--ae-title: " in err
    assert "--port: " in err, "everything that is missing at once"
    answer(cli("nodes", "add", "pacs", "--host", "127.0.0.1", "--port", "1", "--ae-title", "PACS",
               "--json"))  # fmt: skip
    code, out, _ = cli("nodes", "test", "pacs", "--json")
    assert code == 1
    assert json.loads(out)["ok"] is False

    code, _, err = cli("nodes", "test", "pac")
    assert code == 1
    assert "did you mean pacs?" in err
    assert cli("nodes", "remove", "pacs")[0] == 0
    assert [row["name"] for row in answer(cli("nodes", "list", "--json"))] == ["there"]


def test_a_node_that_a_route_names_stays(cli, routes_file):
    answer(cli("routes", "apply", str(routes_file), "--json"))
    code, _, err = cli("nodes", "remove", "out")
    assert code == 1
    assert "destination of r" in err


def test_routes(cli, routes_file):
    changes = answer(cli("routes", "apply", str(routes_file), "--json"))
    assert [row["change"] for row in changes] == ["made"] * 3
    assert cli("routes", "disable", "r", "--reason", "for a test")[0] == 0
    (row,) = [r for r in answer(cli("routes", "list", "--json")) if r["name"] == "r"]
    assert (row["enabled"], row["disabled_reason"]) == (False, "for a test")
    assert cli("routes", "enable", "r")[0] == 0
    shown = answer(cli("routes", "show", "r", "--json"))
    assert [step["step"] for step in shown["steps"]] == ["select", "deliver"]
    exported = cli("routes", "export", "r")[1]
    again = answer(cli("routes", "apply", "-", "--json", stdin=exported))
    assert {row["change"] for row in again} == {"as it was"}


def test_a_wrong_file_is_explained(cli, routes_file):
    routes_file.write_text(routes_file.read_text().replace("requires", "require"))
    code, _, err = cli("routes", "check", str(routes_file))
    assert code == 1
    assert "pipelines[0].steps[0].with.require" in err
    assert "did you mean requires?" in err
    code, out, _ = cli("routes", "check", "--offline", str(routes_file), "--json")
    assert code == 1
    assert json.loads(out)[0]["path"] == "pipelines[0].steps[0].with.require"
    assert cli("routes", "apply", str(routes_file))[0] == 1


def test_a_dry_run_says_why(cli, routes_file, study_uid):
    condition = """name: r
  condition: Modality == "MR"
"""
    text = routes_file.read_text().replace("name: r\n", condition)
    routes_file.write_text(text)
    answer(cli("routes", "apply", str(routes_file), "--json"))
    rows = answer(cli("routes", "test", "r", "--study", study_uid, "--json"))
    assert rows[0]["matched"] is False
    assert "Modality is" in rows[0]["reason"]
    assert answer(cli("runs", "list", "--json")) == []


def test_runs_and_quarantine(cli, routes_file, study_uid, tmp_path):
    from isocenter.apps.archive.services import force_complete
    from isocenter.apps.routing.execution import execute

    answer(cli("routes", "apply", str(routes_file), "--json"))
    force_complete(study_uid)
    (row,) = answer(cli("runs", "list", "--study", study_uid, "--json"))
    assert (row["state"], row["route"], row["revision"]) == ("queued", "r", 1)
    assert answer(cli("runs", "prioritise", row["id"], "7", "--json"))["priority"] == 7
    execute(Run.objects.get().pk)

    detail = answer(cli("runs", "show", row["id"][:8], "--json"))
    assert detail["state"] == "failed"
    assert detail["reason"] == "the study has no MR"
    assert [step["state"] for step in detail["steps"]] == ["failed", "pending"]
    assert "select" in cli("runs", "show", row["id"], "--log")[1]
    assert "no MR" in cli("runs", "show", row["id"])[1]

    (item,) = answer(cli("quarantine", "list", "--json"))
    assert (item["kind"], item["study_uid"], item["run"]) == ("run", study_uid, row["id"])
    files = answer(cli("quarantine", "show", item["id"], "--json"))["files"]
    assert len([name for name in files if name.startswith("originals/")]) == 3
    target = tmp_path / "export.zip"
    assert answer(cli("quarantine", "export", item["id"], str(target), "--json"))["files"] == 4
    (tried,) = answer(cli("quarantine", "retry", item["id"], "--json"))
    assert tried["state"] == "retrying"
    execute(Run.objects.get().pk)
    (again,) = answer(cli("quarantine", "list", "--json"))
    assert (again["id"], again["attempts"], again["state"]) == (item["id"], 2, "held")
    assert answer(cli("quarantine", "release", item["id"], "--json"))["state"] == "released"
    assert answer(cli("quarantine", "list", "--json")) == []
    assert len(answer(cli("quarantine", "list", "--all", "--json"))) == 1
    assert cli("quarantine", "delete", item["id"], "--yes")[0] == 1

    started = answer(cli("runs", "start", "--study", study_uid, "--route", "r", "--json"))
    assert answer(cli("runs", "cancel", started["id"], "--json"))["state"] == "cancelled"
    code, _, err = cli("runs", "cancel", started["id"])
    assert code == 1
    assert "cancelled already" in err


def test_start_wants_one_of_route_and_pipeline(cli, study_uid):
    assert cli("runs", "start", "--study", study_uid)[0] == 2


def test_what_is_not_there_is_said_without_a_trace(cli):
    for command in (
        ["runs", "show", "abcdef12"],
        ["quarantine", "show", "abcdef12"],
        ["routes", "show", "nothing"],
        ["runs", "start", "--study", "1.2", "--route", "r"],
    ):
        code, _, err = cli(*command)
        assert code == 1
        assert "Traceback" not in err
        assert "no " in err


def test_import_of_a_netrt_file(cli, tmp_path):
    source = tmp_path / "config.yaml"
    source.write_text("dicom_destination: {ip: 10.1.1.1, port: 104, ae_title: PACS}\nx: 1\n")
    out = tmp_path / "out"
    code, _said, err = cli("config", "import-netrt", str(source), "--out", str(out))
    assert code == 0
    assert "x: not taken" in err
    names = ["isocenter.yaml", "project.yaml", "routes.yaml"]  # NETRT anonymises unless told not
    assert sorted(path.name for path in out.iterdir()) == names
    code, _, err = cli("routes", "apply", str(out / "routes.yaml"))
    assert code == 1
    assert "there is no project 'netrt'" in err
    assert cli("deid-project", "create", "netrt", "--from", str(out / "project.yaml"))[0] == 0
    answer(cli("routes", "apply", str(out / "routes.yaml"), "--json"))
    route = queries.route("netrt")
    assert route.enabled
    assert route.deidentified_only
    assert cli("config", "import-netrt", str(source), "--out", str(out))[0] == 1
    printed = cli("config", "import-netrt", str(source))[1]
    services.check_yaml(printed)
    one = tmp_path / "all.yaml"
    assert cli("config", "import-netrt", str(source), "--out", str(one))[0] == 0
    assert one.with_name("all.project.yaml").read_text() == (out / "project.yaml").read_text()
