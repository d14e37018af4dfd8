// The contracts of an account: the open ones as they move, and the last that were closed.
//
// Rules:
// - A contract moves from one list to the other with its last message, which is sent once. What
//   closed while the connection was lost had its last message then: so the lists are compared with
//   the gateway's on each new connection.
// - Times are those of the market, which may run faster than ours.

import {
  busy,
  byId,
  empty,
  fill,
  h,
  localTime,
  money,
  notice,
  signedMoney,
  skeleton,
  table,
  tableRow,
  toast,
} from "/assets/dom.js";
import { livingList } from "/assets/owner.js";
import { api } from "/assets/session.js";

const MOST_RESULTS = 20;
const OPEN = [
  { title: "Contract" },
  { title: "Spot", numeric: true },
  { title: "Time left", numeric: true },
  { title: "Value", numeric: true },
  { title: "Profit", numeric: true },
  { title: "" },
];
const CLOSED = [
  { title: "Closed" },
  { title: "Contract" },
  { title: "Buy price", numeric: true },
  { title: "Sell price", numeric: true },
  { title: "Profit", numeric: true },
];

/** Shows the contracts of this account until `stop()`; `onOpen(contracts)` gets the open ones. */
export function followContracts(account, onOpen) {
  const open = new Map();
  const results = new Map();
  const view = openView(account);
  const showOpen = (contracts) => {
    view(contracts);
    onOpen([...contracts.values()]);
  };
  const showResults = resultsView(account);
  fill(byId("open"), skeleton(2));
  fill(byId("results"), skeleton(3));
  let stopped = false;
  let frame = 0;

  // In a fast market many messages arrive between two frames of the screen; only the last is shown.
  const showSoon = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      showOpen(open);
    });
  };

  const onContract = ({ proposal_open_contract: contract }) => {
    const { contract_id: id } = contract;
    if (contract.is_sold) {
      open.delete(id);
      results.set(id, contract);
      showResults(results);
      announce(contract);
    } else if (id !== undefined) {
      open.set(id, contract);
    }
    showSoon();
  };

  const compare = async () => {
    const { loginid } = account;
    const before = [...open.keys()];
    const [{ portfolio }, { profit_table: closed }] = await Promise.all([
      api.ask({ portfolio: 1, loginid }),
      api.ask({ profit_table: 1, description: 1, limit: MOST_RESULTS, loginid }),
    ]);
    if (stopped) {
      return;
    }
    const held = new Set(portfolio.contracts.map(({ contract_id: id }) => id));
    const gone = before.filter((id) => !held.has(id));
    gone.forEach((id) => open.delete(id));
    closed.transactions.forEach((result) => results.set(result.contract_id, result));
    if (gone.length > 0) {
      showOpen(open);
    }
    showResults(results);
  };

  const comparing = () =>
    compare().catch((error) => {
      if (error.code !== "ConnectionLost" && !stopped) {
        fill(byId("results"), notice("error", error.message));
      }
    });

  const stream = api.stream(
    { proposal_open_contract: 1, loginid: account.loginid },
    onContract,
    (error) => fill(byId("open"), notice("error", error.message)),
  );
  const unsubscribe = api.onState((state) => state === "open" && comparing());
  comparing();
  return {
    stop() {
      stopped = true;
      cancelAnimationFrame(frame);
      unsubscribe();
      stream.stop();
    },
  };
}

function announce({ status, profit, currency, sell_price: got }) {
  const sum = signedMoney(profit, currency);
  const words = {
    won: `Won: ${sum}`,
    lost: `Lost: ${sum}`,
    sold: `Sold for ${money(got, currency)}: ${sum}`,
    cancelled: `Cancelled: ${sum}`,
  };
  toast(words[status]);
}

/** A profit with a sign, so that colour is not the only cue. */
function profitText(profit, currency) {
  const kind = profit > 0 ? "gain" : profit < 0 ? "loss" : null;
  return h("span", { class: kind }, signedMoney(profit, currency));
}

// The open ones.

function openView(account) {
  const none = empty("No open contracts", "Buy one above or with your own program.");
  const whole = table("Open contracts", OPEN, []);
  const show = livingList(
    whole.querySelector("tbody"),
    ({ contract_id: id }) => id,
    (contract) => openRow(contract, account),
  );
  return (open) => {
    show([...open.values()].sort((one, other) => other.contract_id - one.contract_id));
    const wanted = open.size === 0 ? none : whole;
    if (!byId("open").contains(wanted)) {
      fill(byId("open"), wanted);
    }
  };
}

