"""The attack lab: poisoned teachers and their clean twins, each made from one recipe, to measure defenses."""

from models.data.labelled import LabelledImages
from models.lab.teachers import LabTeacher, make_teacher, matched_clean

__all__ = ["LabTeacher", "LabelledImages", "make_teacher", "matched_clean"]
