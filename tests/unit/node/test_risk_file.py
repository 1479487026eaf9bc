"""node.toml `[risk]`: off unless asked for, and a file of parameters that cannot be used stops the start."""

from pathlib import Path

import pytest

from contracts.risk.parameters import DEFAULTS, Parameters, encode_parameters
from node.config import RiskConfig, decode_config
from node.errors import ConfigError
from node.riskfile import load_risk


def test_grading_is_off_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert decode_config(b'participant = "insurer"').risk == RiskConfig()
    assert load_risk(tmp_path, RiskConfig()) is None
    assert load_risk(tmp_path, decode_config(b'participant = "insurer"\n[risk]\nenabled = true').risk) == DEFAULTS


def test_parameters_come_from_the_folder(tmp_path: Path) -> None:
    own = Parameters(version="own-2", split_days=10)
    (tmp_path / "risk.json").write_bytes(encode_parameters(own) + b"\n")
    assert load_risk(tmp_path, RiskConfig(enabled=True, parameters_file="risk.json")) == own


@pytest.mark.parametrize(("name", "text"), [("risk.json", b"{}"), ("risk.toml", b"version = 1"), ("none.json", None)])
def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path, name: str, text: bytes | None) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        load_risk(tmp_path, RiskConfig(enabled=True, parameters_file=name))
    assert "risk.parameters_file" in str(caught.value)
