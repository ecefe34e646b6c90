"""The edge: the only part that speaks HTTP."""
