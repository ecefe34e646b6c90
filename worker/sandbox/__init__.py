"""The job's own process: how it is started, and how it talks."""
