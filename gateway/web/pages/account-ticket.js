// A ticket to buy contracts of every family manually, with live prices and a chart of the symbol.
//
// Rules:
// - Each side is a stream of `proposal`; streams that are no longer needed are forgotten first,
//   since a connection may have only a few.
// - What is bought is the proposal whose price is shown, at no more than that price.

import { busy, byId, errorText, field, fill, h, money } from "/assets/dom.js";
import { ContractFields, familiesOf } from "/assets/contract-form.js";
import { liveChart } from "/assets/live-chart.js";
import { api } from "/assets/session.js";

const FIRST = "1HZ100V";
const TYPING = 300;
const SIGNS = { up: "▲", down: "▼" };

/** Builds the ticket; `tradeFor(account)` sets the account, `mark(contracts)` those on the chart. */
export function buildTicket(symbols) {
  const form = byId("ticket");
  const fields = new ContractFields(byId("terms"));
  const chart = new SymbolChart(symbols);
  let account = null;
  let families = [];
  let sides = [];
  let typing = 0;
  let listed = 0;

  const say = (kind, text) => fill(byId("ticket-said"), text && h("p", { class: kind }, text));

  const stop = () => sides.forEach((side) => side.stop());

  const ask = () => {
    clearTimeout(typing); // or what is said of a purchase would be gone when the time is over
    say("", "");
    stop();
    const symbol = form.elements.symbol.value;
    sides.forEach((side) => side.ask({ ...fields.request(side.type), symbol }, account));
  };

  const showPair = () => {
    stop();
    const pairs = pairsOf(families.find(({ key }) => key === form.elements.family.value).types);
    const chosen = Number(form.elements.pair?.value ?? 0);
    const pair = pairs[chosen] ?? pairs[0];
    sides = pair.map((type) => new Side(type, say));
    fields.show(pair, account.currency);
    fill(byId("sides"), sides.map(({ element }) => element));
    ask();
  };

  const showFamily = () => {
    const { types } = families.find(({ key }) => key === form.elements.family.value);
    const pairs = pairsOf(types);
    const options = pairs.map((pair, index) =>
      h("option", { value: index }, pair.map(({ name }) => name).join(" / ")),
    );
    fill(byId("pair"), pairs.length > 1 && field("Types", h("select", { name: "pair" }, options)));
    showPair();
  };

  /** List the families of the symbol, and keep the selected one if it is among them. */
  const showSymbol = async () => {
    stop();
    listed += 1;
    const number = listed;
    const { value: symbol } = form.elements.symbol;
    chart.show(symbol);
    try {
      const { contracts_for: listing } = await api.ask({
        contracts_for: symbol,
        currency: account.currency,
      });
      if (number !== listed) {
        return;
      }
      families = familiesOf(listing.available);
    } catch (error) {
      say("loss", errorText(error));
      return;
    }
    const before = form.elements.family.value;
    const options = families.map(({ key, title }) =>
      h("option", { value: key, selected: key === before }, title),
    );
    fill(form.elements.family, options);
    showFamily();
  };

  fillSymbols(form.elements.symbol, symbols);
  form.onsubmit = (event) => event.preventDefault();
  form.oninput = ({ target }) => {
    clearTimeout(typing);
    const { symbol, family, pair } = form.elements;
    if (target === symbol) {
      showSymbol();
    } else if (target === family) {
      showFamily();
    } else if (pair !== undefined && target === pair) {
      showPair();
    } else {
      stop();
      typing = setTimeout(ask, TYPING);
    }
  };
  return {
    tradeFor(another) {
      account = another;
      showSymbol();
    },
    mark: (contracts) => chart.mark(contracts),
  };
}

function fillSymbols(select, symbols) {
  const groups = new Map();
  for (const symbol of symbols) {
    const { symbol: value, display_name: name, submarket_display_name: group } = symbol;
    const closed = symbol.exchange_is_open ? "" : " (closed)";
    const option = h("option", { value, selected: value === FIRST }, name + closed);
    groups.set(group, [...(groups.get(group) ?? []), option]);
  }
  fill(select, [...groups].map(([label, options]) => h("optgroup", { label }, options)));
}

/** The types of a family, two at a time: a connection may have few streams of prices. */
function pairsOf(types) {
  const pairs = [];
  for (let index = 0; index < types.length; index += 2) {
    pairs.push(types.slice(index, index + 2));
  }
  return pairs;
}

/** One type of contract: its price as it moves, and the button that buys it. */
class Side {
  type;
  #say;
  #account = null;
  #request = null;
  #stream = null;
  #latest = null;
  #payout = h("p", { class: "payout numeric" });
  #return = h("p", { class: "hint numeric" });
  #button;

