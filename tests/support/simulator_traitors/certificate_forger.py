"""B9, B10, B15, the forger of certificates: too few signers, doubled, foreign or mixed ones, or the end of time."""

from collections.abc import Iterator

from msgspec.structs import replace

from consensus.messages import Certified, encode_message
from ledger.certificates import Certificate, bitmap_bytes
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, Words, open_words

LAST_VIEW = 2**53 - 1


class CertificateForger(Traitor):
    """Each true certificate is followed by one false one; each kind of falsehood has its turn."""

    fault = "B9"

    def __init__(self) -> None:
        self.turn = 0

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        message, _ = open_words(data)
        if not isinstance(message, Certified):
            return [(to, data)]
        false = list(forgeries(message.certificate, len(node.config.validators)))
        self.turn += 1
        return [(to, data), (to, encode_message(Certified(false[self.turn % len(false)])))]


def forgeries(true: Certificate, n: int) -> Iterator[Certificate]:
    """Everything that can be made of a true certificate without anybody's key."""
    size = bitmap_bytes(n)
    everybody = ((1 << n) - 1).to_bytes(size, "little").hex()
    yield replace(true, signers="00" * size)
    yield replace(true, signers="01" + "00" * (size - 1), signatures=true.signatures[:1])
    yield replace(true, signers="ff" * size)
    yield replace(true, signers=true.signers + "00")
    yield replace(true, signers=everybody, signatures=(true.signatures[0],) * n)
    yield replace(true, signatures=true.signatures[::-1] if len(true.signatures) > 1 else ("00" * 96,))
    yield replace(true, signatures=("c0" + "00" * 95,))
    yield replace(true, view=true.view + 1)
    yield replace(true, view=LAST_VIEW)
    yield replace(true, view=0)
    yield replace(true, epoch=true.epoch + 1)
    yield replace(true, epoch=LAST_VIEW)
    if true.kind == "nullify":
        yield replace(true, kind="notarize", digest="ab" * 32)
    else:
        yield replace(true, digest="ab" * 32)
        yield replace(true, parent_view=true.view)
        yield replace(true, kind="nullify", parent_view=0, digest=None)
        yield replace(true, kind="finalize" if true.kind == "notarize" else "notarize")
