// Restrictions of tokens and apps: the fields of a form, and lists of what is in force.
//
// Rules:
// - Which restrictions there are, and what their values are, comes from the gateway.
// - An empty field restricts nothing.

import { amountText, field, fill, h, moment, withCode } from "/assets/dom.js";
import { formDialog } from "/assets/owner.js";
import { api } from "/assets/session.js";

/** The restrictions of this gateway: `[{ name, label, words, input, example }]`. */
export async function restrictionKinds() {
  const { restriction_kinds: kinds } = await api.ask({ restriction_kinds: 1 });
  return kinds;
}

// Forms.

const CONTROL = {
  amount: { inputmode: "decimal" },
  integer: { inputmode: "numeric" },
};

/**
 * A field for each restriction and one for the expiry: `{ element, values, expiresAt, setCurrency }`.
 *
 * `values` are those to begin with, `expiresAt` the same in epoch seconds, or `null`. `currency` is
 * that of amounts; empty where there is none. `values()` and `expiresAt()` return what was entered.
 */
export function restrictionFields(kinds, { values = {}, expiresAt = null, currency = "" } = {}) {
  const units = [];
  const inputs = new Map();
  const fields = kinds.map((kind) => {
    const { name, label, words, input, example } = kind;
    const unit = h("span");
    if (input === "amount") {
      units.push(unit);
    }
    const control = h("input", {
      type: "text",
      name: `restrictions.${name}`,
      value: textOf(values[name]),
      placeholder: example && `such as ${example}`,
      autocomplete: "off",
      spellcheck: "false",
      ...CONTROL[input],
    });
    inputs.set(kind, control);
    return field([label, unit], control, { hint: withCode(words) });
  });
  const expires = h("input", {
    type: "datetime-local",
    name: "expires_at",
    value: localText(expiresAt),
  });
  const setCurrency = (now) => units.forEach((unit) => fill(unit, now && ` (${now})`));
  setCurrency(currency);
  return {
    element: h(
      "div",
      { class: "restriction-fields" },
      fields,
      field("Expires", expires, { hint: "In your local time. Leave it empty for never." }),
    ),
    values: () =>
      Object.fromEntries(
        [...inputs]
          .filter(([, { value }]) => value.trim() !== "")
          .map(([{ name, input }, { value }]) => [name, valueOf(input, value.trim())]),
      ),
    expiresAt: () =>
      expires.value === localText(expiresAt) ? expiresAt : epochOf(expires.value),
    setCurrency,
  };
}

/** These fields, folded until the user or an error opens them. */
export function foldedFields({ element }, { open = false, hint } = {}) {
  const folded = h(
    "details",
    { class: "restrictions", open },
    h("summary", {}, "Restrictions"),
    hint && h("p", { class: "hint" }, hint),
    element,
  );
  // The browser cannot show what is wrong with a control that is folded away.
  folded.addEventListener("invalid", () => (folded.open = true), { capture: true });
  return folded;
}

/**
 * Asks for the restrictions of a token or an app in a dialog; `begin` is as for `restrictionFields`.
 *
 * `save({ restrictions, expires_at })` sends them, without an expiry that stays, and resolves to a
 * function that shows the result.
 */
export function restrictionDialog(name, hint, kinds, begin, save) {
  const fields = restrictionFields(kinds, begin);
  const send = () => {
    const now = fields.expiresAt();
    const expiry = now !== begin.expiresAt && { expires_at: now ?? 0 };
    return save({ restrictions: fields.values(), ...expiry });
  };
  const parts = [h("p", { class: "hint" }, hint), fields.element];
  formDialog(`Restrictions of “${name}”`, "Save restrictions", parts, send).classList.add("wide");
}

function textOf(value) {
  return Array.isArray(value) ? value.join(", ") : String(value ?? "");
}

/** The value of a field. Text in place of a number is sent unchanged: the gateway explains it. */
function valueOf(input, text) {
  if (input === "list") {
    return text
      .replaceAll(/\s*[-–]\s*/g, "-")
      .split(/[\s,;]+/)
      .filter(Boolean);
  }
  const number = Number(text);
  return input === "text" || Number.isNaN(number) ? text : number;
}

/** Epoch seconds as the browser's control for date and time has them; empty for `null`. */
function localText(epoch) {
  if (epoch === null) {
    return "";
  }
  const when = new Date(epoch * 1000);
  return new Date((epoch - when.getTimezoneOffset() * 60) * 1000).toISOString().slice(0, 16);
}

function epochOf(text) {
  return text === "" ? null : Math.floor(new Date(text).getTime() / 1000);
}

// Lists.

/** The restrictions that were set for a token or an app itself, not for a parent. */
export function ownRestrictions(sets, setFor) {
  return sets.find(({ set_for: what }) => what === setFor)?.restrictions ?? {};
}

const ALSO = {
  parent: (name) => `Also those of token ${name}:`,
  app: (name) => `Also those of app ${name}:`,
};

/** What is in force, with what is used of each cap; those of `setFor` need no heading. */
export function restrictionList(sets, kinds, setFor) {
  const shown = sets.filter(({ restrictions }) => Object.keys(restrictions).length > 0);
  return shown.map(({ name, set_for: what, restrictions, use }) => [
    what !== setFor && h("p", { class: "hint" }, ALSO[what](name)),
    plainList(restrictions, kinds, use),
  ]);
}

/** Restrictions as a list, each with its label; `use` is what of them is used, if that is known. */
export function plainList(restrictions, kinds, use = {}) {
  return h(
    "ul",
    { class: "restriction-list" },
    kinds
      .filter(({ name }) => name in restrictions)
      .map((kind) => h("li", {}, ...restrictionText(kind, restrictions[kind.name], use))),
  );
}

function restrictionText({ name, label, input }, value, use) {
  if (input === "list" || input === "text") {
    return [`${label}: ${textOf(value)}`];
  }
  const currency = input === "amount" ? (use.currency ?? "") : "";
  const number = (amount) =>
    currency ? amountText(amount, currency) : Number(amount).toLocaleString("en");
  const unit = currency && `${currency} `;
  const used = use[name];
  if (used === undefined) {
    return [`${label}: ${unit}${number(value)}`];
  }
  const day = name.endsWith("_per_day") ? " today" : "";
  return [
    `${label}: ${unit}${number(used)} of ${number(value)}${day}`,
    used >= value && h("span", { class: "loss" }, " (reached)"),
  ];
}

/** "expires in 3 days"; nothing for what does not expire. */
export function expiryText(epoch) {
  return epoch !== null && [epoch * 1000 > Date.now() ? "expires " : "expired ", moment(epoch)];
}
