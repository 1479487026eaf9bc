"""network.toml with every fault at once, and the folders that come of it."""

import json
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from cli import network as network_commands
from cli.errors import CliError
from cli.main import claimnode
from cli.network_config import NetworkConfig, load_network_config
from cli.network_setup import create_network, parse_time
from cli.node_options import open_client
from cli.processes import find_nodes
from contracts.errors import GenesisError
from contracts.genesis import decode_genesis
from ledger.crypto.keys import certificate_der, spki_hash
from node.api.tokens import ALL_SCOPES, Tokens, read_token_file
from node.config import load_config
from node.identity import load_identity

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "network-config" / "demo" / "network.toml"
BASE_MS = 1_736_121_600_000


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("networks") / "net"
    create_network(load_network_config(DEMO), out, base_ms=BASE_MS)
    return out


def load(tmp_path: Path, text: str) -> NetworkConfig:
    path = tmp_path / "network.toml"
    path.write_text(text)
    return load_network_config(path)


def test_every_fault_is_listed_with_its_key_path(tmp_path: Path) -> None:
    text = """
network = "Not An Id"
colour = "blue"
[parameters]
heartbeat_ms = 1
speed = 9
[limits]
block_bytes = "many"
[[participants]]
id = "A"
roles = ["king"]
[[participants]]
id = "bb"
name = "B"
roles = ["hospital"]
control_group = "g"
edge = true
api_port = 70000
"""
    with pytest.raises(CliError) as caught:
        load(tmp_path, text)
    for path in (
        "network: ",
        "colour: ",
        "parameters.heartbeat_ms: ",
        "parameters.speed: ",
        "limits.block_bytes: ",
        "participants.0.id: ",
        "participants.0.name: ",
        "participants.0.roles.0: ",
        "participants.0.control_group: ",
        "participants.1.api_port: ",
    ):
        assert path in caught.value.detail
    assert "has 10 faults" in caught.value.detail


def test_members_that_contradict_each_other_are_all_named(tmp_path: Path) -> None:
    member = """
[[participants]]
id = "aa"
name = "A"
roles = ["hospital"]
control_group = "g"
validator = true
edge = true
peer_port = 7000
api_port = 7000
invoices = [{ region = "CN-33", years = [2024] }]
"""
    with pytest.raises(CliError) as caught:
        load(tmp_path, 'network = "n1"\n' + member + member)
    detail = caught.value.detail
    assert "aa is listed 2 times" in detail
    assert detail.count("a validator must be reachable") == 2
    assert detail.count("only a commission holds invoice keys") == 2
    assert "participants.0.api_port: 127.0.0.1:7000 is also participants.0.peer_port" in detail


@pytest.mark.parametrize("data", [b"\xff", b"network = ", b"x" * 2**20 + b"y"])
def test_files_that_are_no_configuration(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "network.toml"
    path.write_bytes(data)
    with pytest.raises(CliError, match="config"):
        load_network_config(path)


def test_the_demo_network_is_complete(demo: Path) -> None:
    genesis = decode_genesis((demo / "genesis.json").read_bytes())
    assert genesis.time_ms == BASE_MS
    assert [member.id for member in genesis.participants] == [item.name for item in find_nodes(demo)]
    assert sum(member.validator for member in genesis.participants) == 4
    for member in genesis.participants:
        folder = demo / member.id
        config = load_config(folder)
        identity = load_identity(folder, config.participant)
        assert identity.signing.public.hex() == member.signing_keys[0].public_key
        assert spki_hash(certificate_der(identity.transport.certificate_pem)) == member.transport_spki
        assert member.endpoint == f"127.0.0.1:{config.peers.listen_port}"
        assert (folder / "genesis.json").read_bytes() == (demo / "genesis.json").read_bytes()
        assert (identity.finality is not None) == member.validator


def test_ports_are_free_ones_and_never_shared(demo: Path) -> None:
    configs = [load_config(item.folder) for item in find_nodes(demo)]
    ports = [config.peers.listen_port for config in configs] + [config.api.port for config in configs]
    assert len(set(ports)) == len(ports)
    assert all(10_240 <= port < 32_000 for port in ports)


def test_secrets_are_their_owners_alone(demo: Path) -> None:
    for path in demo.rglob("*"):
        if path.parent.name == "keys" or path.name == "tokens.json":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_operator_of_each_node_holds_every_scope(demo: Path) -> None:
    for item in find_nodes(demo):
        token = read_token_file(item.folder / "keys" / "operator.token")
        record = Tokens(item.folder / "data" / "tokens.json").find(token)
        assert record is not None
        assert record.scopes == tuple(sorted(ALL_SCOPES))
        assert open_client(str(item.folder)).folder == item.folder
        assert open_client(str(item.folder)).url == f"http://127.0.0.1:{load_config(item.folder).api.port}"


def test_a_folder_in_use_is_not_touched(demo: Path) -> None:
    before = sorted(path.name for path in demo.iterdir())
    with pytest.raises(CliError, match="not empty"):
        create_network(load_network_config(DEMO), demo, base_ms=None)
    assert sorted(path.name for path in demo.iterdir()) == before


def test_a_network_that_breaks_a_rule_leaves_nothing_behind(tmp_path: Path) -> None:
    text = DEMO.read_text().replace('control_group = "tpa-group"', 'control_group = "insurer-group"')
    text = text.replace('control_group = "commission-group"', 'control_group = "insurer-group"')
    out = tmp_path / "out"
    with pytest.raises(GenesisError) as caught:
        create_network(load(tmp_path, text), out, base_ms=None)
    assert "insurer-group" in caught.value.detail
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("2025-01-06", BASE_MS), ("2025-01-06T08:00:00+08:00", BASE_MS), ("2025-01-06T00:00:00Z", BASE_MS)],
)
def test_times_are_utc_unless_they_say_otherwise(text: str, milliseconds: int) -> None:
    assert parse_time(text) == milliseconds


