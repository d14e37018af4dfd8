"""How prices come about: a class for each law by which a symbol moves.

Rules of this package:

- What a process tells depends on the seed and the symbol alone. The one thing that is kept is the
  list of anchors, which may be dropped at any time.
- Whatever decides a price is integer arithmetic on raw bits (`exchange.processes.bits`), so that
  every machine comes to the same bytes.
- Every midnight has an anchor, found from the anchor before it by one large random step. A day is
  filled in between its two anchors, by itself, with one small random step a tick. So the recursion
  is as long as the number of days, and any day costs the same.
- Only normal steps are tied to the anchors. Whatever else moves a price (jumps, spikes, a drift)
  belongs to a day and enters its total as it is: a correction would show in the small steps, and
  give away the rest of the day.
"""
