"""B18, the liar in sync: whoever asks it for a certificate, for bytes, for final blocks or for the end of an epoch is
given something else.

Each lie is caught at its first bad item, costs the asker one answer, and another peer is asked.
"""

from collections.abc import Iterator
from dataclasses import replace as with_fields
from itertools import count

from msgspec.structs import replace

from consensus.effects import Block
from consensus.messages import Certified, Payload, WantCertificate, encode_message
from consensus.types import Ref
from ledger.certificates import Certificate
from tests.support.simulator_app import digest_of
from tests.support.simulator_node import Node
from tests.support.simulator_sync import Range
from tests.support.simulator_traitors.traitor import Traitor, Words, another_block, open_words


class SyncLiar(Traitor):
    """The right name over wrong bytes; certificates of another view or of the wrong kind; ranges from a false height,
    with a changed block, without an end, or proven by a certificate that proves nothing."""

    fault = "B18"

    def __init__(self) -> None:
        self.turn = 0

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        message, payload = open_words(data)
        if isinstance(message, Payload):
            return [(to, encode_message(message, payload[::-1])), (to, encode_message(message, payload * 2))]
        if isinstance(message, Certified) and to is not None:
            return [(to, encode_message(one)) for one in self._false_answers(node, message.certificate)]
        return [(to, data)]

    def _false_answers(self, node: Node, asked: Certificate) -> list[Certified | WantCertificate]:
        """An old truth three times, or the asked one under another kind or epoch, or a question in return."""
        self.turn += 1
        first = node.core._state.views.get(1) if node.core is not None else None
        old = first.best_entry() if first is not None else None
        if self.turn % 3 == 0:
            return [Certified(replace(asked, kind="notarize" if asked.kind == "finalize" else asked.kind))]
        if self.turn % 3 == 1 and old is not None:
            return [Certified(old)] * 3
        return [WantCertificate(asked.epoch, "notarize", 2**53 - 1)]

    def offer(self, node: Node, honest: Range | None) -> Range | None:
        self.turn += 1
        blocks = list(honest.blocks) if honest is not None else []
        if honest is None or not blocks:
            return None
        match self.turn % 5:
            case 0:
                return with_fields(honest, blocks=blocks[1:])  # of a false height
            case 1:
                return with_fields(honest, blocks=[_changed(blocks[0]), *blocks[1:]])
            case 2:
                return with_fields(honest, blocks=_endless(blocks))
            case 3:
                return with_fields(honest, certificate=replace(honest.certificate, kind="notarize"))
            case _:
                return with_fields(honest, blocks=[*blocks, _changed(blocks[-1])])


def _changed(block: Block) -> Block:
    """A valid block that nobody voted for."""
    other = another_block(block.payload)
    return Block(Ref(block.ref.view, digest_of(other)), other)


def _endless(blocks: list[Block]) -> Iterator[Block]:
    """Every block again and again, for ever."""
    return (blocks[i % len(blocks)] for i in count())
