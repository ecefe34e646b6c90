import pytest

from models.checkpoints.library_table import build_on_meta


@pytest.mark.parametrize(("name", "side"), [("swin_t", 224), ("swin_t", 384), ("swin_v2_t", 384)])
def test_a_map_of_as_many_channels_as_pixels_a_side_keeps_the_networks_form(name, side):
    """At 384 pixels the first stage of Swin-T is (N, 96, 96, 96): the shape alone says nothing."""
    network = build_on_meta(f"torchvision-{name}", input_size=side)
    # The last stage ends behind the permutation before the pooling.
    assert [stage.form for stage in network.cut] == ["channels_last"] * 3 + ["map"]


def test_convolutions_with_as_many_channels_as_pixels_a_side_are_maps():
    network = build_on_meta("torchvision-convnext_tiny", input_size=384)
    assert {stage.form for stage in network.cut} == {"map"}
