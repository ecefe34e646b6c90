import pytest

from app.schemas.layers import LAYER_LIST
from models.checkpoints.infer_architecture import FAMILIES
from models.errors import RecipeError
from models.recipes.architecture import ArchitectureSpec
from models.recipes.architecture_catalog import known_architectures
from models.recipes.default_student import smaller
from models.recipes.layer_list.identity import spec_of
from models.recipes.layer_list.resolve import resolve
from tests.layer_lists import GLOBAL, STAGE, conv, linear, listed


@pytest.mark.parametrize(
    ("teacher", "student"),
    [
        ("wrn-16-2", "wrn-16-1"),
        ("wrn-10-2", "wrn-10-1"),
        ("wrn-28-4", "wrn-16-2"),
        ("wrn-40-2", "wrn-16-1"),
        ("wrn-40-1", "wrn-16-1"),
        ("wrn-16-1", "wrn-10-1"),
        ("resnet-56", "resnet-20"),
        ("resnet-20", "wrn-16-1"),
        ("resnet-18", "resnet-18-w32"),
        ("resnet-50-maxpool", "resnet-18-w32-maxpool"),
        ("resnet-18-w16", "wrn-16-1"),
        ("resnet-34-w16", "resnet-18-w16"),
        ("preact-resnet-18-bn", "preact-resnet-18-w32-bn"),
        ("preact-resnet-34-w16", "preact-resnet-18-w16"),
        ("preact-resnet-18-w16", "wrn-16-1"),
        ("wrn-28-10-biased", "wrn-16-5"),
        ("vgg-16", "vgg-11-bn-w32"),
        ("vgg-11-bn-w16", "wrn-16-1"),
        ("mobilenet-v2", "resnet-18-w16"),
        ("shufflenet-v2-x1", "shufflenet-v2-x0.5"),
        ("shufflenet-v2-x0.5", "wrn-16-1"),
        ("pyramidnet-110-84", "wrn-16-1"),
        ("torchvision-resnet50", "torchvision-resnet18"),
        ("torchvision-resnet18", "wrn-16-1"),
        ("torchvision-densenet121", "torchvision-shufflenet_v2_x0_5"),
        ("torchvision-shufflenet_v2_x0_5", "wrn-16-1"),
        ("plain-cnn-w64", "plain-cnn-w32"),
        ("resnext-29-2x64d-pointwise", "wrn-16-2"),
        ("vgg-small-elu", "wrn-16-1"),
        ("torchvision-squeezenet1_1", "wrn-16-1"),
        ("timm-resnet50", "torchvision-shufflenet_v2_x0_5"),
    ],
)
def test_the_default_student_is_the_next_smaller_of_the_family(teacher, student):
    assert smaller(ArchitectureSpec(teacher, 10)) == student


@pytest.mark.parametrize("name", ["wrn-10-1", "plain-cnn-w16"])
def test_the_smallest_networks_have_no_default_student(name):
    with pytest.raises(RecipeError) as caught:
        smaller(ArchitectureSpec(name, 10))
    assert caught.value.code == "student_not_smaller"


def _parameters(name):
    spec = ArchitectureSpec(name, 10, 224)
    return next(layout.parameters for family in FAMILIES if (layout := family.lay_out(spec)) is not None)


OURS = [family for family in known_architectures() if family.name != "timm"]  # which has no table here


@pytest.mark.parametrize("family", OURS, ids=lambda family: family.name)
def test_a_default_student_has_fewer_parameters(family):
    for name in family.examples:
        if name not in {"wrn-10-1", "plain-cnn-w16"}:
            assert _parameters(smaller(ArchitectureSpec(name, 10))) < _parameters(name)


@pytest.mark.parametrize(
    ("channels", "stages", "student"),
    [
        (128, 3, "wrn-10-1"),
        (256, 2, "wrn-16-1"),
        (256, 4, "resnet-18-w16"),
        (700, 3, "wrn-40-2"),
        (512, 4, "resnet-18-w32"),
    ],
)
def test_a_described_teacher_has_a_student_of_at_most_half_its_size(channels, stages, student):
    body = [layer for index in range(stages) for layer in (conv(f"c{index}", channels, padding=1), STAGE)]
    described = LAYER_LIST.validate_python(listed(32, *body, *GLOBAL, linear("fc", 10)))
    spec = spec_of(described)
    assert smaller(spec) == student
    assert 2 * _parameters(student) <= resolve(described).parameters


def test_a_small_described_teacher_has_no_default_student():
    described = LAYER_LIST.validate_python(listed(32, conv("c", 8), *GLOBAL, linear("fc", 10)))
    with pytest.raises(RecipeError) as caught:
        smaller(spec_of(described))
    assert caught.value.code == "student_not_smaller"
