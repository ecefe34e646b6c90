"""Reference sets out of folders of clean checkpoints."""
