"""Pages of projects: the list, the policy and its meaning, look-ups, lists in and out, history."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

from isocenter.apps.accounts.models import Group, User
from isocenter.apps.audit.models import Event
from isocenter.apps.deid import services
from isocenter.apps.deid.documents import ProjectDocument
from isocenter.apps.deid.models import MapEntry, Project
from isocenter.apps.routing.models import Pipeline
from isocenter.runtime.deid_keys import key_file
from signed_in import browser, text_of

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
LIST = "PatientID,Pseudonym,PseudonymName\nSECRET-4711,TRIAL-1,Trial One\nSECRET-4712,TRIAL-2,\n"
RULES = "rules:\n  - tags: PatientNme\n    action: remove\n  - tags: PatientID\n    action: fly\n"


def given(**values):
    return {
        "name": "trial",
        "description": "Lung trial",
        "dates": "remove",
        "pixels": "off",
        "faces": "ignore",
        "documents": "refuse",
        "whole_studies": "on",
        "pseudonym_kind": "keyed",
        "remember": "on",
        **values,
    }


def file(text, name="list.csv"):
    return {"upload": SimpleUploadedFile(name, text.encode())}


@pytest.fixture
def trial():
    return services.create_project("trial", ProjectDocument(), actor="somebody")


@pytest.fixture
def listed(trial):
    services.import_map("trial", LIST, actor="somebody")
    return trial


def test_an_empty_list_says_what_a_project_is():
    page = text_of(browser("staff").get("/projects/"))
    assert "No projects yet" in page
    assert "/projects/new/" in page


def test_a_project_is_made_with_what_was_chosen():
    client = browser("staff")
    answer = client.post(
        "/projects/new/",
        given(
            retained=["retain-patient-characteristics"],
            cleaned=["clean-descriptors"],
            dates="shift",
            whole_weeks="on",
            keep_ages="on",
            pixels="templates",
            faces="refuse",
            documents="drop",
            pseudonym_kind="pattern",
            pattern="{site}-{counter:03}",
            site="BERN",
            first="7",
            presets=["netrt"],
            private_keep="0019,xx0c SIEMENS MR HEADER\n0029 ACME 1.1\n",
            words="Foxtrot\n\n Golf \n",
            rules="rules:\r\n  - tags: StudyID\r\n    action: keep\r\n",
        ),
    )
    assert answer.headers["Location"] == "/projects/trial/"
    project = Project.objects.get()
    document = ProjectDocument.model_validate(project.document)
    assert (project.description, project.created_by) == ("Lung trial", "a-staff")
    assert document == ProjectDocument(
        options=("clean-descriptors", "retain-patient-characteristics"),
        dates="shift",
        whole_weeks=True,
        keep_ages=True,
        pixels="templates",
        faces="refuse",
        documents="drop",
        presets=("netrt",),
        rules="rules:\n  - tags: StudyID\n    action: keep\n",
        private_keep=(
            {"creator": "SIEMENS MR HEADER", "group": 0x19, "element": 0x0C},
            {"creator": "ACME 1.1", "group": 0x29, "element": None},
        ),
        words=("Foxtrot", "Golf"),
        pseudonyms={
            "kind": "pattern",
            "pattern": "{site}-{counter:03}",
            "site": "BERN",
            "first": 7,
        },
    )
    assert "trial" in text_of(client.get("/projects/"))


def test_what_was_kept_is_what_the_form_shows_and_keeps_again():
    client = browser("staff")
    client.post(
        "/projects/new/",
        given(
            retained=["retain-uids"],
            dates="shift",
            keep_ages="on",
            private_keep="0019,xx0c SIEMENS MR HEADER",
            words="Golf",
            presets=["editor-17"],
            rules="rules:\n- {tags: StudyID, action: keep}\n",
        ),
    )
    before = Project.objects.get().document
    form = client.get("/projects/trial/").context["form"]
    sent = {key: value for key, value in form.initial.items() if value not in (None, False, "")}
    client.post("/projects/trial/", sent)
    project = Project.objects.get()
    assert (project.document, project.version) == (before, 1)


def test_what_a_choice_does_not_use_is_left_out():
    browser("staff").post(
        "/projects/new/", given(whole_weeks="on", keep_ages="on", pattern="x", site="y")
    )
    document = ProjectDocument.model_validate(Project.objects.get().document)
    assert document == ProjectDocument()


def test_mistakes_in_rules_stand_with_their_lines():
    answer = browser("staff").post("/projects/new/", given(rules=RULES))
    assert not Project.objects.exists()
    assert [(p.line, p.text[:12]) for p in answer.context["form"].rule_problems] == [
        (2, "'PatientNme'"),
        (5, "'fly' is no "),
    ]
    page = text_of(answer)
    assert "did you mean PatientName?" in page
    assert 'data-line="2"' in page
    assert "PatientNme" in page, "what was written is not lost"


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"name": "new"}, "name", "address"),
        ({"name": "a b"}, "name", ""),
        ({"dates": "sometimes"}, "dates", ""),
        ({"pseudonym_kind": "pattern", "pattern": "fixed"}, "pattern", "counter"),
        ({"rules": "rules: ["}, "rules", "Line 1: this is no YAML"),
        ({"private_keep": "0010,xx10 ACME"}, "private_keep", "Line 1: 0010 is no private group"),
        ({"private_keep": "\nwhat"}, "private_keep", "Line 2: write group"),
        ({"retained": ["nonsense"]}, "retained", ""),
        ({"description": "x" * 1001}, "description", ""),
    ],
)
def test_what_is_wrong_stands_at_its_field(values, field, said):
    answer = browser("staff").post("/projects/new/", given(**values))
    assert answer.status_code == 200
    errors = answer.context["form"].errors
    assert list(errors) == [field]
    assert said in str(errors[field])
    assert not Project.objects.exists()


def test_a_name_is_taken_once(trial):
    answer = browser("staff").post("/projects/new/", given(name="TRIAL"))
    assert "There is a project TRIAL already" in str(answer.context["form"].errors["name"])


def test_a_project_that_somebody_else_changed_is_not_written_over(trial):
    client = browser("staff")
    services.change_project("trial", ProjectDocument(dates="keep"), version=1, actor="other")
    answer = client.post("/projects/trial/", given(version="1", dates="shift"))
    page = text_of(answer)
    assert "changed by somebody else" in page
    assert "See what it is now" in page
    assert Project.objects.get().document["dates"] == "keep"
    client.post("/projects/trial/", given(version="2", dates="shift"))
    assert Project.objects.get().document["dates"] == "shift"


def test_the_draft_says_in_words_what_is_chosen():
    client = browser("staff")
    plain = text_of(client.post("/projects/-/draft/", given(), headers=HTMX))
    assert "<html" not in plain
    goes = plain.index("Is taken out")
    assert plain.index("Birth date") > goes
    assert plain.index("Names of contours") > goes
    chosen = given(
        name="", retained=["retain-patient-characteristics"], dates="shift", keep_ages="on"
    )
    said = text_of(client.post("/projects/-/draft/", chosen, headers=HTMX))
    goes = said.index("Is taken out")
    assert said.index("<dt>Sex") < said.index("Leaves changed")
    assert said.index("Leaves changed") < said.index("<dt>Birth date") < goes


def test_the_draft_counts_a_rule_that_always_fits_and_names_one_that_may():
    rules = (
        "rules:\n- {name: keep it, tags: StudyID, action: keep}\n"
        "- {name: sometimes, tags: StudyDescription, action: keep, if: {Modality: {equals: CT}}}\n"
        "- {name: all, tags: AccessionNumber, action: hash}\n"
    )
    client = browser("staff")
    said = text_of(client.post("/projects/-/draft/", given(rules=rules), headers=HTMX))
    assert "replaced by a keyed hash" in said
    assert "unless a rule of yours fits: sometimes" in said


def test_a_draft_that_cannot_be_read_says_why():
    client = browser("staff")
    said = text_of(client.post("/projects/-/draft/", given(rules=RULES), headers=HTMX))
    assert "hx-swap-oob" in said
    assert "Line 5" in said
    assert "2 mistakes" in said
    said = text_of(client.post("/projects/-/draft/", {}, headers=HTMX))
    assert "cannot be read yet" in said


@pytest.mark.parametrize(
    ("asked", "tag", "text"),
    [
        ("PatientBirthDate", "(0010,0030)", "emptied"),
        ("patient&#x27;s birth date".replace("&#x27;", "'"), "(0010,0030)", "emptied"),
        ("0010,0030", "(0010,0030)", "emptied"),
        ("(0010, 0010)", "(0010,0010)", "replaced by the patient"),
        ("0019,1010", "(0019,1010)", "private"),
        ("0002,0010", "(0002,0010)", "written anew"),
        ("DeviceSerialNumber", "(0018,1000)", "enhanced MR"),
        ("birth", "", "PatientBirthDate"),
        ("PatientBirhtDate", "", "PatientBirthDate"),
        ("zzzzzzzz", "", "no attribute"),
        ("\0\\'<script>", "", "no attribute"),
        ("", "", ""),
    ],
)
def test_what_becomes_of_an_attribute(asked, tag, text):
    answer = browser("staff").post("/projects/-/attribute/", given(attribute=asked))
    page = text_of(answer)
    assert tag in page
    assert text in page
    assert "<script>" not in page


def test_an_attribute_is_told_by_what_is_chosen_and_not_by_what_is_kept(trial):
    sent = given(attribute="PatientSex", retained=["retain-patient-characteristics"])
    del sent["name"]
    assert "kept" in text_of(browser("staff").post("/projects/-/attribute/", sent))
    wrong = given(attribute="PatientSex", rules=RULES)
    assert "First mend" in text_of(browser("staff").post("/projects/-/attribute/", wrong))


def test_who_somebody_is_is_told_in_place_and_written_down_without_the_patient(listed):
    client = browser("administrator")
    page = text_of(client.get("/projects/trial/patients/"))
    assert "TRIAL-1" in page
    assert "SECRET" not in page
    answer = client.post("/projects/trial/look-up/", {"pseudonym": "TRIAL-1"}, headers=HTMX)
    assert "SECRET-4711" in text_of(answer)
    assert "<html" not in text_of(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    back = client.post("/projects/trial/look-up/", {"patient_id": "SECRET-4712"})
    assert "TRIAL-2" in text_of(back)
    events = Event.objects.filter(kind="PATIENT_LOOKED_UP")
    assert [event.actor for event in events] == ["a-administrator"] * 2
    assert all("SECRET" not in str(event.detail) for event in Event.objects.all())


@pytest.mark.parametrize(
    "asked", [{}, {"pseudonym": "a", "patient_id": "b"}, {"pseudonym": "x" * 65}]
)
def test_a_question_that_is_none(listed, asked):
    answer = browser().post("/projects/trial/look-up/", asked, headers=HTMX)
    assert answer.context["form"].errors["pseudonym"]
    assert not Event.objects.filter(kind="PATIENT_LOOKED_UP").exists()


def test_somebody_unknown_is_nobody(listed):
    page = text_of(browser().post("/projects/trial/look-up/", {"pseudonym": "NOBODY"}))
    assert "Nobody in this project" in page


def test_who_may_look_up_and_no_more_is_led_there(listed):
    client = browser("physician")
    assert "/projects/" not in text_of(client.get("/"))
    Group.objects.create(name="trustees", rights=["reidentify"]).members.add(
        User.objects.get(username="a-physician")
    )
    page = text_of(client.get("/"))
    assert 'href="/projects/-/look-up/"' in page
    assert 'href="/projects/"' not in page
    page = text_of(client.get("/projects/-/look-up/"))
    assert 'href="/projects/trial/look-up/"' in page
    assert "SECRET" not in page
    page = text_of(client.get("/projects/trial/look-up/"))
    assert 'href="/projects/-/look-up/"' in page
    for path in ("/projects/", "/projects/trial/", "/projects/trial/patients/"):
        assert client.get(path).status_code == 403
    assert 'href="/projects/-/look-up/"' not in text_of(browser().get("/"))
    assert browser("staff").get("/projects/-/look-up/").status_code == 403


def test_a_list_is_taken_in_whole_or_not_at_all(trial):
    client = browser("staff")
    page = text_of(client.post("/projects/trial/import/", file(LIST), follow=True))
    assert "2 entries taken in" in page
    page = text_of(client.post("/projects/trial/import/", file(LIST), follow=True))
    assert "2 entries taken in" in page, "whether they were there is another right"
    wrong = LIST.replace("TRIAL-1", "TRIAL-9") + "SECRET-4713,TRIAL-3,\n"
    answer = client.post("/projects/trial/import/", file(wrong))
    page = text_of(answer)
    assert "2 entries contradict the map or are in it" in page
    assert "right reidentify can see which" in page
    assert "another pseudonym" not in page
    assert "SECRET" not in page
    entitled = browser()
    page = text_of(entitled.post("/projects/trial/import/", file(wrong)))
    assert "this patient has another pseudonym here" in page
    page = text_of(entitled.post("/projects/trial/import/", file(LIST), follow=True))
    assert "0 new, 2 known before" in page
    assert MapEntry.objects.count() == 2
    assert "no file" not in page
    assert answer.context["form"].errors["upload"]
    assert client.post("/projects/trial/import/").context["form"].errors["upload"]
    assert client.get("/projects/trial/import/").headers["Location"] == "/projects/trial/patients/"


def test_pseudonyms_of_netrt_are_taken_in(trial):
    text = '{"0123456789abcdef": {"patient_id": "RT_1", "patient_name": "RT_1"}}'
    answer = browser("staff").post("/projects/trial/import/", file(text, "pid_mapping.json"))
    assert answer.status_code in (200, 302)
    if answer.status_code == 200:
        assert answer.context["form"].errors["upload"], "it says what is wrong"


def test_the_map_and_the_secret_go_to_those_with_the_right_alone(listed):
    staff, admin = browser("staff"), browser("administrator")
    for place in ("export", "secret", "look-up"):
        assert staff.post(f"/projects/trial/{place}/").status_code == 403
    page = text_of(staff.get("/projects/trial/patients/"))
    assert "/export/" not in page
    assert "/look-up/" not in page
    answer = admin.post("/projects/trial/export/")
    assert "SECRET-4711" in text_of(answer)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="trial-pseudonyms.csv"'
    assert answer.headers["Cache-Control"] == "no-store"
    lines = text_of(admin.post("/projects/trial/secret/")).splitlines()
    assert len(bytes.fromhex(lines[-1])) == 32
    assert admin.get("/projects/trial/export/").status_code == 405
    kinds = list(Event.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds[-2:] == ["PSEUDONYMS_EXPORTED", "PROJECT_SECRET_EXPORTED"]


def test_the_history_shows_who_changed_what(trial):
    client = browser("staff")
    client.post("/projects/trial/", given(version="1", dates="keep"))
    page = text_of(client.get("/projects/trial/history/"))
    assert "+ dates: keep" in page
    assert "- dates: remove" in page
    assert "a-staff" in page


def test_an_earlier_version_is_brought_back(trial):
    client = browser("staff")
    client.post("/projects/trial/", given(version="1", dates="keep", description=""))
    assert "/history/1/restore/" in text_of(client.get("/projects/trial/history/"))
    client.post("/projects/trial/history/1/restore/")
    project = Project.objects.get()
    assert (project.document["dates"], project.version) == ("remove", 3)
    for version in ("9", "9" * 25):
        assert client.post(f"/projects/trial/history/{version}/restore/").status_code == 404
    assert client.get("/projects/trial/history/1/restore/").status_code == 405


def test_a_copy_begins_with_what_another_has(trial):
    services.change_project(
        "trial", ProjectDocument(dates="shift", words=("Golf",)), version=1, actor="other"
    )
    form = browser("staff").get("/projects/new/?copy=trial").context["form"]
    assert (form["dates"].value(), form["words"].value()) == ("shift", "Golf")
    assert not form["name"].value()
    assert not form["version"].value()
    assert browser("staff").get("/projects/new/?copy=nothing").status_code == 404


@pytest.mark.parametrize("place", ["export", "secret", "look-up"])
def test_keys_that_are_gone_are_told_and_nothing_breaks(listed, place):
    key_file(settings.ISOCENTER).unlink()
    answer = browser().post(f"/projects/trial/{place}/", {"pseudonym": "TRIAL-1"}, follow=True)
    assert answer.status_code == 200
    assert "key file" in text_of(answer)
    assert "SECRET" not in text_of(answer)


def test_a_new_project_without_keys_says_why(listed):
    key_file(settings.ISOCENTER).unlink()
    answer = browser("staff").post("/projects/new/", given(name="other"))
    assert "key file" in str(answer.context["form"].non_field_errors())


def test_a_project_of_an_older_version_can_still_be_opened(trial):
    Project.objects.update(document={**trial.document, "presets": ["gone"]})
    client = browser("staff")
    assert "cannot be used any more" in text_of(client.get("/projects/"))
    page = text_of(client.get("/projects/trial/"))
    assert "no preset" in page
    assert "/projects/trial/history/" in page


def test_the_draft_shows_what_patients_are_called():
    client = browser("staff")
    chosen = given(pseudonym_kind="pattern", pattern="{site}_{counter:04}", site="BERN", first="7")
    said = text_of(client.post("/projects/-/draft/", chosen, headers=HTMX))
    assert "BERN_0007, BERN_0008 and so on" in said


def test_a_project_that_a_pipeline_names_stays(trial):
    client = browser("staff")
    step = {"step": "deidentify", "with": {"project": "trial"}}
    pipeline = Pipeline.objects.create(name="to-trial", steps=[step])
    page = text_of(client.get("/projects/trial/"))
    assert "/pipelines/to-trial/" in page
    answer = client.post("/projects/trial/remove/", {"typed": "trial"}, follow=True)
    assert "to-trial" in text_of(answer)
    assert Project.objects.exists()
    pipeline.delete()
    client.post("/projects/trial/remove/", {"typed": "trail"})
    assert Project.objects.exists(), "its name was not typed"
    client.post("/projects/trial/remove/", {"typed": "trial"})
    assert not Project.objects.exists()


def test_pseudonyms_are_shown_page_by_page(trial):
    lines = "\n".join(f"ID-{number},P-{number:04}" for number in range(150))
    services.import_map("trial", f"PatientID,Pseudonym\n{lines}\n", actor="somebody")
    client = browser("staff")
    first = client.get("/projects/trial/patients/")
    page = first.context["page"]
    assert (len(page.items), page.items[0].pseudonym_id) == (100, "P-0149")
    second = client.get(page.next_url).context["page"]
    assert (len(second.items), second.next_url) == (50, "")
    assert second.previous_url == "/projects/trial/patients/"


@pytest.mark.parametrize("role", ["student", "physician", "researcher", "service"])
def test_projects_are_for_those_who_manage_them(trial, role):
    client = browser(role)
    for path in ("", "new/", "trial/", "trial/patients/", "trial/history/", "trial/look-up/"):
        assert client.get(f"/projects/{path}").status_code == 403
    assert "/projects/" not in text_of(client.get("/"))


def test_a_project_that_is_not_there():
    client = browser()
    for path in ("nil/", "nil/patients/", "nil/history/", "nil/look-up/"):
        assert client.get(f"/projects/{path}").status_code == 404
    for path in ("import", "export", "secret", "remove", "look-up"):
        sent = file(LIST) if path == "import" else {"pseudonym": "x", "typed": "nil"}
        assert client.post(f"/projects/nil/{path}/", sent).status_code == 404, path
