// The explorer's running streams: request, message count, chart and a stop button of each.

import { candleChart, lineChart } from "/assets/chart.js";
import { byId, colouredJson, counted, fill, h, notice } from "/assets/dom.js";
import { withoutSecrets } from "/assets/explorer-frames.js";

/** The list in an element; `part` is the section around it, hidden while no stream is there. */
export class StreamList {
  #element;
  #part;
  #running = new Set();

  constructor(element, part) {
    this.#element = element;
    this.#part = part;
  }

  /**
   * Subscribes on `api`. `answered(message)` gets the first reply, or `failed(error)` why there is
   * none. `needs` says whether the stream belongs to an account.
   */
  start(api, request, { needs, answered, failed }) {
    const { subscribe, ...plain } = request;
    let card = null;
    const handle = api.stream(
      plain,
      (message) => {
        if (card === null) {
          card = new StreamCard(plain, needs, () => {
            handle.stop();
            this.#remove(card);
          });
          this.#add(card);
          answered(message);
        }
        card.show(message);
      },
      (error) => {
        if (card === null) {
          failed(error);
        } else {
          card.ended(error.message);
        }
      },
    );
  }

  /** The signed-in user has changed: the gateway has ended the streams of accounts. */
  endOfAccounts() {
    for (const card of [...this.#running]) {
      if (card.needs) {
        card.stop();
      }
    }
  }

  #add(card) {
    this.#running.add(card);
    this.#part.hidden = false;
    this.#element.append(card.element);
  }

  #remove(card) {
    const hadFocus = card.element.contains(document.activeElement);
    this.#running.delete(card);
    card.remove();
    this.#part.hidden = this.#running.size === 0;
    if (hadFocus) {
      (this.#element.querySelector("button") ?? byId("request-text")).focus();
    }
  }
}

class StreamCard {
  element;
  needs;
  stop;
  #count = 0;
  #counter = h("span", { class: "quiet-text numeric" });
  #latest = h("pre", { class: "block latest" });
  #button;
  #charts = h("div", { class: "stream-charts" });
  #chartOf = new Map(); // symbol -> chart
  #digits = 2;
  #frame = 0;
  #message = null;
  #note = h("div", {});

  constructor(request, needs, stop) {
    this.needs = needs;
    this.stop = stop;
    const text = JSON.stringify(withoutSecrets(request));
    this.#button = h(
      "button",
      { type: "button", class: "small", onclick: stop },
      "Stop",
      h("span", { class: "sr-only" }, ` ${text}`),
    );
    this.element = h(
      "article",
      { class: "card stream" },
      h(
        "div",
        { class: "head" },
        h("code", {}, text),
        h("div", { class: "stream-side" }, this.#counter, this.#button),
      ),
      this.#note,
      this.#charts,
      h("details", {}, h("summary", {}, "Latest message"), this.#latest),
    );
  }

  show(message) {
    this.#count += 1;
    this.#message = message;
    this.#draw(message);
    // Many may come between two frames of the screen; only the last is shown.
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#counter.textContent = counted(this.#count, "message");
      fill(this.#latest, colouredJson(withoutSecrets(this.#message)));
    });
  }

  ended(sentence) {
    fill(this.#note, notice("warning", `The stream has ended. ${sentence}`));
    this.#button.firstChild.textContent = "Remove";
  }

  remove() {
    cancelAnimationFrame(this.#frame);
    this.#chartOf.forEach((chart) => chart.destroy());
    this.element.remove();
  }

  #draw(message) {
    const { history, candles, tick, ohlc, pip_size: pips } = message;
    const symbol = tick?.symbol ?? ohlc?.symbol ?? message.echo_req?.ticks_history;
    this.#digits = pips ?? tick?.pip_size ?? ohlc?.pip_size ?? this.#digits;
    if (history) {
      this.#chart(symbol, lineChart).set(history.times.map(Number), history.prices.map(Number));
    } else if (candles) {
      this.#chart(symbol, candleChart).set(candles);
    } else if (tick) {
      this.#chart(symbol, lineChart).add(tick.epoch, Number(tick.quote));
    } else if (ohlc) {
      this.#chart(symbol, candleChart).put(ohlc);
    }
  }

  #chart(symbol, make) {
    let chart = this.#chartOf.get(symbol);
    if (chart === undefined) {
      const place = h("div", { class: "chart" });
      this.#charts.append(h("figure", {}, h("figcaption", {}, symbol), place));
      const what = make === lineChart ? "ticks" : "candles";
      chart = make(place, { label: `${symbol}: ${what} of this stream`, digits: this.#digits });
      this.#chartOf.set(symbol, chart);
    }
    return chart;
  }
}
