import torch

from models.distillation.inversion.contrast import MemoryBank, ProjectionHead, contrastive_loss


def features(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))


def head() -> ProjectionHead:
    torch.manual_seed(0)
    return ProjectionHead(6, 4)


def test_images_whose_views_agree_cost_less_than_others() -> None:
    local = features(8)
    alike = contrastive_loss(head(), local, local, None, 0.1)
    crossed = contrastive_loss(head(), local, local.roll(1, 0), None, 0.1)
    assert alike < crossed


def test_gradients_reach_images_through_their_local_view_only() -> None:
    local, overall = features(4).requires_grad_(True), features(4, 1).requires_grad_(True)
    contrastive_loss(head(), local, overall, None, 0.1).backward()
    assert local.grad is not None
    assert local.grad.abs().sum() > 0
    assert overall.grad is None


def test_remembered_images_make_a_term_of_their_own() -> None:
    local, overall, remembered = features(4), features(4, 1), (features(7, 2), features(7, 3))
    joined = contrastive_loss(head(), local, overall, remembered, 0.1)
    made = head()
    keys = made(torch.cat([overall, remembered[1]]))
    logits = made(torch.cat([local, remembered[0]])) @ keys.T / 0.1
    losses = torch.nn.functional.cross_entropy(logits, torch.arange(11), reduction="none")
    assert torch.allclose(joined, losses[:4].mean() + losses[4:].mean())


def test_the_projection_does_not_grow_with_the_square_of_all_channels() -> None:
    """With a DenseNet-201's features it had 52 GB."""
    with torch.device("meta"):
        wide = ProjectionHead(114_528, 256)
    assert sum(parameter.numel() for parameter in wide.parameters()) < 3e8
    assert [layer.out_features for layer in head().layers if hasattr(layer, "out_features")] == [6, 4]


def test_the_bank_forgets_the_oldest() -> None:
    bank = MemoryBank(5)
    assert bank.sample(3, generator=torch.Generator()) is None
    first, second = features(3, 1), features(4, 2)
    bank.add(first, first + 1.0)
    bank.add(second, second + 1.0)
    found = bank.sample(99, generator=torch.Generator().manual_seed(0))
    assert found is not None
    local, overall = found
    assert torch.allclose(overall, local + 1.0)
    kept = torch.cat([first[2:], second])
    assert torch.equal(local[local[:, 0].argsort()], kept[kept[:, 0].argsort()])


def test_a_bank_without_room_remembers_nothing() -> None:
    bank = MemoryBank(0)
    bank.add(features(3), features(3))
    assert bank.sample(3, generator=torch.Generator()) is None
