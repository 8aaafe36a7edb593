"""Projects of de-identification through the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isocenter.apps.audit.models import Event
from isocenter.apps.deid.models import MapEntry, Project
from isocenter.apps.routing.models import Pipeline

Caller = Any

LIST = "PatientID,Pseudonym\nSECRET-4711,TRIAL-1\nSECRET-4712,TRIAL-2\nSECRET-4713,TRIAL-3\n"


def test_a_project_lives(admin: Caller) -> None:
    made = admin.post("projects", {"name": "trial", "document": {"dates": "shift"}})
    assert made.status_code == 201, made.content
    found = made.json()
    assert (found["version"], found["document"]["dates"]) == (1, "shift")
    assert found["created_by"] == "a-administrator"
    assert [row["name"] for row in admin.get("projects").json()["items"]] == ["trial"]
    wanted = {"document": {"dates": "keep"}, "version": 1, "description": "d"}
    changed = admin.put("projects/trial", wanted).json()
    assert (changed["version"], changed["description"]) == (2, "d")
    late = admin.put("projects/trial", wanted)
    assert late.status_code == 409
    changes = admin.get("projects/trial/changes").json()["items"]
    assert [row["change"] for row in changes] == ["changed", "made"]
    assert changes[1]["document"]["dates"] == "shift"
    assert admin.delete("projects/trial").status_code == 204
    assert admin.get("projects/trial").status_code == 404
    first = admin.get("projects/trial/changes", limit=2).json()
    assert [row["change"] for row in first["items"]] == ["removed", "changed"]
    last = admin.get("projects/trial/changes", limit=2, cursor=first["next"]).json()
    assert ([row["change"] for row in last["items"]], last["next"]) == (["made"], None)
    assert admin.get("projects/never/changes").status_code == 404
    kinds = set(Event.objects.values_list("kind", "actor"))
    assert ("PROJECT_CHANGED", "a-administrator") in kinds


def test_a_project_says_in_words_what_leaves(admin: Caller) -> None:
    admin.post("projects", {"name": "trial"})
    words = admin.get("projects/trial").json()["in_words"]
    fates = {topic["title"]: topic["fate"] for topic in words["topics"]}
    assert fates["Patient's name"] == "changed"
    assert fates["Birth date"] == "goes"
    assert fates["Maker and model"] == "stays"
    assert words["held"]
    assert words["warnings"]


def test_what_is_wrong_is_said_by_key(admin: Caller) -> None:
    def problems(document: dict[str, Any], name: str = "trial") -> list[str]:
        answer = admin.post("projects", {"name": name, "document": document})
        assert answer.status_code == 422, answer.content
        return [problem["path"] for problem in answer.json()["problems"]]

    assert problems({"rules": "rules:\n- {tags: PatientNme, action: remove}\n"}) == ["rules"]
    assert problems({"pseudonyms": {"kind": "pattern", "pattern": "x"}}) == ["pseudonyms.pattern"]
    assert problems({"whole_weeks": True}) == ["whole_weeks"]
    assert problems({}, "a b") == ["name"]
    assert problems({"dates": "sometimes"})[0].endswith("document.dates")
    assert problems({"datez": "keep"})[0].endswith("document.datez")
    assert not Project.objects.exists()


def test_what_becomes_of_an_attribute(admin: Caller) -> None:
    admin.post("projects", {"name": "trial"})
    told = admin.get("projects/trial/explain", attribute="0010,0030").json()
    assert (told["keyword"], told["outcomes"][0]["text"]) == ("PatientBirthDate", "emptied")
    assert told["lines"]
    none = admin.get("projects/trial/explain", attribute="PatientBirhtDate").json()
    assert none["tag"] == ""
    assert "PatientBirthDate" in none["suggestions"]
    assert admin.get("projects/trial/explain").status_code == 422
    assert admin.get("projects/trial/explain", attribut="x", attribute="y").status_code == 422


def test_a_map_goes_in_is_asked_and_goes_out(admin: Caller) -> None:
    admin.post("projects", {"name": "trial"})
    assert admin.post("projects/trial/import", LIST).json() == {"added": 3, "known": 0}
    again = admin.post("projects/trial/import", LIST)
    assert again.json() == {"added": 0, "known": 3}
    wrong = admin.post("projects/trial/import", LIST.replace("TRIAL-2", "TRIAL-1"))
    assert wrong.status_code == 422
    assert "SECRET" not in wrong.content.decode()
    first = admin.get("projects/trial/pseudonyms", limit=2).json()
    assert [row["pseudonym_id"] for row in first["items"]] == ["TRIAL-3", "TRIAL-2"]
    second = admin.get("projects/trial/pseudonyms", limit=2, cursor=first["next"]).json()
    assert [row["pseudonym_id"] for row in second["items"]] == ["TRIAL-1"]
    assert second["next"] is None
    assert admin.get("projects/trial/pseudonyms", cursor="nonsense").status_code == 400
    (found,) = admin.post("projects/trial/look-up", {"pseudonym": "TRIAL-2"}).json()["items"]
    assert (found["patient_id"], found["origin"]) == ("SECRET-4712", "given")
    (back,) = admin.post("projects/trial/look-up", {"patient_id": "SECRET-4711"}).json()["items"]
    assert back["pseudonym_id"] == "TRIAL-1"
    assert admin.post("projects/trial/look-up", {}).status_code == 422
    assert "SECRET-4713" in admin.get("projects/trial/export").content.decode()
    assert len(bytes.fromhex(admin.get("projects/trial/secret").json()["secret"])) == 32
    assert all("SECRET-" not in str(event.detail) for event in Event.objects.all())


def test_whose_a_pseudonym_is_is_another_right(caller: Callable[..., Caller]) -> None:
    staff = caller("staff")
    staff.post("projects", {"name": "trial"})
    for _ in range(2):
        assert staff.post("projects/trial/import", LIST).json() == {"entries": 3}
    wrong = staff.post("projects/trial/import", LIST.replace("TRIAL-2", "TRIAL-1", 1))
    assert wrong.status_code == 422
    assert b"entry 2" not in wrong.content
    text = staff.get("projects/trial/pseudonyms").content + staff.get("projects/trial").content
    assert b"SECRET" not in text
    assert staff.post("projects/trial/look-up", {"pseudonym": "TRIAL-1"}).status_code == 403
    assert staff.get("projects/trial/export").status_code == 403
    assert staff.get("projects/trial/secret").status_code == 403
    narrow = caller("administrator", scopes=["reidentify"])
    assert narrow.post("projects/trial/look-up", {"pseudonym": "TRIAL-1"}).status_code == 200
    assert narrow.get("projects").status_code == 403


def test_a_project_that_a_pipeline_names_stays(admin: Caller) -> None:
    admin.post("projects", {"name": "trial"})
    step = {"step": "deidentify", "with": {"project": "trial"}}
    Pipeline.objects.create(name="to-trial", steps=[step])
    assert admin.get("projects/trial").json()["pipelines"] == ["to-trial"]
    answer = admin.delete("projects/trial")
    assert answer.status_code == 422
    assert "to-trial" in answer.json()["error"]
    assert MapEntry.objects.count() == 0


def test_the_description_of_the_api_has_the_document(admin: Caller) -> None:
    described = admin.get("openapi.json").json()
    schemas = described["components"]["schemas"]
    assert {"options", "dates", "pixels", "pseudonyms"} <= set(
        schemas["ProjectDocument"]["properties"]
    )
    assert described["paths"]["/api/v1/projects/{name}/look-up"]["post"]["description"]
