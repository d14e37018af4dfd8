// The fields of a contract, for every family that `contracts_for` lists.
//
// Rules:
// - What is asked for follows from the rows of `contracts_for` alone: a family that is added to the
//   gateway needs nothing here, unless it takes a field that no other family has.
// - What was typed stays when another family takes the same field.

import { field, fill, h } from "/assets/dom.js";

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 };
const UNITS = {
  tick: [["t", "ticks"]],
  intraday: [["s", "seconds"], ["m", "minutes"], ["h", "hours"]],
  daily: [["d", "days"]],
};
const TICKS_TO_SELECT = [1, 2, 3, 4, 5];
const PLAIN_NAMES = { CALL: "Rise", PUT: "Fall" };

/** The families of the rows: `[{ key, title, types }]`, each type with its rows. */
export function familiesOf(rows) {
  const families = new Map();
  for (const row of rows.filter(({ start_type: start }) => start === "spot")) {
    const { contract_category: category, contract_type: type, barrier_category: barrier } = row;
    const atSpot = barrier === "euro_atm";
    const isPlain = category === "callput" || category === "callputequal";
    const key = isPlain ? `${category} ${atSpot}` : category;
    if (!families.has(key)) {
      families.set(key, { key, title: titleOf(row, isPlain, atSpot), types: new Map() });
    }
    const { types } = families.get(key);
    if (!types.has(type)) {
      types.set(type, { type, name: nameOf(row, atSpot), sentiment: row.sentiment, rows: [] });
    }
    types.get(type).rows.push(row);
  }
  return [...families.values()].map((family) => ({ ...family, types: [...family.types.values()] }));
}

function titleOf({ contract_category: category, contract_category_display: display }, isPlain, atSpot) {
  if (!isPlain) {
    return display.replace(/ Options$/, "");
  }
  if (category === "callput") {
    return atSpot ? "Rise/Fall" : "Higher/Lower";
  }
  return atSpot ? display : "Higher/Lower Equal";
}

function nameOf({ contract_type: type, contract_display: display }, atSpot) {
  return (atSpot && PLAIN_NAMES[type]) || display;
}

/** The fields of one pair of types in `place`; `request(type)` is what they say. */
export class ContractFields {
  #place;
  #types = [];
  #typed = new Map(); // the name of a field -> what was typed there last
  #currency = "";