@pytest.mark.parametrize("text", ["yesterday", "2025-13-01", "1960-01-01"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(CliError, match="time"):
        parse_time(text)


def test_the_command_answers_in_json(tmp_path: Path) -> None:
    result = CliRunner().invoke(claimnode, ["network", "init", str(DEMO), "--out", str(tmp_path / "n"), "--json"])
    answer = json.loads(result.stdout)
    assert answer["nodes"] == ["commission", "hospital", "insurer", "insurer-b", "tpa"]
    assert len(answer["genesis_hash"]) == 64
    down = CliRunner().invoke(claimnode, ["network", "status", str(tmp_path / "n"), "--json"])
    assert down.exit_code == 3
    assert [item["ready"] for item in json.loads(down.stdout)["nodes"]] == [False] * 5
    assert "not ready: commission, hospital" in down.stderr


def test_tokens_by_command(demo: Path, tmp_path: Path) -> None:
    folder, out = str(demo / "insurer"), tmp_path / "desk.token"
    run = CliRunner().invoke
    made = run(claimnode, ["node", "token", "new", folder, "desk", "--scope", "read", "--out", str(out)])
    assert made.exit_code == 0
    assert read_token_file(out) not in made.stdout
    listed = json.loads(run(claimnode, ["node", "token", "list", folder, "--json"]).stdout)
    assert [item["name"] for item in listed["tokens"]] == ["operator", "desk"]
    assert run(claimnode, ["node", "token", "revoke", folder, "desk"]).exit_code == 0
    assert run(claimnode, ["node", "token", "revoke", folder, "desk"]).exit_code == 2


def test_status_names_who_signed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, though every node tells it; nodes that do not answer hinder nobody."""
    told = {
        "offence_id": "ab" * 32,
        "offender": "tpa",
        "kind": "double_notarize",
        "epoch": 1,
        "view": 7,
        "reporter": "hospital",
        "height": 9,
        "tx_id": "cd" * 32,
    }
    answer = {"ready": True, "height": 12, "offences": 1, "evidence": [told]}
    nodes = [SimpleNamespace(name=name, client=SimpleNamespace(url="", status=lambda: answer)) for name in "ab"]
    monkeypatch.setattr(network_commands, "_nodes", lambda folder: nodes)
    text = CliRunner().invoke(claimnode, ["network", "status", "n"]).stdout
    assert text.count("offence of tpa: double_notarize in epoch 1, view 7;") == 1
    assert "height 9 by hospital" in text
    assert "offences" in text
    listed = json.loads(CliRunner().invoke(claimnode, ["network", "status", "n", "--json"]).stdout)["nodes"]
    assert [item["evidence"] for item in listed] == [[told], [told]]
