import io

from PIL import Image

from models.lab.contact_sheet import all_triggers, draw_contact_sheet


def test_every_trigger_has_a_row_of_pictures():
    triggers = all_triggers(32, 0, None)
    names = [name for name, _ in triggers]
    assert {"trojan_wm", "smooth", "badnets_grid", "watermark_substitute"} <= set(names)
    with Image.open(io.BytesIO(draw_contact_sheet(triggers[:4]))) as sheet:
        assert sheet.size == (3 * 400, 2 * 152 + 8)
        assert len(sheet.getcolors(1 << 20)) > 100


def test_triggers_that_do_not_fit_small_images_are_left_out():
    """One of them ended the list of all."""
    names = {name for name, _ in all_triggers(8, 0, None)}
    assert {name for name, _ in all_triggers(32, 0, None)} - names == {
        "l0_inv", "trojan_8x8", "trojan_8x8_substitute",
    }  # fmt: skip
