"""Pictures: what is drawn where, and what must not be in them."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from PIL import Image

from isocenter.core.contours.options import ContourOptions, PreviewOptions
from isocenter.core.contours.outputs import writer
from isocenter.core.contours.outputs.canvas import drawable, font, readable, shortened
from isocenter.core.contours.outputs.montage import chosen_slices, region
from isocenter.core.contours.outputs.outlines import outlines
from isocenter.core.contours.outputs.picture import (
    PANEL_WIDTH,
    direction_letters,
    display_scale,
    draw_image,
    drawn_on,
    style_of,
)
from isocenter.core.contours.outputs.window import Window, modality_values, series_window

SHAPE = (4, 128, 160)


def block(shape=SHAPE):
    mask = np.zeros(shape, bool)
    mask[1:3, 30:60, 40:90] = True
    return mask


def named(outputs, suffix):
    return [o for o in outputs if o.path.suffix == suffix]


def pixels_of(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_a_picture_for_each_slice_with_contours(make_scene, tmp_path):
    outputs = writer("preview")(make_scene(SHAPE, {"PTV": block()}), tmp_path)
    assert [o.path.name for o in outputs] == [
        "montage.png",
        "slice_0002.png",
        "sc_0002.dcm",
        "slice_0003.png",
        "sc_0003.dcm",
    ]
    kinds = [o.kind for o in outputs]
    assert kinds == ["preview", "preview", "preview-sc", "preview", "preview-sc"]


def test_nothing_drawn_makes_no_picture(make_scene, tmp_path):
    assert writer("preview")(make_scene(SHAPE, {"a": block() & False}), tmp_path) == []


def test_outline_has_the_colour_and_lies_around_the_mask(make_scene):
    scene = make_scene(SHAPE, {"PTV": (block(), {"colour": (0, 255, 0), "kind": "EXTERNAL"})})
    style = style_of(scene, Window(500, 2000))
    picture = np.asarray(draw_image(scene, 1, style, drawn_on(1, style))).astype(int)
    factor = int(style.scale[0])
    green = (picture[..., 1] > 200) & (picture[..., 0] < 90) & (picture[..., 2] < 90)
    rows, columns = np.nonzero(green)
    assert rows.min() == pytest.approx(30 * factor, abs=2)
    assert rows.max() == pytest.approx(60 * factor, abs=2)
    assert columns.min() == pytest.approx(40 * factor, abs=2)
    assert columns.max() == pytest.approx(90 * factor, abs=2)
    assert not green[35 * factor : 55 * factor, 45 * factor : 85 * factor].any()


def test_image_is_grey_and_windowed_away_from_contours(make_scene):
    scene = make_scene(SHAPE, {"PTV": block()})
    window = Window(500, 2000)
    style = style_of(scene, window)
    picture = np.asarray(draw_image(scene, 1, style, drawn_on(1, style)))
    factor = int(style.scale[0])
    away = picture[90 * factor :, :]
    assert (away[..., 0] == away[..., 1]).all()
    assert (away[..., 0] == away[..., 2]).all()
    expected = window.to_grey(modality_values(scene.series, 1))[100, 100]
    assert away[10 * factor + factor // 2, 100 * factor + factor // 2, 0] == pytest.approx(
        expected, abs=6
    )


@pytest.mark.parametrize(
    ("matrix", "spacing", "scale"),
    [
        ((512, 512), (1, 1), (1, 1)),
        ((256, 512), (1, 1), (1, 1)),
        ((43, 41), (4, 4), (15, 15)),
        ((202, 198), (1, 1), (3, 3)),
        ((1024, 1024), (1, 1), (1, 1)),
        ((100, 200), (2, 1), (6, 3)),
        ((200, 100), (1, 2), (3, 6)),
    ],
)
def test_small_images_are_enlarged_by_whole_factors(make_scene, matrix, spacing, scale):
    stack = make_scene((1, *matrix), {}, spacing=spacing).stack
    assert display_scale(stack) == pytest.approx(scale)


def test_very_long_pixels_do_not_make_a_huge_picture(make_scene):
    stack = make_scene((1, 300, 300), {}, spacing=(10, 1)).stack
    rows, columns = display_scale(stack)
    assert rows / columns == pytest.approx(10)
    assert 300 * rows < 1100


def test_disclaimer_and_legend_are_beside_the_image(make_scene, tmp_path):
    scene = make_scene(SHAPE, {"PTV": (block(), {"colour": (0, 255, 0)})})
    outputs = writer("preview")(scene, tmp_path)
    picture = pixels_of(named(outputs, ".png")[1].path).astype(int)
    assert picture.shape[1] == 160 * 4 + PANEL_WIDTH
    footer = picture[-22:]
    assert ((footer[..., 0] > 200) & (footer[..., 2] < 120)).sum() > 200
    panel = picture[:, 160 * 4 :]
    assert ((panel[..., 1] > 230) & (panel[..., 0] < 30)).sum() > 80


def test_pictures_carry_no_text_about_the_patient(make_scene, tmp_path):
    outputs = writer("preview")(make_scene(SHAPE, {"PTV": block()}), tmp_path)
    for output in named(outputs, ".png"):
        data = output.path.read_bytes()
        assert b"tEXt" not in data
        with Image.open(output.path) as picture:
            assert not {"P1", "Test^Jörg"} & {str(v) for v in picture.info.values()}


def test_every_slice_on_request(make_scene, tmp_path):
    options = ContourOptions(preview=PreviewOptions(slices="all", secondary_capture=False))
    outputs = writer("preview")(make_scene(SHAPE, {"PTV": block()}, options=options), tmp_path)
    assert len(outputs) == SHAPE[0] + 1  # and the montage


def test_jpeg_instead_of_png(make_scene, tmp_path):
    options = ContourOptions(preview=PreviewOptions(image_format="jpeg", secondary_capture=False))
    outputs = writer("preview")(make_scene(SHAPE, {"a": block()}, options=options), tmp_path)
    assert [o.path.name for o in outputs] == ["montage.png", "slice_0002.jpg", "slice_0003.jpg"]
    with Image.open(outputs[1].path) as picture:
        assert picture.format == "JPEG"


def test_same_scene_same_bytes(make_scene, tmp_path):
    made = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        outputs = writer("preview")(make_scene(SHAPE, {"Größe": block()}), tmp_path / name)
        made.append([o.path.read_bytes() for o in outputs])
    assert made[0] == made[1]


def test_secondary_capture(make_scene, tmp_path):
    outputs = writer("preview")(make_scene(SHAPE, {"PTV": block()}), tmp_path)
    captures = [o for o in outputs if o.kind == "preview-sc"]
    first, second = (pydicom.dcmread(o.path) for o in captures)
    assert first.SOPClassUID == captures[0].sop_class_uid == "1.2.840.10008.5.1.4.1.1.7"
    assert first.SOPInstanceUID == captures[0].sop_uid != second.SOPInstanceUID
    assert first.SeriesInstanceUID == captures[0].series_uid == second.SeriesInstanceUID
    assert (first.SeriesNumber, first.SeriesDescription) == (
        101,
        "DEBUG: Contour Overlay Visualization",
    )
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)
    assert (first.PatientID, first.PatientName) == ("P1", "Test^Jörg")
    assert first.SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4.2"
    assert first.PatientOrientation == ["L", "P"]
    shown = pixels_of(named(outputs, ".png")[1].path)
    assert np.array_equal(first.pixel_array, shown)


@pytest.mark.peers
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="no dicom3tools")
def test_validator_finds_no_error_in_secondary_capture(make_scene, tmp_path, modality):
    outputs = writer("preview")(make_scene(SHAPE, {"脑": block()}, modality=modality), tmp_path)
    path = named(outputs, ".dcm")[0].path
    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
    assert said.returncode == 0
    assert "Error" not in said.stderr + said.stdout


class TestWindow:
    def test_what_was_asked_for_comes_first(self, make_scene):
        scene = make_scene(WindowCenter="50", WindowWidth="350")
        asked = PreviewOptions(window_center=-600, window_width=1500)
        assert series_window(scene.series, asked) == Window(-600, 1500)

    def test_then_what_the_images_say(self, make_scene):
        scene = make_scene(WindowCenter=["50", "-600"], WindowWidth=["350", "1500"])
        assert series_window(scene.series, PreviewOptions()) == Window(50, 350)

    def test_ct_without_a_window_is_soft_tissue(self, make_scene):
        assert series_window(make_scene().series, PreviewOptions()) == Window(40, 400)

    def test_mr_without_a_window_is_its_range(self, make_scene):
        scene = make_scene(modality="MR", RescaleIntercept="0")
        window = series_window(scene.series, PreviewOptions())
        assert 1000 < window.width < 2000
        assert not window.inverted

    def test_pet_is_dark_on_white_from_zero(self, make_scene):
        window = series_window(
            make_scene(modality="PT", RescaleIntercept="0").series, PreviewOptions()
        )
        assert window.inverted
        assert window.center - window.width / 2 == pytest.approx(0)

    def test_monochrome1_is_inverted(self, make_scene):
        scene = make_scene(PhotometricInterpretation="MONOCHROME1")
        assert series_window(scene.series, PreviewOptions()).inverted

    def test_broken_window_is_passed_over(self, make_scene):
        scene = make_scene(WindowCenter="40", WindowWidth="0")
        assert series_window(scene.series, PreviewOptions()) == Window(40, 400)

    def test_ends_of_the_window_are_black_and_white(self):
        grey = Window(100, 50).to_grey(np.array([[0, 75, 100, 125, 1000]], np.float32))
        assert grey.tolist() == [[0, 0, 128, 255, 255]]
        assert Window(100, 50, True).to_grey(np.zeros((1, 1), np.float32)).item() == 255


def test_outlines_run_halfway_between_pixel_centres(make_scene):
    scene = make_scene(SHAPE, {"a": block()})
    (line,) = outlines(scene.masks[0], 1, (2.0, 3.0))  # per row, per column
    assert line.min(axis=0) == pytest.approx([40 * 3.0, 30 * 2.0])
    assert line.max(axis=0) == pytest.approx([90 * 3.0, 60 * 2.0])
    assert outlines(scene.masks[0], 0, (1, 1)) == []


@pytest.mark.parametrize(
    ("direction", "letters"),
    [
        ((1, 0, 0), "L"),
        ((0, -1, 0), "A"),
        ((0, 0, 1), "H"),
        ((0.8, -0.6, 0), "LA"),
        ((0.99, 0.1, 0), "L"),
    ],
)
def test_directions(direction, letters):
    assert direction_letters(np.array(direction, float)) == letters


def test_letters_that_the_font_lacks_are_replaced_by_the_number():
    assert drawable("Größe Ω Мозг", "ROI 3") == "Größe Ω Мозг"
    assert drawable("脑 stem", "ROI 3") == "ROI 3 stem"


def test_dark_colours_are_lightened_and_bright_ones_kept():
    assert readable((255, 255, 0)) == (255, 255, 0)
    assert np.dot(readable((0, 0, 60)), (0.299, 0.587, 0.114)) > 100


def test_long_names_are_shortened():
    face = font(13)
    text = shortened("a very long name of a structure", face, 90)
    assert text.endswith("…")
    assert face.getlength(text) <= 90


def test_montage_shows_at_most_twenty_slices_with_first_and_last():
    chosen = chosen_slices(range(10, 200))
    assert len(chosen) == 20
    assert (chosen[0], chosen[-1]) == (10, 199)
    assert chosen_slices([3, 5]) == [3, 5]


def test_montage_is_cropped_around_the_contours_but_not_below_half(make_scene):
    scene = make_scene(SHAPE, {"a": block()})
    style = style_of(scene, Window(0, 1))
    left, top, right, bottom = region(scene, style)
    factor = int(style.scale[0])
    assert right - left >= 80 * factor
    assert bottom - top >= 64 * factor
    assert left <= 40 * factor
    assert right >= 90 * factor
    assert (left >= 0, right <= 160 * factor) == (True, True)
