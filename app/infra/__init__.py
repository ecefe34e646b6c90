"""Blobs and the queue: what the service keeps outside the database."""
