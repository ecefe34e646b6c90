from dataclasses import replace

from models.report.figures import recorded_values, training_curves
from models.results.training import CurvePoint
from tests.models.report.sample import document

#: As the fast method records: what images are made by, in a warm-up that alone.
MADE = {"one_hot_loss": 2.0, "statistics_loss": 900.0, "vaccine_term": 0.0, "inversion_loss": 901.0}
WARM = tuple(CurvePoint(step, {**MADE, "loss": 901.0}) for step in (10, 20))
LEARNING = tuple(CurvePoint(step, {**MADE, "loss": 0.5, "agreement": 0.8}) for step in (30, 40))


def test_the_first_curves_are_the_students():
    """Of a student by the fast method three terms of its generator were drawn, and nothing of its own."""
    student = replace(document().distillation.students[0], curve=WARM + LEARNING)
    assert recorded_values([student])[:3] == ["loss", "agreement", "one_hot_loss"]


def test_the_generators_loss_in_a_warm_up_is_not_drawn_as_the_students():
    student = replace(document().distillation.students[0], curve=WARM + LEARNING)
    learning = replace(student, curve=LEARNING)
    assert training_curves([student], "loss") == training_curves([learning], "loss")
    assert training_curves([student], "one_hot_loss") != training_curves([learning], "one_hot_loss")


def test_a_loss_beside_which_no_agreement_is_recorded_is_drawn():
    student = replace(document().distillation.students[0], curve=WARM)
    first_alone = replace(student, curve=WARM[:1])
    assert training_curves([student], "loss") != training_curves([first_alone], "loss")
