// A ticket to buy rise or fall by hand, with the live prices of both and a chart of the symbol.
//
// Rules:
// - Each side is a stream of `proposal`; the streams of what is not wanted any more are forgotten
//   first, since a connection may have only a few.
// - What is bought is the proposal whose price is in sight, at no more than that price.

import { busy, byId, errorText, fill, h, money } from "/assets/dom.js";
import { liveChart } from "/assets/live-chart.js";
import { api } from "/assets/session.js";

const FIRST = "1HZ100V";
const TYPING = 300;

/** Builds the ticket; `tradeFor(account)` of it says for which account. */
export function buildTicket(symbols) {
  const form = byId("ticket");
  const sides = [new Side("CALL", "Rise", say), new Side("PUT", "Fall", say)];
  let account = null;
  let typing = 0;

  function say(kind, text) {
    fill(byId("ticket-said"), text && h("p", { class: kind }, text));
  }

  const ask = () => {
    say("", "");
    const wish = wishOf(form, account);
    sides.forEach((side) => side.stop());
    sides.forEach((side) => side.ask(wish, account));
  };

  fill(byId("sides"), sides.map(({ element }) => element));
  offer(form.elements.symbol, symbols);
  form.onsubmit = (event) => event.preventDefault();
  form.oninput = ({ target }) => {
    sides.forEach((side) => side.stop());
    clearTimeout(typing);
    typing = setTimeout(ask, TYPING);
    if (target === form.elements.symbol) {
      showChart(symbols, target.value);
    }
  };
  showChart(symbols, form.elements.symbol.value);
  return {
    tradeFor(another) {
      account = another;
      byId("currency").textContent = account.currency;
      ask();
    },
  };
}

function offer(select, symbols) {
  const groups = new Map();
  for (const symbol of symbols) {
    const { symbol: value, display_name: name, submarket_display_name: group } = symbol;
    const closed = symbol.exchange_is_open ? "" : " (closed now)";
    const option = h("option", { value, selected: value === FIRST }, name + closed);
    groups.set(group, [...(groups.get(group) ?? []), option]);
  }
  fill(select, [...groups].map(([label, options]) => h("optgroup", { label }, options)));
}

function wishOf(form, { currency }) {
  const { symbol, duration, unit, stake } = form.elements;
  return {
    symbol: symbol.value,
    duration: Number(duration.value),
    duration_unit: unit.value,
    basis: "stake",
    amount: Number(stake.value),
    currency,
  };
}

/** One way to trade: its price as it moves, and the button that buys it. */
class Side {
  #type;
  #name;
  #say;
  #account = null;
  #wish = null;
  #stream = null;
  #latest = null;
  #payout = h("p", { class: "payout numeric" });
  #return = h("p", { class: "hint numeric" });
  #button;

  constructor(type, name, say) {
    this.#type = type;
    this.#name = name;
    this.#say = say;
    this.#button = h("button", { type: "button", class: "primary" }, `Buy ${name}`);
    this.#button.onclick = () => this.#buy();
    const title = h("h3", {}, `${name} ${type === "CALL" ? "▲" : "▼"}`);
    this.element = h("div", { class: "side" }, title, this.#payout, this.#return, this.#button);
    api.onState((state) => state !== "open" && this.#show(null));
    this.#show(null);
  }

  /** Streams the price of this wish, instead of the one before. */
  ask(wish, account) {
    this.stop();
    this.#wish = wish;
    this.#account = account;
    this.#stream = api.stream(
      { proposal: 1, ...wish, contract_type: this.#type, loginid: account.loginid },
      ({ proposal }) => this.#show(proposal),
      (error) => {
        this.#show(null);
        this.#say("loss", errorText(error));
      },
    );
  }

  /** What is in sight cannot be bought any more. */
  stop() {
    this.#stream?.stop();
    this.#stream = null;
    this.#show(null);
  }

  #show(proposal) {
    this.#latest = proposal;
    this.#button.setAttribute("aria-disabled", String(proposal === null));
    if (proposal === null) {
      this.#payout.textContent = "no price";
      this.#return.textContent = "\u00a0";
      return;
    }
    const { payout, ask_price: price } = proposal;
    const gain = ((payout / price - 1) * 100).toFixed(1);
    this.#payout.textContent = `pays ${money(payout, this.#wish.currency)}`;
    this.#return.textContent = `for ${money(price, this.#wish.currency)}, return ${gain} %`;
  }

  async #buy() {
    if (this.#latest === null) {
      return;
    }
    const { id, ask_price: price } = this.#latest;
    const { loginid, currency } = this.#account;
    const wish = this.#wish;
    await busy(this.#button, async () => {
      try {
        const { buy } = await api.ask({ buy: id, price, loginid });
        this.#say("gain", `Bought ${this.#name} for ${money(buy.buy_price, currency)}.`);
      } catch (error) {
        this.#say("loss", explained(error));
      }
    });
    if (this.#wish === wish && this.#stream !== null) {
      this.ask(wish, this.#account); // a proposal is bought once, and its stream has ended
    }
  }
}

function explained(error) {
  return error.code === "ConnectionLost"
    ? "The connection was lost amid the purchase. Look at the open contracts before you try again."
    : errorText(error);
}

// The chart.

let shown = null;

function showChart(symbols, name) {
  const { display_name: title } = symbols.find(({ symbol }) => symbol === name);
  shown?.stop();
  byId("chart-title").textContent = title;
  byId("quote").textContent = "\u00a0";
  byId("chart-said").textContent = "";
  shown = liveChart(byId("chart"), name, `${title}: the latest ticks`, {
    onPrice: (price) => (byId("quote").textContent = price),
    onError({ message }) {
      byId("chart-said").textContent = `The prices do not come: ${message}`;
    },
  });
}
