import pytest
import torch

from models.distillation.abd.image_pool import ImagePool
from models.engine.seed import make_generator

BATCHES = torch.arange(5 * 8 * 12, dtype=torch.float32).reshape(5, 8, 3, 2, 2)


def filled(limit: int) -> ImagePool:
    pool = ImagePool(5, limit, seed=3)
    for batch in BATCHES:
        pool.add(batch)
    return pool


@pytest.mark.parametrize("limit", [1, 17, 40, 1000])
def test_it_is_a_draw_from_all_images(limit: int) -> None:
    """What it keeps is what was measured with, when everything was kept and cut afterwards."""
    everything = BATCHES.flatten(0, 1)
    order = torch.randperm(40, generator=make_generator(3, "vaccine pool"))
    assert torch.equal(filled(limit).images(), everything[order[:limit]])


def test_only_what_was_drawn_is_kept() -> None:
    kept = filled(17).state_dict()["kept"]
    assert sum(len(part) for part in kept) == 17
    assert all(part.untyped_storage().nbytes() == part.nbytes for part in kept), "no batch hangs on a part"


def test_batches_that_shrink_and_grow_do_no_harm() -> None:
    pool = ImagePool(3, 10, seed=0)
    for count in (4, 2, 9):
        pool.add(torch.zeros(count, 3, 2, 2))
    assert 1 <= len(pool.images()) <= 10


def test_it_goes_on_where_it_was() -> None:
    begun = ImagePool(5, 17, seed=3)
    for batch in BATCHES[:2]:
        begun.add(batch)
    resumed = ImagePool(5, 17, seed=3)
    resumed.load_state_dict(begun.state_dict(), torch.device("cpu"))
    for batch in BATCHES[2:]:
        resumed.add(batch)
    assert torch.equal(resumed.images(), filled(17).images())
