"""The service: HTTP edge, use cases and tables. Imports no torch, even indirectly."""
