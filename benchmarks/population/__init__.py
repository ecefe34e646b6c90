"""How well the verdict does on networks whose truth is known (docs/evaluation.md)."""