  constructor(place) {
    this.#place = place;
    place.addEventListener("input", ({ target }) => this.#typed.set(target.name, target.value));
    place.addEventListener("change", ({ target }) => {
      if (target.name === "unit") {
        this.#build(); // another unit has other bounds, and other barriers
        place.querySelector("[name=unit]").focus();
      }
    });
  }

  /** Shows the fields of these types, of one family. */
  show(types, currency) {
    this.#types = types;
    this.#currency = currency;
    this.#build();
  }

  /** The fields of `proposal` for a type. */
  request(type) {
    const value = (name) => this.#place.querySelector(`[name="${name}"]`)?.value ?? "";
    const { contract_category: category } = this.#row(type);
    const request = { contract_type: type.type, currency: this.#currency, amount: Number(value("stake")) };
    if (category !== "lookback") {
      request.basis = "stake";
    }
    const put = (name, from, convert = String) => {
      if (value(from) !== "") {
        request[name] = convert(value(from));
      }
    };
    put("duration", "duration", Number);
    put("duration_unit", "unit");
    put("barrier", "barrier");
    put("barrier", `barrier-${type.type}`);
    put("barrier2", "barrier2");
    put("selected_tick", "selected_tick", Number);
    put("multiplier", "multiplier", Number);
    put("cancellation", "cancellation");
    put("growth_rate", "growth_rate", Number);
    if (this.#row(type).last_digit_range) {
      put("barrier", "digit");
    }
    const orders = {};
    for (const name of ["take_profit", "stop_loss"]) {
      if (value(name) !== "") {
        orders[name] = Number(value(name));
      }
    }
    return Object.keys(orders).length > 0 ? { ...request, limit_order: orders } : request;
  }

  /** The row of a type for the unit that is picked. */
  #row({ rows }) {
    const unit = this.#place.querySelector("[name=unit]")?.value;
    const kind = Object.keys(UNITS).find((one) => UNITS[one].some(([letter]) => letter === unit));
    return rows.find(({ expiry_type: expiry }) => expiry === kind) ?? rows[0];
  }

  #build() {
    const [first] = this.#types;
    const units = first.rows.flatMap((row) => usable(row));
    const wanted = this.#typed.get("unit");
    const unit = units.find(([letter]) => letter === wanted)?.[0] ?? units[0]?.[0];
    fill(this.#place, units.length > 0 && this.#duration(units, unit), this.#more());
    if (unit !== undefined) {
      this.#place.querySelector("[name=unit]").value = unit;
      fill(this.#place, this.#duration(units, unit), this.#more());
    }
  }

  #duration(units, unit) {
    const row = this.#types[0].rows.find((one) => usable(one).some(([letter]) => letter === unit));
    const [least, most] = boundsIn(row, unit);
    const typed = Number(this.#typed.get("duration") ?? 5);
    const value = Math.min(Math.max(typed, least), most);
    const options = units.map(([letter, text]) =>
      h("option", { value: letter, selected: letter === unit }, text),
    );
    return [
      field("Duration", number("duration", { min: least, max: most, step: 1, value })),
      field("Unit", h("select", { name: "unit" }, options)),
    ];
  }

  #more() {
    const rows = this.#types.map((type) => this.#row(type));
    const [row] = rows;
    const isLookback = row.contract_category === "lookback";
    const amount = isLookback ? row.default_stake : 10;
    const kept = (name, value) => this.#typed.get(name) ?? value;
    const choices = (name, title, values, show = String, chosen = values[0]) => {
      const before = this.#typed.get(name);
      const picked = values.map(String).includes(before) ? before : String(chosen);
      const options = values.map((value) =>
        h("option", { value, selected: String(value) === picked }, show(value)),
      );
      return field(title, h("select", { name }, options));
    };
    const unit = isLookback ? "Multiplier" : `Stake (${this.#currency})`;
    const stake = number("stake", { min: 0, step: "any", value: isLookback ? amount : kept("stake", amount) });
    return [
      field(unit, stake),
      ...this.#barriers(rows),
      row.last_digit_range && choices("digit", "Digit", digitsOf(rows), String, 5),
      row.contract_category === "highlowticks" &&
        choices("selected_tick", "Tick", TICKS_TO_SELECT, (tick) => `tick ${tick} of 5`),
      row.multiplier_range && choices("multiplier", "Multiplier", row.multiplier_range, (times) => `×${times}`),
      row.growth_rate_range &&
        choices("growth_rate", "Growth per tick", row.growth_rate_range, (rate) => `${Math.round(rate * 100)} %`),
      row.cancellation_range &&
        choices("cancellation", "Deal cancellation", ["", ...row.cancellation_range], (time) => time || "none"),
      (row.multiplier_range || row.growth_rate_range) &&
        field("Take profit", number("take_profit", { min: 0, step: "any", value: kept("take_profit", "") })),
      row.multiplier_range &&
        field("Stop loss", number("stop_loss", { min: 0, step: "any", value: kept("stop_loss", "") })),
    ];
  }

  #barriers(rows) {
    const [row] = rows;
    if (row.high_barrier !== undefined) {
      return [
        field("Higher barrier", text("barrier", row.high_barrier)),
        field("Lower barrier", text("barrier2", row.low_barrier)),
      ];
    }
    if (row.barrier === undefined) {
      return [];
    }
    if (rows.every(({ barrier }) => barrier === row.barrier)) {
      return [field("Barrier", text("barrier", row.barrier))];
    }
    return rows.map((one, index) =>
      field(`Barrier (${this.#types[index].name})`, text(`barrier-${one.contract_type}`, one.barrier)),
    );
  }
}

function number(name, props) {
  return h("input", { name, type: "number", ...props });
}

function text(name, value) {
  return h("input", { name, type: "text", value, autocomplete: "off", spellcheck: "false" });
}

function digitsOf(rows) {
  const both = rows.map((row) => row.last_digit_range ?? []);
  return both[0].filter((digit) => both.every((digits) => digits.includes(digit)));
}

/** The units in which a duration of this row can be given. */
function usable(row) {
  return (UNITS[row.expiry_type] ?? []).filter(([letter]) => {
    const [least, most] = boundsIn(row, letter);
    return least <= most;
  });
}

/** The least and the most of a row's durations in a unit. */
function boundsIn({ min_contract_duration: least, max_contract_duration: most }, unit) {
  if (unit === "t" || unit === "d") {
    return [parseInt(least, 10), parseInt(most, 10)];
  }
  const seconds = (duration) => parseInt(duration, 10) * SECONDS[duration.at(-1)];
  return [Math.ceil(seconds(least) / SECONDS[unit]), Math.floor(seconds(most) / SECONDS[unit])];
}
