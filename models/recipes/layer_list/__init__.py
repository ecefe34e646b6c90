"""Networks of the user's own, described by a list of layers. Data, never code; no torch, no NumPy."""
