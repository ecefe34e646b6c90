"""RobustKD (arXiv 2406.03409): distill features whose excess variance a bounded edit has removed."""
