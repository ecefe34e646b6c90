"""Distillation from images recovered from the teacher itself: CMI and the fast method."""
