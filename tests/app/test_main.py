from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_importing_the_application_loads_neither_torch_nor_numpy():
    probe = "import app.main, sys; print(sorted({'torch', 'numpy', 'PIL', 'matplotlib'} & set(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert found.stdout.strip() == "[]"
