"""Our networks against public checkpoints, with the numbers that were measured independently of this code."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.architectures.pixel_classifier import PixelClassifier
from models.architectures.resnet_cifar import build_resnet_cifar
from models.architectures.vgg import build_vgg
from models.metrics import accuracy, attack_success, clean_target_rate
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.triggers import Trigger, make_trigger

IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def shared_data():
    default = Path(__file__).parents[3].parent / "shared" / "data"
    path = Path(os.environ.get("PROCTOR_SHARED_DATA", default))
    if not (path / "teachers").is_dir():
        pytest.skip(f"no public checkpoints at {path}; set PROCTOR_SHARED_DATA")
    return path


@pytest.fixture(scope="module")
def cifar10_test(shared_data):
    images, labels = [], []
    with zipfile.ZipFile(shared_data / "cifar10" / "test.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        classes = sorted({name.split("/")[-2] for name in names})
        for name in names:
            images.append(np.array(Image.open(io.BytesIO(archive.read(name)))))
            labels.append(classes.index(name.split("/")[-2]))
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def _resnet(shared_data, depth, file):
    stored = torch.load(shared_data / "teachers" / file, weights_only=True, map_location="cpu")["state_dict"]
    network = build_resnet_cifar(ArchitectureSpec(f"resnet-{depth}", 10))
    network.load_state_dict(
        {name.removeprefix("module."): value for name, value in stored.items()}, strict=True
    )
    return PixelClassifier(network.eval(), IMAGENET)


def _vgg(shared_data, file, num_classes=10):
    stored = torch.load(shared_data / "teachers" / file, weights_only=True, map_location="cpu")["net"]
    network = build_vgg(ArchitectureSpec("vgg-small-elu", num_classes))
    network.load_state_dict(stored, strict=True)
    return PixelClassifier(network.eval(), Normalization())


RESNETS = [(20, "akamaster_resnet20-12fca82f.th", 0.8103), (56, "akamaster_resnet56-4bfd9763.th", 0.8320)]


@pytest.mark.parametrize(("depth", "file"), [row[:2] for row in RESNETS])
def test_akamasters_resnets_load_strictly(shared_data, depth, file):
    network = _resnet(shared_data, depth, file)
    assert network(torch.rand(2, 3, 32, 32)).isfinite().all()


@pytest.mark.parametrize(
    ("file", "num_classes"),
    [
        ("ibau_badnets_8_02_ckpt.pth", 10),
        ("ibau_trojan_wm_2_02_ckpt.pth", 10),
        ("ibau_gtsrbtrojan_wm_2_02_ckpt.pth", 43),
    ],
)
def test_the_ibau_networks_load_strictly(shared_data, file, num_classes):
    assert _vgg(shared_data, file, num_classes)(torch.rand(2, 3, 32, 32)).shape == (2, num_classes)


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "file", "expected"), RESNETS)
def test_akamasters_resnets_reach_the_known_accuracy(shared_data, cifar10_test, depth, file, expected):
    rate = accuracy(_resnet(shared_data, depth, file), *cifar10_test)
    assert rate.n == 10_000
    assert rate.value == pytest.approx(expected, abs=0.002)


@pytest.mark.slow
def test_the_badnets_teacher_has_the_known_backdoor(shared_data, cifar10_test):
    network = _vgg(shared_data, "ibau_badnets_8_02_ckpt.pth")
    rate = attack_success(network, *cifar10_test, make_trigger("badnets_square", 32, 8))
    assert accuracy(network, *cifar10_test).value == pytest.approx(0.7810, abs=0.002)
    assert (rate.n, rate.value) == (9_000, pytest.approx(0.9822, abs=0.002))
    assert clean_target_rate(network, *cifar10_test, 8).value < 0.1


@pytest.mark.slow
def test_the_watermark_teacher_has_the_known_backdoor(shared_data, cifar10_test):
    picture = np.array(
        Image.open(shared_data / "triggers" / "trojan_wm.png").convert("RGB"), dtype=np.float32
    )
    pattern = torch.from_numpy(picture / 255).permute(2, 0, 1)
    trigger = Trigger("trojan_wm", "additive", pattern, torch.ones(1, 32, 32), 2)
    network = _vgg(shared_data, "ibau_trojan_wm_2_02_ckpt.pth")
    rate = attack_success(network, *cifar10_test, trigger)
    assert accuracy(network, *cifar10_test).value == pytest.approx(0.7739, abs=0.002)
    assert (rate.n, rate.value) == (9_000, pytest.approx(0.9992, abs=0.002))


@pytest.mark.parametrize("name", ["trojan_3x3", "l0_inv"])
def test_the_catalogs_triggers_match_the_files_of_the_experiments(shared_data, name):
    picture = np.array(Image.open(shared_data / "triggers" / f"{name}.png"))
    ours = (make_trigger(name, 32, 0).pattern * 255).round().to(torch.uint8)
    assert ours.equal(torch.from_numpy(picture).permute(2, 0, 1))


def test_trap_5_our_sig_matches_the_file_to_one_count(shared_data):
    picture = torch.from_numpy(np.array(Image.open(shared_data / "triggers" / "sig.png")).astype(np.int64))
    ours = (make_trigger("sig", 32, 0).pattern[0] * 255).round().long()
    difference = (ours - picture).abs()
    assert torch.minimum(difference, 256 - difference).max() <= 1  # 0 and 255 are neighbors modulo 256
