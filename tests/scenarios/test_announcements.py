"""What the calendar of announcements may say of figures that are still to come."""

from itertools import pairwise

from scopegate.exchange.symbols import DAY
from scopegate.testing import World


async def test_a_later_figure_does_not_tell_the_one_before_it_too_early(world: World) -> None:
    client = world.connect()
    now = int(world.clock.now())
    ask = {"economic_calendar": 1, "start_date": now - 90 * DAY, "end_date": now + 90 * DAY}
    events = (await client.ask(ask | {"currency": "USD"}))["economic_calendar"]["events"]
    for name in {event["event_name"] for event in events}:
        of_name = [event for event in events if event["event_name"] == name]
        for before, after in pairwise(of_name):
            assert ("previous" in after) == (before["release_date"] <= now)
