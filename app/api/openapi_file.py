"""Write the OpenAPI document to a file: ``python -m app.api.openapi_file docs/openapi.json``."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.main import create_app

#: Other releases of these write the same contract in other words.
GENERATORS = ("fastapi", "pydantic")


def document() -> dict[str, Any]:
    """Return the document, with the versions that wrote it."""
    generated_with = {name: version(name) for name in GENERATORS}
    return {**create_app().openapi(), "x-generated-with": generated_with}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(document(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
