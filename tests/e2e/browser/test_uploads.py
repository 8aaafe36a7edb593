"""Uploads: files, a ZIP, what is no DICOM, and a folder; by mouse and by keyboard."""

from __future__ import annotations

import zipfile

import pytest

from isocenter.core.phantoms import head_phantom


@pytest.fixture
def files(tmp_path, request):
    key = f"upload-{request.node.name}"
    return head_phantom(key, slices=3, rows=64, columns=64, slice_distance_mm=40).write(
        tmp_path / "files"
    )


def test_files_and_what_is_no_dicom(site, person, files, tmp_path):
    text = tmp_path / "notes about the patient.txt"
    text.write_text("not DICOM")
    someone = person("researcher")
    page = someone.go("/uploads/")
    page.set_input_files("#choose-files", [*files, text])

    page.locator("#count-accepted", has_text=f"{len(files)} accepted").wait_for()
    page.locator("#upload-problems").get_by_text(text.name).wait_for()
    page.locator("#upload-studies tbody tr").first.wait_for()
    someone.assert_fits()


def test_a_zip(site, person, files, tmp_path):
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, f"folder/{file.name}")
    page = person("physician").go("/uploads/")
    page.set_input_files("#choose-files", [path])

    page.locator("#upload-studies tbody tr").first.wait_for()
    page.locator("#upload-studies").get_by_text("complete", exact=True).wait_for(timeout=60_000)


def test_a_folder(site, person, files):
    page = person("physician").go("/uploads/")
    page.set_input_files("#choose-folder", files[0].parent)

    page.locator("#count-accepted", has_text=f"{len(files)} accepted").wait_for()


def test_the_choosers_show_that_they_have_the_focus(site, person):
    someone = person()
    page = someone.go("/uploads/")
    for name in ("choose-files", "choose-folder"):
        page.focus(f"#{name}")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        shown = page.evaluate(
            """name => {
              const style = getComputedStyle(document.querySelector(`label[for=${name}]`));
              return style.outlineStyle !== 'none' || style.boxShadow !== 'none';
            }""",
            name,
        )
        assert shown, name
