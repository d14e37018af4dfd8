// A chart of a symbol's ticks as they come, on the page's own connection.

import { lineChart } from "/assets/chart.js";
import { api } from "/assets/session.js";

/** How many ticks are shown: the last two minutes of a symbol that ticks each second. */
const SHOWN = 120;

/**
 * Draws the ticks of `symbol` in `place`, until `stop()`; `setMarks` is that of `lineChart`.
 *
 * `onPrice(text)` gets each price as it is written, `onLive()` each time that the history is there,
 * `onError(error)` why no prices come.
 */
export function liveChart(place, symbol, label, { onPrice, onLive = () => {}, onError }) {
  const chart = lineChart(place, { label, most: SHOWN });
  let digits = 2;
  const quote = (price) => onPrice(price.toFixed(digits));
  const stream = api.stream(
    { ticks_history: symbol, end: "latest", count: SHOWN },
    ({ history, tick, pip_size: pips }) => {
      if (history) {
        digits = pips;
        chart.setDigits(pips);
        chart.set(history.times.map(Number), history.prices.map(Number));
        quote(Number(history.prices.at(-1)));
        onLive();
      } else if (tick) {
        chart.add(tick.epoch, tick.quote);
        quote(tick.quote);
      }
    },
    onError,
  );
  return {
    setMarks: (marks) => chart.setMarks(marks),
    stop() {
      stream.stop();
      chart.destroy();
    },
  };
}
