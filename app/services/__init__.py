"""Use cases. No HTTP, no torch, and no commit: the caller owns the transaction."""
