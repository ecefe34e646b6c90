"""The training loop and what it stands on: monitor, precision, seeds, resume."""
