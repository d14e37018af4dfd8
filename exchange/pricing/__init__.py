"""Closed formulas for the probability that a contract pays, or for its value.

Rules of this package:

- Pure: numbers in, a number out. Prices and levels are in pips, as floats where they need not be
  whole; a `PriceDistribution` is the distribution of the log price between the ticks that matter.
  No interest.
- A price is seen once a tick and rounded to a whole pip. So "above 100" means an unrounded price
  over 100.5: callers shift a level by half a pip, and formulas for continuous paths move the level
  away by `SHIFT` standard deviations of a tick.
- No margins, money or symbols. Only `cancellation` takes amounts of money, in any unit.

Sources, by the names used below:

- Black, Scholes 1973: The Pricing of Options and Corporate Liabilities. Black 1976.
- Reiner, Rubinstein 1991: Unscrambling the Binary Code.
- Broadie, Glasserman, Kou 1997: A Continuity Correction for Discrete Barrier Options; 1999:
  Connecting Discrete and Continuous Path-Dependent Options.
- Kunitomo, Ikeda 1992: Pricing Options with Curved Boundaries. Pelsser 2000: Pricing Double Barrier
  Options Using Laplace Transforms.
- Gray, Whaley 1999: Reset Put Options. Plackett 1954: A Reduction Formula for Normal Multivariate
  Integrals.
- Goldman, Sosin, Gatto 1979: Path Dependent Options.
- Merton 1976: Option Pricing When Underlying Stock Returns Are Discontinuous.
- Siegmund 1985: Sequential Analysis.
"""
