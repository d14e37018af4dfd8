"""Worker processes of a gateway, in one process: what one sends, the others have at once."""

from functools import partial

from scopegate.runtime.siblings import Siblings


def siblings(count: int) -> list[Siblings]:
    """So many workers, all of them present."""
    made: list[Siblings] = []

    def transmit_from(sender: int, receiver: int | None, message: bytes) -> None:
        for other in made:
            if other.number != sender and receiver in (None, other.number):
                other.receive(sender, message)

    made += [Siblings(number, count, partial(transmit_from, number)) for number in range(count)]
    for one in made:
        one.set_present(range(count))
    return made
