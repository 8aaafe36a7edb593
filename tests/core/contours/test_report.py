"""The report of a run, in its three forms."""

import json
from html.parser import HTMLParser

import pytest

from isocenter.core.contours.report import to_html, to_json, to_text, write_report
from isocenter.core.errors import ConfigurationError

REPORT = {
    "title": "RT overlay",
    "state": "done",
    "seconds": 68.34,
    "run": {"id": "17", "route": "rt-overlay", "started_at": "2026-03-04T05:06:07.5+00:00"},
    "study": {"study_uid": "1.2.3", "modalities": ["CT", "RTSTRUCT"], "instances": 60},
    "sender": {"ae_title": "PLANNER", "address": "10.0.0.7"},
    "steps": [
        {"name": "contours", "state": "done", "seconds": 12.34, "warnings": ["one was skipped"]},
        {"name": "deliver", "state": "failed", "seconds": 0.5, "message": "no answer"},
    ],
    "pairs": [
        {
            "series_uid": "1.2.3.4",
            "rtstruct_uid": "1.2.3.5",
            "modality": "CT",
            "rois": [
                {
                    "number": 1,
                    "name": "GTV <1>",
                    "type": "GTV",
                    "contours": 32,
                    "planes": 31,
                    "voxels": 117145,
                    "volume_ml": 365.318,
                    "polygon_volume_ml": 365.174,
                    "min_plane_mm": -881.32,
                    "max_plane_mm": -783.2,
                    "colour": [255, 0, 0],
                    "warnings": ["2 contours were open"],
                }
            ],
            "skipped_rois": [{"name": "Skull", "reason": "its name contains 'skull'"}],
        }
    ],
    "outputs": [{"kind": "seg", "role": "Segmentation", "path": "seg/seg.dcm"}],
    "deliveries": [{"node": "PACS", "state": "delivered", "sent": 59, "total": 60}],
    "disclaimer": "FOR RESEARCH USE ONLY",
}


class Checker(HTMLParser):
    """Every tag is closed in order; nothing comes from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br", "link", "circle", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("circle", "path"):
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parsed(page):
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    return checker


@pytest.mark.parametrize("make", [to_html, to_text])
def test_says_all_that_a_person_needs(make):
    said = make(REPORT)
    if make is to_html:
        said = " ".join(parsed(said).text)
    for text in (
        "RT overlay",
        "1.2.3",
        "PLANNER at 10.0.0.7",
        "1 min 8 s",
        "2026-03-04 05:06:07+00:00",
        "12.3 s",
        "no answer",
        "one was skipped",
        "GTV <1>",
        "117\u202f145",
        "365.318",
        "365.174",
        "-881.3",
        "2 contours were open",
        "Skull: its name contains 'skull'",
        "seg/seg.dcm",
        "59 of 60",
        "FOR RESEARCH USE ONLY",
    ):
        assert text in said


def test_page_needs_nothing_from_elsewhere_and_runs_nothing():
    page = to_html(REPORT)
    assert parsed(page).links == []
    assert "<script" not in page
    assert "url(" not in page
    assert "GTV &lt;1&gt;" in page


def test_columns_that_nobody_fills_are_left_out():
    assert "Area" not in to_text(REPORT)
    roi = {**REPORT["pairs"][0]["rois"][0], "area_cm2": 12.5}
    said = to_text({"pairs": [{"rois": [roi]}]})
    assert "Area cm²" in said
    assert "12.50" in said


def test_a_failed_run_shows_the_error_and_its_trace():
    report = {
        "state": "failed",
        "error": {"message": "no <ROI> is left", "trace": "line 1\nline 2"},
    }
    assert "no <ROI> is left" in to_text(report)
    assert "    line 2" in to_text(report)
    page = to_html(report)
    assert "no &lt;ROI&gt; is left" in page
    assert '<span class="badge bad">failed</span>' in page


@pytest.mark.parametrize("report", [{}, {"pairs": [{}], "steps": [{}], "outputs": [{}]}])
def test_keys_may_be_absent(report):
    parsed(to_html(report))
    assert to_text(report).startswith("Run report")


def test_written_into_a_folder(tmp_path):
    paths = write_report(REPORT, tmp_path / "new", "run-17")
    assert [p.name for p in paths] == ["run-17.html", "run-17.json", "run-17.txt"]
    assert json.loads(paths[1].read_text(encoding="utf-8")) == REPORT
    assert paths[0].read_text(encoding="utf-8") == to_html(REPORT)
    assert to_json(REPORT) == paths[1].read_text(encoding="utf-8")


def test_only_the_formats_that_are_wanted(tmp_path):
    assert [p.name for p in write_report(REPORT, tmp_path, "r", ["text"])] == ["r.txt"]
    with pytest.raises(ConfigurationError, match="pdf"):
        write_report(REPORT, tmp_path, "r", ["pdf"])


@pytest.mark.parametrize("key", ["PatientName", "patient_id", "PatientBirthDate"])
def test_a_patients_identity_is_refused(tmp_path, key):
    with pytest.raises(ConfigurationError, match=key):
        write_report({"study": {key: "x"}}, tmp_path, "r")
