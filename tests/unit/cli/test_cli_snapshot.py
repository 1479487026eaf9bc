"""`claimnode node snapshot` and `join`: from one node's folder to another's."""

import json
from pathlib import Path

from click.testing import CliRunner

from cli.main import claimnode
from tests.support.chain_world import policy
from tests.support.snapshot_world import FinalWorld, open_joined
from tests.support.snapshot_world import final_world as build_world


def _node_folder(folder: Path, world: FinalWorld) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "node.toml").write_text('participant = "insurer-1"\n')
    (folder / "genesis.json").write_bytes(world.network.genesis)
    return folder


def _run(*arguments: object) -> dict[str, object]:
    done = CliRunner().invoke(claimnode, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.output)
    return found


def test_a_snapshot_in_a_folder_and_in_one_file(tmp_path: Path) -> None:
    """O4: the command makes it beside an open store; the other command begins a node with either form."""
    (tmp_path / "own").mkdir()
    world = build_world(tmp_path / "own")
    world.grow(policy())
    first = _node_folder(tmp_path / "first", world)
    (first / "node.toml").write_text(f'participant = "insurer-1"\n[store]\nurl = "{world.place}"\n')
    made = _run("node", "snapshot", first, "--out", tmp_path / "snapshot")
    packed = _run("node", "snapshot", first, "--out", tmp_path / "packed", "--pack")
    assert made["height"] == packed["height"] == 1
    for name in ("snapshot", "packed"):
        folder = _node_folder(tmp_path / f"from-{name}", world)
        assert _run("node", "join", folder, "--snapshot", tmp_path / name)["state_root"] == made["state_root"]
        joined = open_joined(folder / "data", world)
        assert joined.chain.final.header_hash == world.chain.final.header_hash
        joined.close()
    world.close()
