from tests.service_room import database_url, room, shared_postgresql_url, sqlite_template, sqlite_url

__all__ = ["database_url", "room", "shared_postgresql_url", "sqlite_template", "sqlite_url"]