  constructor(type, say) {
    this.type = type;
    this.#say = say;
    const sign = SIGNS[type.sentiment];
    const look = sign === undefined ? "primary" : `primary ${type.sentiment}`;
    const shown = sign !== undefined && h("span", { "aria-hidden": "true" }, ` ${sign}`);
    this.#button = h("button", { type: "button", class: look }, `Buy ${type.name}`, shown);
    this.#button.onclick = () => this.#buy();
    const title = h("h3", {}, type.name, sign !== undefined && ` ${sign}`);
    this.element = h("div", { class: "side" }, title, this.#payout, this.#return, this.#button);
    this.#show(null);
  }

  /** Streams the price for this request, instead of the one before. */
  ask(request, account) {
    this.stop();
    this.#request = request;
    this.#account = account;
    this.#stream = api.stream(
      { proposal: 1, ...request, loginid: account.loginid },
      ({ proposal }) => this.#show(proposal),
      (error) => {
        this.#show(null);
        this.#say("loss", errorText(error));
      },
    );
    this.#unsubscribe = api.onState((state) => state !== "open" && this.#show(null));
  }

  #unsubscribe = () => {};

  /** Stop the prices; what is shown can no longer be bought. */
  stop() {
    this.#unsubscribe();
    this.#unsubscribe = () => {};
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
    const { currency } = this.#request;
    this.#payout.textContent = payoutText(proposal, currency);
    const gain = payout > 0 ? `, return ${((payout / price - 1) * 100).toFixed(1)} %` : "";
    this.#return.textContent = `for ${money(price, currency)}${gain}`;
  }

  async #buy() {
    if (this.#latest === null) {
      return;
    }
    const { id, ask_price: price } = this.#latest;
    const { loginid, currency } = this.#account;
    const request = this.#request;
    await busy(this.#button, async () => {
      try {
        const { buy } = await api.ask({ buy: id, price, loginid });
        this.#say("gain", `Bought ${this.type.name} for ${money(buy.buy_price, currency)}.`);
      } catch (error) {
        this.#say("loss", explained(error));
      }
    });
    if (this.#request === request && this.#stream !== null) {
      this.ask(request, this.#account); // a proposal is bought once, and its stream has ended
    }
  }
}

function payoutText(proposal, currency) {
  const { payout, commission, contract_details: details } = proposal;
  const { display_number_of_contracts: contracts } = proposal;
  if (payout > 0) {
    return `pays ${money(payout, currency)}`;
  }
  if (contracts !== undefined) {
    return `pays ${Number(contracts)} per point`;
  }
  if (details?.maximum_payout !== undefined) {
    return `pays up to ${money(details.maximum_payout, currency)}`;
  }
  return commission === undefined ? "pays the difference" : `commission ${money(commission, currency)}`;
}

function explained(error) {
  return error.code === "ConnectionLost"
    ? "The connection was lost during the purchase. Check your open contracts before you try again."
    : errorText(error);
}

/** The chart of the symbol that is picked, with the open contracts on it. */
class SymbolChart {
  #symbols;
  #symbol = null;
  #chart = null;
  #contracts = [];

  constructor(symbols) {
    this.#symbols = symbols;
  }

  show(name) {
    if (name === this.#symbol) {
      return;
    }
    this.#symbol = name;
    const { display_name: title } = this.#symbols.find(({ symbol }) => symbol === name);
    this.#chart?.stop();
    byId("chart-title").textContent = title;
    byId("quote").textContent = "\u00a0";
    byId("chart-said").textContent = "";
    this.#chart = liveChart(byId("chart"), name, `${title}: latest ticks`, {
      onPrice: (price) => (byId("quote").textContent = price),
      onError({ message }) {
        byId("chart-said").textContent = `No prices available. ${message}`;
      },
    });
    this.#draw();
  }

  /** Draws entry, barriers and expiry of these contracts, as far as they are on the symbol. */
  mark(contracts) {
    this.#contracts = contracts;
    this.#draw();
  }

  #draw() {
    const here = this.#contracts.filter(({ underlying }) => underlying === this.#symbol);
    this.#chart?.setMarks(here.flatMap(marksOf));
  }
}

function marksOf(contract) {
  const { contract_id: id, entry_spot: entry, barrier, date_expiry: expiry } = contract;
  const { limit_order: orders } = contract;
  // The range of an accumulator moves with the price: what counts is the one for the next tick.
  const high = contract.current_spot_high_barrier ?? contract.high_barrier;
  const low = contract.current_spot_low_barrier ?? contract.low_barrier;
  const level = (price, label, kind) =>
    price === undefined || price === null ? [] : [{ price: Number(price), label, kind }];
  const isDigit = contract.contract_type.startsWith("DIGIT");
  const further = !isDigit && Number(barrier) !== entry ? barrier : undefined;
  return [
    ...level(entry, `entry ${id}`, "entry"),
    ...level(further, `barrier ${id}`, "barrier"),
    ...level(high, `barrier ${id}`, "barrier"),
    ...level(low, `barrier ${id}`, "barrier"),
    ...level(orders?.stop_out?.value, `stop-out ${id}`, "barrier"),
    ...(orders === undefined ? [{ time: expiry, label: `expiry ${id}`, kind: "expiry" }] : []),
  ];
}
