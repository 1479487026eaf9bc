"""The version of the distribution. Knows nothing else; must equal the version in pyproject.toml."""

from typing import Final

VERSION: Final = "0.1.0"
