"""The worker: Celery glue around one child process per job. Nothing here is worth importing elsewhere."""
