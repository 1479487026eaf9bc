"""`claimnode keys`: key files of this machine.

Knows the options; making, reading and checking key files is ledger.crypto.keys'. Always true: a secret is never
an argument and never printed; a key is named by its file (a path, or a file: URI) of mode 0600.
"""

from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote, urlsplit

import click

from cli.errors import CliError
from cli.output import json_option, print_json, print_text
from ledger.crypto import bls, ed25519
from ledger.crypto.envelopes import recipient_key_id
from ledger.crypto.hashing import tagged_hash
from ledger.crypto.keys import Algorithm, KeyPair, generate_key, load_key, save_key
from ledger.errors import KeyFileError

MAX_CHALLENGE = 1024
"""Characters of a challenge: a random value, not a document."""


@click.group(name="keys")
def keys() -> None:
    """Make, show and prove key files.

    Example: claimnode keys new ed25519 consent-key.json
    """


@keys.command(name="new")
@click.argument("algorithm", type=click.Choice(get_args(Algorithm)))
@click.argument("file")
@json_option
def new(algorithm: Algorithm, file: str, as_json: bool) -> None:
    """Make a fresh key of ALGORITHM in the new FILE (mode 0600; never over an existing file).

    Example: claimnode keys new ed25519 consent-key.json
    """
    key = generate_key(algorithm)
    save_key(key_path(file), key)
    _print_key(key, as_json)


@keys.command(name="show")
@click.argument("file")
@json_option
def show(file: str, as_json: bool) -> None:
    """Print the public side of the key in FILE: algorithm, public key, key id.

    Example: claimnode keys show consent-key.json --json
    """
    _print_key(_load_any(key_path(file)), as_json)


@keys.command(name="prove")
@click.argument("file")
@click.option("--challenge", help="What the asker wants signed, so that the proof is fresh (Ed25519 keys).")
@json_option
def prove(file: str, challenge: str | None, as_json: bool) -> None:
    """Prove that the secret of the key in FILE is held.

    For a BLS key: its proof of possession, as the registry of a network holds it. For an Ed25519 key: a
    signature over the tagged hash (tag `key-proof`) of the --challenge.

    Example: claimnode keys prove signing.json --challenge 5f2c90e1
    """
    key = _load_any(key_path(file))
    if key.algorithm == "bls12-381":
        proof = bls.prove_possession(key.secret)
    elif key.algorithm == "ed25519":
        if not challenge or len(challenge) > MAX_CHALLENGE:
            raise CliError(
                "challenge", f"an Ed25519 key proves with --challenge TEXT of 1 to {MAX_CHALLENGE} characters"
            )
        proof = ed25519.sign(key.secret, tagged_hash("key-proof", challenge.encode()))
    else:
        raise CliError("algorithm", f"{file}: a key of {key.algorithm} signs nothing; prove it by opening an envelope")
    answer = {**_describe(key), "challenge": challenge, "proof": proof.hex()}
    if as_json:
        print_json(answer)
    else:
        print_text(proof.hex())


def key_path(name: str) -> Path:
    """The path of a key named by a path or a file: URI. Raises CliError `key_uri` for another scheme."""
    parts = urlsplit(name)
    if len(parts.scheme) < 2:  # no scheme, or the drive letter of a path
        return Path(name)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise CliError("key_uri", f"{parts.scheme}: keys are not supported here; name a file or a file: URI")
    return Path(unquote(parts.path))


def _load_any(path: Path) -> KeyPair:
    for algorithm in get_args(Algorithm):
        try:
            return load_key(path, algorithm)
        except KeyFileError as error:
            if error.code != "algorithm":
                raise
    raise KeyFileError("algorithm", f"{path} holds a key of an algorithm that is not known here")


def _describe(key: KeyPair) -> dict[str, Any]:
    signs = key.algorithm == "ed25519"
    key_id = ed25519.key_id(key.public) if signs else recipient_key_id(key.public)
    described = {"algorithm": key.algorithm, "public_key": key.public.hex()}
    return described if key.algorithm == "bls12-381" else {**described, "key_id": key_id}


def _print_key(key: KeyPair, as_json: bool) -> None:
    described = _describe(key)
    if as_json:
        print_json(described)
    else:
        print_text("\n".join(f"{name}: {value}" for name, value in described.items()))
