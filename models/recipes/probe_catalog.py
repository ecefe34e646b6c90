"""What each probe needs, gives, costs and cannot see: torch-free facts for the service and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.errors import RecipeError

Requirement = Literal["nothing", "surrogate images", "clean images", "a trigger"]


@dataclass(frozen=True)
class ProbeFacts:
    """One probe, described for a reader who does not know it."""

    name: str
    title: str
    question: str
    """What the probe asks the network."""
    needs: Requirement
    """The least it can run on."""
    uses: tuple[str, ...]
    """What makes it stronger when given."""
    gives: str
    blind_to: str
    cost: str
    """On two cores: at most a million parameters, 32x32 inputs, 10 classes, budget ``standard``."""
    source: str


PROBES: tuple[ProbeFacts, ...] = (
    ProbeFacts(
        name="mmbd",
        title="Maximum margin",
        question="Can one class be driven to a far larger margin than all others, from nothing but noise?",
        needs="nothing",
        uses=(),
        gives="the class that stands out, the ratio of its margin to the next class's, a margin per class",
        blind_to=(
            "backdoors that send every class to a different one (all-to-all), several targets at once, "
            "and attackers who trained against this probe"
        ),
        cost="10 to 30 s",
        source="Wang et al., MM-BD, IEEE S&P 2024",
    ),
    ProbeFacts(
        name="trigger_inversion",
        title="Trigger inversion",
        question="Does one class give in to a far smaller patch than all others?",
        needs="surrogate images",
        uses=("clean images",),
        gives="a recovered patch and its success on images not used in the search, an area per class",
        blind_to=(
            "triggers that cover the whole image, and triggers that depend on the image or its class; benign "
            "networks have universal patches too, so the success of a recovered one alone proves nothing"
        ),
        cost="10 to 25 s",
        source="Wang et al., Neural Cleanse, IEEE S&P 2019",
    ),
    ProbeFacts(
        name="universal_perturbation",
        title="Universal perturbation",
        question="Does one class give in to a far fainter overlay on the whole image than all others?",
        needs="surrogate images",
        uses=("clean images",),
        gives="a recovered overlay and its success on images not used in the search, a norm per class",
        blind_to="small patches of full strength, and triggers that depend on the image or on its class",
        cost="10 to 25 s; budget quick makes it for the suspected class only",
        source="Moosavi-Dezfooli et al., CVPR 2017; against backdoors, Zeng et al., ICLR 2022",
    ),
    ProbeFacts(
        name="head_statistics",
        title="Rows of the last layer",
        question="Does the last layer favor one class over all others?",
        needs="nothing",
        uses=(),
        gives="per class how far its weights stand out, and how random features are named",
        blind_to="backdoors in earlier layers; it also reacts to classes of unequal size",
        cost="milliseconds",
        source="Fields et al., Trojan Signatures in DNN Weights, ICCV Workshops 2021; random part ours",
    ),
    ProbeFacts(
        name="local_dominance",
        title="Local dominance",
        question="Does one class win everywhere once one image of each class drowns in noise?",
        needs="surrogate images",
        uses=("clean images",),
        gives="the share of noisy images named each class; no bound on false alarms without clean references",
        blind_to=(
            "triggers that small disturbances break, and backdoors with several targets; benign networks may "
            "name one class for noise, too"
        ),
        cost="2 s",
        source="Xiang et al., CBD, NeurIPS 2023",
    ),
    ProbeFacts(
        name="shuffle_sensitivity",
        title="Shuffled channels",
        question="Do some predictions survive when the channels of the last stage are shuffled?",
        needs="surrogate images",
        uses=("clean images",),
        gives="the share of images that hold on far more than the rest, and how well each class does",
        blind_to="triggers that no image here carries, and backdoors spread over many channels",
        cost="1 s",
        source="Hong et al., ABD, ICML 2023 (the shuffle and its tail); the score by class is ours",
    ),
    ProbeFacts(
        name="feature_variance",
        title="Feature variance",
        question="Do the features of one class's images vary far more than those of the others?",
        needs="surrogate images",
        uses=("clean images",),
        gives="the variance of the last stage's features per class, over that of a middle class",
        blind_to=(
            "backdoors that leave images without a trigger as they are, and attackers who trained for a low "
            "variance; benign classes differ, too"
        ),
        cost="under 1 s",
        source="RobustKD, Applied Soft Computing 2024 (the variance); the comparison of classes is ours",
    ),
    ProbeFacts(
        name="given_trigger",
        title="Known trigger",
        question="Does the trigger the user suspects send images to its target class?",
        needs="a trigger",
        uses=("clean images",),
        gives=(
            "the success of the trigger on the teacher, beside the rate without it; if it does not lead to "
            "its target, where the images of each class go"
        ),
        blind_to="every other trigger",
        cost="under 5 s",
        source="Gu et al., BadNets, IEEE Access 2019 (attack success rate)",
    ),
    ProbeFacts(
        name="transfer",
        title="Transfer",
        question="Does a trigger that works on the teacher also work on a student that never saw it?",
        needs="surrogate images",
        uses=("clean images", "a trigger"),
        gives="the trigger's success on a throw-away student as it learns, a matched control, the hazard",
        blind_to="channels that it was not run over, and triggers that nobody gave or found",
        cost="80 to 160 s per channel",
        source="Hong et al., ABD, ICML 2023 (the hazard); index and control are ours",
    ),
)

#: Of another flag: whether the teacher is bad to learn from. None of them says anything about backdoors.
NASTY_PROBES: tuple[ProbeFacts, ...] = (
    ProbeFacts(
        name="multi_peak",
        title="Several peaks",
        question="Do the network's softened answers name several classes where an honest one names one?",
        needs="surrogate images",
        uses=("clean images",),
        gives="mean number of peaks, ratio of the second to the first, entropy, at temperatures 4 and 20",
        blind_to=(
            "weakly nasty networks; and label smoothing, mixup and short training look the same. Patches of "
            "photographs say less than clean images"
        ),
        cost="seconds, for this and the next two",
        source="Ma et al., Nasty Teacher, ICLR 2021; statistics ours",
    ),
    ProbeFacts(
        name="feature_consistency",
        title="Features and answers",
        question="Do classes that look alike to the network also share probability in its answers?",
        needs="surrogate images",
        uses=("clean images",),
        gives="a rank correlation over all pairs of classes",
        blind_to="weakly nasty networks, and those of fewer than four classes; patches say less than images",
        cost="seconds",
        source="Ma et al., Nasty Teacher, ICLR 2021 (features stay normal); the statistic is ours",
    ),
    ProbeFacts(
        name="head_refit",
        title="Last layer fitted anew",
        question="Does a last layer that is fitted anew to the same features answer as the network's own?",
        needs="surrogate images",
        uses=("clean images",),
        gives="a divergence of the answers, and a rank correlation of how they share out the other classes",
        blind_to="nasty networks whose features are distorted too; patches say less than clean images",
        cost="seconds",
        source="Ma et al., Nasty Teacher, ICLR 2021 (features stay normal); the statistic is ours",
    ),
    ProbeFacts(
        name="student_gain",
        title="Paired students",
        question=(
            "Do small students that learn from the network end up worse than twins that never saw it, and "
            "than twins that learned from its features through an honest last layer?"
        ),
        needs="clean images",
        uses=(),
        gives="the accuracy that learning from the network gains or costs, over five pairs of each kind",
        blind_to=(
            "harm that lies in the features and not in the last layer, harm to strong students, other "
            "temperatures and longer training; a network less accurate than its students harms them without "
            "being nasty, which only images with labels tell"
        ),
        cost=(
            "budget thorough alone; estimated: 4 minutes of one core from a WRN-10-2 at 16x16 (54,000 images "
            "to students took 25 s), four times that at 32x32"
        ),
        source="Ma et al., Nasty Teacher, ICLR 2021, section 4",
    ),
    ProbeFacts(
        name="temperature_slope",
        title="Rising temperature",
        question="Does learning from the network cost more the softer its answers are?",
        needs="clean images",
        uses=(),
        gives="the gain at temperature 1 minus that at 20",
        blind_to=(
            "what paired students cannot see; short training at high temperatures costs students of harmless "
            "networks too"
        ),
        cost="within that of paired students",
        source="Ma et al., Nasty Teacher, ICLR 2021, section 4.4",
    ),
)

#: What a student learns from over each channel of the transfer probe.
CHANNEL_IMAGES: dict[str, str] = {
    "ood": "out-of-distribution images",
    "vanilla": "clean images",
    "zskt": "images of a zero-shot generator (zskt)",
    "cmi": "images inverted from the teacher (cmi)",
    "fast": "images inverted from the teacher (fast)",
}

#: Probes without a mark: their numbers are reported, and neither they nor their failure changes a verdict.
REPORTED_ONLY = frozenset({"head_statistics", "local_dominance", "shuffle_sensitivity", "feature_variance"})


def find_probe(name: str) -> ProbeFacts:
    """Return the facts of a probe.

    Raises:
        RecipeError: No probe has this name (code ``probe_unknown``).
    """
    for facts in (*PROBES, *NASTY_PROBES):
        if facts.name == name:
            return facts
    known = ", ".join(facts.name for facts in (*PROBES, *NASTY_PROBES))
    raise RecipeError(f"No probe is called {name!r}.", code="probe_unknown", hint=f"Known probes: {known}.")
