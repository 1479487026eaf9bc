"""The parameters of an insurer's risk grades, from its own folder.

Knows where the file is. Must not know a figure. Must always hold: a node that is told to grade and cannot read its
parameters does not start: claims would pass that its people believe to be graded.
"""

from pathlib import Path

from contracts.risk.parameters import (
    DEFAULTS,
    MAX_PARAMETERS,
    Parameters,
    ParametersError,
    decode_parameters,
    parse_parameters,
)
from node.config import RiskConfig
from node.errors import ConfigError


def load_risk(folder: Path, config: RiskConfig) -> Parameters | None:
    """What claims are graded with; None where grading is off. Raises ConfigError `config` with every fault."""
    if not config.enabled:
        return None
    if config.parameters_file is None:
        return DEFAULTS
    path = folder / config.parameters_file
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PARAMETERS + 2)
    except OSError as error:
        raise ConfigError("config", [("risk.parameters_file", f"{path}: {error.strerror}")]) from None
    try:
        return parse_parameters(data) if path.suffix == ".toml" else decode_parameters(data.rstrip(b"\r\n"))
    except ParametersError as error:
        raise ConfigError("config", [("risk.parameters_file", f"{path}: {fault}") for fault in error.faults]) from None