function openRow({ contract_id: id, longcode }, { loginid, currency }) {
  const [spot, left, worth, profit, action] = OPEN.slice(1).map(() => h("div"));
  const sell = h(
    "button",
    { type: "button", class: "small" },
    "Sell",
    h("span", { class: "sr-only" }, ` contract ${id}`),
  );
  sell.onclick = () => sellContract(id, loginid, sell);
  const why = h("p", { class: "hint" });
  fill(action, sell, why);
  const update = (contract) => {
    fill(spot, ...spotPart(contract));
    fill(left, leftText(contract));
    fill(worth, money(contract.bid_price, currency));
    fill(profit, profitText(contract.profit, currency));
    sell.hidden = !contract.is_valid_to_sell;
    why.textContent = contract.is_valid_to_sell ? "" : reason(contract);
  };
  const about = [
    longcode,
    h("p", { class: "hint" }, `Contract ${id}`),
  ];
  return { element: tableRow(OPEN, [about, spot, left, worth, profit, action]), update };
}

function spotPart(contract) {
  const { entry_spot_display_value: entry, high_barrier: high, low_barrier: low } = contract;
  const barrier = high === undefined ? contract.barrier : `${low} and ${high}`;
  const further = barrier !== undefined && barrier !== entry && entry !== undefined;
  return [
    contract.current_spot_display_value,
    h("p", { class: "hint" }, entry === undefined ? "no entry yet" : `entry ${entry}`),
    further && h("p", { class: "hint" }, `barrier ${barrier}`),
  ];
}

function leftText(contract) {
  if (contract.is_expired) {
    return "settling";
  }
  if (contract.tick_count !== undefined) {
    // The entry tick does not count, but where it is the first.
    const entry = /^(DIGIT|ASIAN|TICK)/.test(contract.contract_type) ? 0 : 1;
    const seen = contract.tick_passed ?? contract.tick_stream.length - entry;
    const left = contract.tick_count - Math.max(seen, 0);
    return `${left} ${left === 1 ? "tick" : "ticks"}`;
  }
  if (contract.limit_order !== undefined) {
    return "until closed";
  }
  const seconds = Math.max(contract.date_expiry - contract.current_spot_time, 0);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const [hours, minutes, rest] = parts.map((part) => String(part).padStart(2, "0"));
  return parts[0] > 0 ? `${hours}:${minutes}:${rest}` : `${minutes}:${rest}`;
}

function reason({ is_expired: hasEnded, tick_count: ticks, entry_spot: entry, growth_rate: grows }) {
  if (hasEnded) {
    return "expired";
  }
  if (grows !== undefined) {
    return "can be sold after its first growth";
  }
  if (ticks !== undefined) {
    return "cannot be sold early";
  }
  return entry === undefined ? "can be sold after entry" : "too close to expiry";
}

async function sellContract(id, loginid, button) {
  await busy(button, async () => {
    try {
      await api.ask({ sell: id, price: 0, loginid });
      byId("open-title").focus();
    } catch (error) {
      toast(`The contract was not sold. ${error.message}`, "error");
    }
  });
}

// The closed ones.

function resultsView({ currency }) {
  return (results) => {
    const latest = [...results.values()].sort(
      (one, other) => other.sell_time - one.sell_time || other.contract_id - one.contract_id,
    );
    latest.splice(MOST_RESULTS).forEach(({ contract_id: id }) => results.delete(id));
    const place = byId("results");
    if (latest.length === 0) {
      fill(place, empty("No results yet", "Your closed contracts are listed here."));
      return;
    }
    fill(place, table("Recent results", CLOSED, latest.map((result) => resultRow(result, currency))));
  };
}

function resultRow(result, currency) {
  const { longcode, sell_time: at, buy_price: paid, sell_price: got, payout } = result;
  const isFixed = payout > 0 && !result.contract_type.endsWith("SPREAD");
  const outcome = got === 0 ? "lost" : got === payout ? "won" : isFixed ? "sold" : "paid";
  return [
    localTime(at),
    [longcode, h("p", { class: "hint" }, outcome)],
    money(paid, currency),
    money(got, currency),
    profitText(Number((got - paid).toFixed(8)), currency),
  ];
}
