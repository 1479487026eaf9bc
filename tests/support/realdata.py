"""Vectors and data sets of other projects, read in place: the folder named by CLAIMNODE_REAL_DATA.

Where the variable is set, tests that need the folder must run: a missing file then fails, it never skips.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "CLAIMNODE_REAL_DATA"
_REASON = f"{VARIABLE} is not set; it names the folder of published vectors and data sets"

requires_real_data = [pytest.mark.realdata, pytest.mark.skipif(VARIABLE not in os.environ, reason=_REASON)]
"""`pytestmark = requires_real_data` for a module; `pytest.param(..., marks=requires_real_data)` for a case."""


def real_data_dir(*parts: str) -> Path:
    """The folder, or a file or folder in it. Skips if the variable is unset, fails if the path is missing."""
    if VARIABLE not in os.environ:
        pytest.skip(_REASON)  # a user's machine has no such folder; the gate sets the variable, so nothing skips there
    path = Path(os.environ[VARIABLE]).joinpath(*parts)
    if not path.exists():
        pytest.fail(f"{VARIABLE} is set, but {path} does not exist")
    return path


def read_json(*parts: str) -> Any:
    """A JSON file of the folder."""
    return json.loads(real_data_dir(*parts).read_bytes())


def wycheproof_tests(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(group, test) of one Wycheproof file; fails if the file's own count differs."""
    document = read_json("vectors", "wycheproof", "testvectors_v1", name)
    found = [(group, test) for group in document["testGroups"] for test in group["tests"]]
    assert len(found) == document["numberOfTests"]
    return found
