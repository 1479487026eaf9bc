"""Ways to spoil a dossier. Each takes the canonical JSON of one, and another to take parts from; chance is given."""

import random
from collections.abc import Callable
from typing import Any

from ledger.encoding import decode, encode
from tests.support.dossiers import Sample

Tamper = Callable[[random.Random, bytes, bytes], bytes]
LISTS = ("epochs", "headers", "entries", "transactions", "carried", "heads", "records", "policies", "payments")
STRANGE: tuple[Any, ...] = (None, True, False, 0, 1, -1, 2**53 - 1, "", "0" * 64, [], {})


def _lists(draw: random.Random, file: dict[str, Any], least: int) -> list[Any] | None:
    """One of the lists with at least so many items, also from inside: paths, writes, endorsements, siblings."""
    found = [part for part in _parts(file) if isinstance(part, list) and len(part) >= least]
    outer = [file[name] for name in LISTS if len(file[name]) >= least]
    return draw.choice(outer if outer and draw.random() < 0.7 else found or [None])


def _parts(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(part for item in inner for part in _parts(item))]


def _place(draw: random.Random, value: Any) -> tuple[Any, Any]:
    """A holder and the key or index of one value in it, every depth alike."""
    while True:
        names = list(value) if isinstance(value, dict) else list(range(len(value)))
        name = draw.choice(names)
        if not isinstance(value[name], dict | list) or not value[name] or draw.random() < 0.25:
            return value, name
        value = value[name]


def flip_byte(draw: random.Random, data: bytes, other: bytes) -> bytes:
    at = draw.randrange(len(data))
    return data[:at] + bytes([data[at] ^ draw.randrange(1, 256)]) + data[at + 1 :]


