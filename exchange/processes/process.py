"""The interface of all price processes."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.hours import Place


class Process(ABC):
    """The states of one symbol, a whole number for every tick, and the prices of these states.

    Days are counted from `exchange.hours.EARLIEST`; queries about a day before it raise
    `ValueError`.
    """

    @abstractmethod
    def path(self, day: int) -> NDArray[np.int64]:
        """The states at all ticks of the day; none on a day on which the market is closed."""

    @abstractmethod
    def pips(self, state: int) -> int:
        """The price of a state, in pips. It never decreases as the state increases."""

    @abstractmethod
    def pips_array(self, states: NDArray[np.int64]) -> NDArray[np.int64]:
        """The result of `pips` for each element, exactly."""

    @abstractmethod
    def drift(self, day: int) -> float:
        """The mean step of the log price from one tick of the day to the next."""

    @abstractmethod
    def growth(self, day: int) -> int:
        """The growth of the logarithm of the expected price with each tick of the day.

        In units of 1 / `exchange.fixedpoint.ONE`, for every step from the day's first tick up to
        the first tick of the next market day. It depends on nothing later than the day's first
        tick. The price divided by its expected growth since any earlier tick is a martingale. 0 on
        a day without ticks.
        """

    @abstractmethod
    def distribution(
        self, known_day: int, state: int, first: Place, last: Place
    ) -> PriceDistribution:
        """The distribution of the move from the tick `first` to the tick `last`.

        `state` is the latest known state, on `known_day`, not after `first`: nothing later is used.
        """
