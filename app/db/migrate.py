"""Bring a database's tables to the version of this code."""

from __future__ import annotations

from importlib.util import find_spec

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory


def upgrade(url: str, revision: str = "head") -> None:
    """Upgrade the database at ``url``, which may be new and empty."""
    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str = "base") -> None:
    """Take migrations back; ``base`` drops every table."""
    command.downgrade(_config(url), revision)


def is_known(revision: str) -> bool:
    """Whether this version has the migration that leads to ``revision``."""
    script = ScriptDirectory.from_config(_config(""))
    return any(known.revision == revision for known in script.walk_revisions())


def _config(url: str) -> Config:
    """Find the migrations beside this package, installed or in a checkout."""
    spec = find_spec("migrations")
    if spec is None or not spec.submodule_search_locations:
        msg = "the migrations folder is not installed beside the app package"
        raise RuntimeError(msg)
    config = Config()
    config.set_main_option("script_location", spec.submodule_search_locations[0].replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    return config
