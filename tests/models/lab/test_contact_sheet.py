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