def change_digit(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """The file stays canonical JSON of the right form: one digit becomes another."""
    while True:
        at = draw.randrange(len(data))
        if data[at] in b"0123456789abcdef":
            return data[:at] + bytes([draw.choice([c for c in b"123456789abcdef" if c != data[at]])]) + data[at + 1 :]


def change_value(draw: random.Random, data: bytes, other: bytes) -> bytes:
    file = decode(data)
    holder, name = _place(draw, file)
    holder[name] = draw.choice(
        [item for item in STRANGE if item != holder[name] or type(item) is not type(holder[name])]
    )
    return encode(file)


def drop_field(draw: random.Random, data: bytes, other: bytes) -> bytes:
    file = decode(data)
    holder, name = _place(draw, file)
    del holder[name]
    return encode(file)


def add_field(draw: random.Random, data: bytes, other: bytes) -> bytes:
    file = decode(data)
    draw.choice([part for part in _parts(file) if isinstance(part, dict)])["extra"] = draw.choice(STRANGE)
    return encode(file)


def remove_item(draw: random.Random, data: bytes, other: bytes) -> bytes:
    file = decode(data)
    items = _lists(draw, file, 1)
    assert items
    del items[draw.randrange(len(items))]
    return encode(file)


def double_item(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """The same item twice, the first of the two perhaps changed: whoever looks at the last one only is deceived."""
    file = decode(data)
    items = _lists(draw, file, 1)
    assert items
    at = draw.randrange(len(items))
    items.insert(at, decode(encode([items[at]]))[0])
    if isinstance(items[at], dict) and draw.random() < 0.5:
        holder, name = _place(draw, items[at])
        holder[name] = draw.choice(STRANGE)
    return encode(file)


def reorder(draw: random.Random, data: bytes, other: bytes) -> bytes:
    file = decode(data)
    items = _lists(draw, file, 2)
    assert items
    first, second = draw.sample(range(len(items)), 2)
    items[first], items[second] = items[second], items[first]
    return encode(file)


def truncate(draw: random.Random, data: bytes, other: bytes) -> bytes:
    file = decode(data)
    items = _lists(draw, file, 1)
    assert items
    del items[draw.randrange(len(items)) :]
    return encode(file)


def swap_field(draw: random.Random, data: bytes, other: bytes) -> bytes:
    file, foreign = decode(data), decode(other)
    name = draw.choice([name for name in file if name not in ("v", "kind")])
    file[name] = foreign[name]
    return encode(file)


def swap_part(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """An item, or one field of an item, from another dossier."""
    file, foreign = decode(data), decode(other)
    name = draw.choice([name for name in LISTS if file[name] and foreign[name]] or ["anchor"])
    if name == "anchor":
        return swap_field(draw, data, other)
    at, item = draw.randrange(len(file[name])), draw.choice(foreign[name])
    if draw.random() < 0.5:
        file[name][at] = item
    else:
        field = draw.choice(list(item))
        file[name][at][field] = item[field]
    return encode(file)


def swap_proofs(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """Two paths of one file change places."""
    file = decode(data)
    items = [item for name in ("headers", "entries", "heads") for item in file[name]]
    first, second = draw.sample(items, 2)
    first["path"], second["path"] = second["path"], first["path"]
    return encode(file)


def other_genesis(draw: random.Random, data: bytes, other: bytes) -> bytes:
    file = decode(data)
    holder, name = _place(draw, file["genesis"])
    holder[name] = draw.choice(STRANGE)
    return encode(file)


def other_certificate(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """The kind, view, signers or digest of a certificate, or one of another file or epoch."""
    file, foreign = decode(data), decode(other)
    held = draw.choice([file["anchor"], *file["epochs"]])
    given = draw.choice([foreign["anchor"], *foreign["epochs"], *file["epochs"], file["anchor"]])["certificate"]
    field = draw.choice([*given, "all"])
    if field == "kind":
        held["certificate"]["kind"] = draw.choice(["notarize", "nullify"])
    elif field == "signers":
        held["certificate"]["signers"] = draw.choice(["00", "01", "07", "0e", "1f", "ff", "0f00", ""])
    elif field == "all":
        held["certificate"] = given
    else:
        held["certificate"][field] = given[field]
    return encode(file)


def other_fields(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """A document shown in part: its leaves, salts, fields and what tells it from a whole one, mixed up."""
    file = decode(data)
    records = [item for item in file["records"] if item["secret"] is None]
    if not records:
        return other_certificate(draw, data, other)
    item = draw.choice(records)
    leaves, salts, document = item["leaves"], item["salts"], item["document"]
    hidden = [at for at, leaf in enumerate(leaves) if leaf is not None]
    at, name = draw.choice(hidden), draw.choice(list(document))
    kind = draw.randrange(8)
    if kind == 0:  # two leaves change places, or one takes the place of a shown field
        place = draw.randrange(len(leaves))
        leaves[at], leaves[place] = leaves[place], leaves[at]
    elif kind == 1:  # the boundary of two hashes moves: the node above them stays the same
        first, second = leaves[at], leaves[at - 1]
        leaves[at], leaves[at - 1] = (first or "")[2:], (second or "") + (first or "")[:2]
    elif kind == 2:
        leaves[at] = None
    elif kind == 3:  # one more field, with or without a place of its own
        document["zzz"], salts["zzz"] = draw.choice(STRANGE), "00" * 32
        leaves += [None] * draw.randrange(2)
    elif kind == 4:
        salts[name] = draw.choice(
            ["00" * 32, salts[name].upper(), salts[name] + "00", draw.choice(list(salts.values()))]
        )
    elif kind == 5:
        item["secret"] = draw.choice(["00" * 32, salts[name]])
    elif kind == 6:  # a field is hidden whole, or only half
        del document[name]
        for part in draw.choice([(), (salts,)]):
            del part[name]
    else:
        document[name] = draw.choice(STRANGE)
    return encode(file)


def oversize(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """A list beyond its bound, numbers beyond theirs, nesting beyond its depth, or text after the end."""
    file = decode(data)
    kind = draw.randrange(4)
    if kind == 0:
        file["entries"] = file["entries"] * (10_001 // len(file["entries"]) + 1)
        return encode(file)
    if kind == 1:
        return data.replace(b'"height":', b'"height":1' + b"0" * draw.randrange(17, 5_000), 1)
    if kind == 2:
        return data.replace(b'"genesis":', b'"genesis":' + b"[" * draw.randrange(32, 100_000), 1)
    return data + draw.choice([b" ", b"\n", b"{}", b"\0"])


TAMPERINGS: tuple[Tamper, ...] = (
    flip_byte,
    change_digit,
    change_value,
    drop_field,
    add_field,
    remove_item,
    double_item,
    reorder,
    truncate,
    swap_field,
    swap_part,
    swap_proofs,
    other_genesis,
    other_certificate,
    other_fields,
    oversize,
)


def tampered(draw: random.Random, samples: tuple[Sample, ...], encoded: list[bytes]) -> tuple[str, Sample, bytes]:
    """One spoilt dossier: the way it was done, the one it was made of, the file."""
    at = draw.randrange(len(samples))
    way = draw.choice(TAMPERINGS)
    return way.__name__, samples[at], way(draw, encoded[at], draw.choice(encoded))
