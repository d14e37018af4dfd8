"""Price processes: a class for each way in which a symbol moves (`exchange.symbols.Motion`).

Rules of this package:

- The results of a process depend on the seed and the symbol alone. It only caches anchors and what
  was computed with them, which may be dropped at any time.
- Everything that determines a price is integer arithmetic on raw bits (`exchange.processes.bits`),
  so that every machine computes the same bytes.
- Every midnight has an anchor, computed from the anchor before it with one large random step. Each
  day is filled in separately between its two anchors, with one small random step a tick. So the
  recursion is as long as the number of days, and any day costs the same.
- Only normal steps are tied to the anchors. Other moves (jumps, spikes, a drift) belong to a day
  and are added to its total unchanged: a correction would show in the small steps, and reveal the
  rest of the day.
"""
