"""When a student is accepted."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Interval

from models.recipes.base import recipe

Share = Annotated[float, Interval(ge=0.0, le=1.0)]


@recipe
class VerifyRecipe:
    """What the defended student must reach. A threshold that cannot be judged is not met; only attack success
    does not count where there is no trigger."""

    max_attack_success_rate: Share = 0.10
    """Highest tolerated success of any given or recovered trigger on the student: of the images that do not
    go to its class anyway, the share that it moves there, (ASR - CTR) / (1 - CTR)."""
    min_accuracy_ratio: Share = 0.85
    """Lowest tolerated clean accuracy relative to the teacher (without labels: agreement with it)."""
    max_images: Annotated[int, Interval(ge=10, le=100_000)] = 10_000
    """At most this many images are used for measuring."""
    holdout_share: Annotated[float, Interval(ge=0.1, le=0.9)] = 0.5
    """Share of labelled images kept from training for measuring, when a method trains on them."""
    rescan: bool = True
    """Scan the students for classes that stand out in them and not in the teacher, where a backdoor may have
    been dormant. At effort ``quick``, or ``thorough`` if the audit's is. It warns and never decides."""
