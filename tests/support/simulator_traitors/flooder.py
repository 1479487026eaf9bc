"""B16, X3, the flooder: votes for views far away, questions, answers nobody asked for, each well formed and useless."""

from consensus.messages import (
    AskPosition,
    Payload,
    TellPosition,
    VoteCast,
    WantCertificate,
    WantPayload,
    WantProposalVote,
    encode_message,
)
from ledger.certificates import Kind, Subject
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, Words, sign

BURST = 12
KINDS: tuple[Kind, ...] = ("notarize", "nullify", "finalize")


class Flooder(Traitor):
    """One piece of junk with each true word, now and then a burst of twelve."""

    fault = "B16"

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        """Only honest ones are flooded: two flooders would drown in each other's answers."""
        victims = [one.name for one in node.cluster.honest()] if to is None else [to]
        junk = [(name, self._junk(node)) for name in victims if name not in node.cluster.traitors]
        return [(to, data), *(junk * BURST if node.cluster.chance.random() < 0.3 else junk)]

    def _junk(self, node: Node) -> bytes:
        chance = node.cluster.chance
        view = chance.choice([1, 2, 1_000, 2**31, 2**53 - 1, chance.randrange(1, 500) + 10_000])
        kind, epoch = chance.choice(KINDS), max(1, node.config.epoch + chance.choice([-1, 0, 0, 0, 1]))
        block = (0, None) if kind == "nullify" else (view - 1, chance.randbytes(32).hex())
        match chance.randrange(7):
            case 0 | 1:
                return encode_message(VoteCast(sign(node, Subject(kind, epoch, view, *block))))
            case 2:
                return encode_message(WantCertificate(epoch, kind, view))
            case 3:
                return encode_message(WantPayload(chance.randbytes(32).hex()))
            case 4:
                return encode_message(Payload(chance.randbytes(32).hex()), chance.randbytes(200))
            case 5:
                return encode_message(WantProposalVote(epoch, view))
            case _:
                if chance.random() < 0.5:
                    return encode_message(AskPosition(epoch, view))
                return encode_message(TellPosition(epoch, view, None, None))
