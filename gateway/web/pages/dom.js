// Building blocks of the pages: elements, forms, tables, dialogs, moments, money.
//
// Rules:
// - Text from the server or a person becomes a text node, never markup.
// - Changes that happen on their own go to a live region; questions are a <dialog>.

// Elements.

/**
 * An element: `h("p", { class: "quiet", onclick: act }, "Text ", h("b", {}, "bold"))`.
 *
 * A function is set on the element itself, as a listener; `dataset` is an object; everything else
 * is an attribute, which `true` sets empty and `false`, `null` and `undefined` leave out. Such
 * children are left out, too; arrays of children are spread.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") {
      element[name] = value;
    } else if (name === "dataset") {
      Object.assign(element.dataset, value);
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat(Infinity).filter(isShown));
  return element;
}

function isShown(child) {
  return child !== null && child !== undefined && child !== false;
}

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Replaces all that is in an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(isShown));
  return element;
}

let lastId = 0;

/** An id that no other element has. */
export function newId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}

// Words.

/** "10,000.00 USD". */
export function money(amount, currency) {
  return `${amountText(amount, currency)} ${currency}`;
}

/** "10,000.00", with the digits that the currency has. */
export function amountText(amount, currency) {
  const digits = decimals(currency);
  const format = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return Number(amount).toLocaleString("en", format);
}

/** "+3.20 USD", with a sign unless the amount is zero. */
export function signedMoney(amount, currency) {
  const text = money(Math.abs(amount), currency);
  return amount > 0 ? `+${text}` : amount < 0 ? `−${text}` : text;
}

function decimals(currency) {
  // Intl gives two to a code that it does not know, and coins have eight.
  const coins = ["BTC", "ETH", "LTC"];
  if (coins.includes(currency)) {
    return 8;
  }
  try {
    const format = new Intl.NumberFormat("en", { style: "currency", currency });
    return format.resolvedOptions().maximumFractionDigits;
  } catch {
    return 2;
  }
}

/** "1 app", "2 apps". */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const WHOLE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const STEPS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

function ago(epoch) {
  const seconds = epoch - Date.now() / 1000;
  const step = STEPS.find(([, length]) => Math.abs(seconds) >= length);
  return step ? AGO.format(Math.round(seconds / step[1]), step[0]) : "just now";
}

/** Epoch seconds as "3 minutes ago", kept up to date; the title is the local time. */
export function moment(epoch) {
  const when = new Date(epoch * 1000);
  const props = { datetime: when.toISOString(), title: WHOLE.format(when) };
  return h("time", { ...props, dataset: { ago: epoch } }, ago(epoch));
}

/** A moment as local date and time, for what is not near the present. */
export function localTime(epoch) {
  const when = new Date(epoch * 1000);
  return h("time", { datetime: when.toISOString() }, WHOLE.format(when));
}

setInterval(() => {
  for (const element of document.querySelectorAll("time[data-ago]")) {
    element.textContent = ago(Number(element.dataset.ago));
  }
}, 20_000);

// Notices.

/** A box with a sentence; `kind` is "info", "good", "warning" or "error". An error is announced. */
export function notice(kind, ...children) {
  const role = kind === "error" ? "alert" : null;
  return h("div", { class: `notice ${kind}`, role }, h("p", {}, ...children));
}

/** A sentence that shows itself for some seconds at the lower edge and is read out. */
export function toast(text, kind = "info") {
  const shown = h("p", { class: `toast ${kind}` }, text);
  byId("toasts").append(shown);
  setTimeout(() => shown.remove(), 6000);
}

/** What an error says, with the sentences for single fields. */
export function errorText(error) {
  const details = Object.entries(error.details ?? {})
    .filter(([, sentence]) => typeof sentence === "string" && sentence !== error.message)
    .map(([field, sentence]) => `${field}: ${sentence}`);
  return [error.message, ...details].join("\n");
}

/** Lets a button act that the page's HTML has disabled, so that no earlier click is lost. */
export function enable(button, act) {
  button.onclick = act;
  button.disabled = false;
}

/** Runs `act` with the button disabled, so that nothing is sent twice; the focus stays there. */
export async function busy(button, act) {
  const hadFocus = document.activeElement === button;
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    return await act();
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
    if (hadFocus && document.activeElement === document.body) {
      button.focus();
    }
  }
}

// Forms.

/**
 * A labelled form control: `field("E-mail", h("input", { name: "email" }), { hint: "…" })`.
 *
 * `showErrors` puts what is wrong with it beneath it, found by the control's `name`.
 */
export function field(label, control, { hint } = {}) {
  control.id ||= newId("field");
  const hintId = `${control.id}-hint`;
  if (hint) {
    control.setAttribute("aria-describedby", hintId);
  }
  return h(
    "div",
    { class: "field" },
    h("label", { for: control.id }, label),
    hint && h("p", { class: "hint", id: hintId }, hint),
    control,
  );
}

/** A checkbox or radio button with its label and, where given, a quieter line beneath it. */
export function choice(label, control, { hint } = {}) {
  const hintId = newId("hint");
  if (hint) {
    control.setAttribute("aria-describedby", hintId);
  }
  return h(
    "div",
    { class: "choice" },
    h("label", {}, control, h("span", {}, label)),
    hint && h("p", { class: "hint", id: hintId }, hint),
  );
}

/**
 * Shows an `ApiError` at a form: sentences for single fields beneath them, all else above its
 * buttons. Replaces what was shown before; `clearErrors` takes it away. A control within another,
 * such as `restrictions.networks`, has the whole name, without the place in a list.
 */
export function showErrors(form, error) {
  clearErrors(form);
  const rest = [];
  let first = null;
  for (const [name, sentence] of Object.entries(error.details ?? {})) {
    const control = controlOf(form, name);
    if (control instanceof HTMLElement && typeof sentence === "string") {
      markInvalid(control, sentence);
      first ??= control;
    } else if (typeof sentence === "string") {
      rest.push(`${name}: ${sentence}`);
    }
  }
  const text = first ? ["Check the marked fields.", ...rest] : [error.message, ...rest];
  const box = notice("error", text.join("\n"));
  box.dataset.formError = "";
  const actions = form.querySelector(".actions");
  form.insertBefore(box, actions?.parentElement === form ? actions : null);
  first?.focus();
}

function controlOf(form, name) {
  const parts = name.split(".");
  const names = parts.map((_, index) => parts.slice(0, parts.length - index).join("."));
  return names.map((each) => form.elements[each]).find((control) => control !== undefined);
}

function markInvalid(control, sentence) {
  const folded = control.closest("details");
  if (folded !== null) {
    folded.open = true;
  }
  const id = newId("error");
  const described = control.getAttribute("aria-describedby");
  control.setAttribute("aria-invalid", "true");
  control.dataset.describedBefore = described ?? "";
  control.setAttribute("aria-describedby", [described, id].filter(Boolean).join(" "));
  const props = { class: "field-error", id, dataset: { formError: "" } };
  control.closest(".field")?.append(h("p", props, sentence));
}

/** Takes away what `showErrors` has shown. */
export function clearErrors(form) {
  form.querySelectorAll("[data-form-error]").forEach((element) => element.remove());
  for (const control of form.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
    const before = control.dataset.describedBefore;
    if (before) {
      control.setAttribute("aria-describedby", before);
    } else {
      control.removeAttribute("aria-describedby");
    }
  }
}

// Dialogs.

/**
 * Asks before something is done; resolves to whether it was agreed to.
 *
 * `text` is a sentence or an array of nodes; `action` is the words on the button that agrees, and
 * `danger` says that it cannot be undone.
 */
export function confirm({ title, text, action, danger = false }) {
  const titleId = newId("dialog");
  const textId = newId("dialog");
  return new Promise((resolve) => {
    const agree = h(
      "button",
      { type: "button", class: danger ? "danger" : "primary", onclick: () => dialog.close("yes") },
      action,
    );
    const refuse = h(
      "button",
      { type: "button", autofocus: true, onclick: () => dialog.close() },
      "Cancel",
    );
    const dialog = h(
      "dialog",
      {
        "aria-labelledby": titleId,
        "aria-describedby": textId,
        onclose: () => {
          dialog.remove();
          resolve(dialog.returnValue === "yes");
        },
      },
      h("h2", { id: titleId }, title),
      h("div", { id: textId }, typeof text === "string" ? h("p", {}, text) : text),
      h("div", { class: "actions" }, agree, refuse),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A dialog around some content, opened at once; `close()` of the element closes and removes it. */
export function openDialog(title, ...children) {
  const titleId = newId("dialog");
  const close = h(
    "button",
    { type: "button", class: "quiet close", "aria-label": "Close", onclick: () => dialog.close() },
    "×",
  );
  const dialog = h(
    "dialog",
    { "aria-labelledby": titleId, onclose: () => dialog.remove() },
    h("div", { class: "dialog-head" }, h("h2", { id: titleId }, title), close),
    ...children,
  );
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// Copying.

async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Without TLS on another host than loopback, a browser supports the older API only.
  const area = h("textarea", { class: "sr-only", readonly: true });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) {
    throw new Error("the browser refused");
  }
}

/** A button that copies a text, or what a function returns; `what` names it for screen readers. */
export function copyButton(text, what = "") {
  const label = h("span", {}, "Copy");
  const button = h(
    "button",
    { type: "button", class: "small copy" },
    label,
    what && h("span", { class: "sr-only" }, ` ${what}`),
  );
  button.onclick = async () => {
    try {
      await copy(typeof text === "function" ? text() : text);
      label.textContent = "Copied";
      setTimeout(() => (label.textContent = "Copy"), 2000);
    } catch {
      toast("The browser blocked copying. Select the text and copy it manually.", "error");
    }
  };
  return button;
}

/** A block of code under a line with its label and a copy button. */
export function codeBlock(text, label) {
  return h(
    "div",
    { class: "code" },
    h("div", { class: "code-head" }, h("span", {}, label), copyButton(text, label)),
    h("pre", { tabindex: "0", role: "region", "aria-label": label }, h("code", {}, text)),
  );
}

const JSON_TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\b(?:true|false|null)\b/g;

/** JSON with its keys, strings, numbers and words coloured. */
export function colouredJson(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(JSON_TOKEN)) {
    const [whole, string, colon] = found;
    const token = string ?? whole;
    const kind = colon !== undefined ? "key" : string ? "string" : /^[-\d]/.test(whole) ? "number" : "word";
    parts.push(text.slice(from, found.index), h("span", { class: `json-${kind}` }, token));
    from = found.index + token.length;
  }
  return [...parts, text.slice(from)];
}

/** A block of JSON under a label, with a copy button. */
export function jsonBlock(value, label) {
  const text = JSON.stringify(value, null, 2);
  return h(
    "div",
    { class: "code" },
    h("div", { class: "code-head" }, h("span", {}, label), copyButton(text, label)),
    h("pre", { tabindex: "0", role: "region", "aria-label": label }, h("code", {}, colouredJson(text))),
  );
}

/** A sentence in which `words between backticks` are code. */
export function withCode(text) {
  return text.split("`").map((part, index) => (index % 2 === 1 ? h("code", {}, part) : part));
}

/** A secret on a line of its own with a copy button. */
export function secretLine(text, label) {
  return h("div", { class: "secret" }, h("code", {}, text), copyButton(text, label));
}

// Tables and lists.

/**
 * A table that becomes a stack of cards where it is narrow.
 *
 * `columns` is a list of `{ title, numeric }`; `rows` a list of lists of children, one a column, or
 * of elements made by `tableRow(columns, cells)`. The caption names it for screen readers.
 */
export function table(caption, columns, rows) {
  const heads = columns.map(({ title, numeric }) =>
    h("th", { role: "columnheader", scope: "col", class: numeric ? "numeric" : null }, title),
  );
  const made = rows.map((row) => (row instanceof HTMLElement ? row : tableRow(columns, row)));
  // The roles are explicit because a table that is displayed as blocks loses them.
  return h(
    "table",
    { role: "table", class: "stacking" },
    h("caption", { class: "sr-only" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)),
    h("tbody", { role: "rowgroup" }, made),
  );
}

/** One row of a `table`. */
export function tableRow(columns, cells, props = {}) {
  return h(
    "tr",
    { role: "row", ...props },
    cells.map((cell, index) => {
      const { title, numeric } = columns[index];
      const look = { class: numeric ? "numeric" : null, "data-title": title };
      return h("td", { role: "cell", ...look }, h("div", {}, cell));
    }),
  );
}

/** The empty state of a list. */
export function empty(title, ...children) {
  return h("div", { class: "empty" }, h("h3", {}, title), h("p", {}, ...children));
}

/** Lines that stand where something is being loaded; they show themselves only when that lasts. */
export function skeleton(lines = 3) {
  const line = () => h("span", { class: "skeleton-line" });
  return h(
    "div",
    { class: "skeleton", role: "status" },
    h("span", { class: "sr-only" }, "Loading"),
    Array.from({ length: lines }, line),
  );
}

const GONE = "no longer available on this gateway";

/** How dangerous a scope is if an app has it; 0 if it changes nothing. */
export function dangerOf(scope, info) {
  return info.scopes.find((one) => one.scope === scope)?.danger ?? 0;
}

/** The name of a scope, coloured by its danger. */
export function scopeName(scope, info) {
  const risk = ["risk-low", "risk-medium", "risk-medium", "risk-high"][dangerOf(scope, info)];
  return h("span", { class: `badge ${risk}` }, scope.replaceAll("_", " "));
}

/** Scopes as badges; `info` is what `pageInfo()` gives, for the words that explain each. */
export function scopeBadges(scopes, info) {
  const badge = (scope) => {
    const words = info.words.get(scope) ?? GONE;
    return h(
      "li",
      { title: words },
      scopeName(scope, info),
      h("span", { class: "sr-only" }, `: ${words}`),
    );
  };
  return h("ul", { class: "badges" }, scopes.map(badge));
}

/** Scopes one under another, each with its description. */
export function scopeList(scopes, info) {
  return h(
    "dl",
    { class: "scope-list" },
    scopes.map((scope) => [
      h("dt", {}, scopeName(scope, info)),
      h("dd", {}, info.words.get(scope) ?? GONE),
    ]),
  );
}

/** What an app adds to the price of contracts, in words. */
export function markupWords(percentage) {
  return percentage === 0
    ? "None"
    : `${percentage} % of the payout, added to the price of each contract bought through the app`;
}

/** Tabs after the ARIA pattern: `tabs("Snippets", [{ title, content }])`. */
export function tabs(label, panes) {
  const buttons = panes.map(({ title }) =>
    h("button", { type: "button", role: "tab", id: newId("tab") }, title),
  );
  const panels = panes.map(({ content }, index) => {
    const { id } = buttons[index];
    return h("div", { role: "tabpanel", id: newId("pane"), "aria-labelledby": id }, content);
  });
  const show = (shown) => {
    buttons.forEach((button, index) => {
      button.setAttribute("aria-selected", String(index === shown));
      button.setAttribute("aria-controls", panels[index].id);
      button.tabIndex = index === shown ? 0 : -1;
      panels[index].hidden = index !== shown;
    });
  };
  const move = (index) => {
    show(index);
    buttons[index].focus();
  };
  buttons.forEach((button, index) => {
    button.onclick = () => show(index);
    button.onkeydown = (event) => {
      const last = buttons.length - 1;
      const targets = {
        ArrowRight: index === last ? 0 : index + 1,
        ArrowLeft: index === 0 ? last : index - 1,
        Home: 0,
        End: last,
      };
      if (event.key in targets) {
        event.preventDefault();
        move(targets[event.key]);
      }
    };
  });
  show(0);
  const list = h("div", { role: "tablist", "aria-label": label }, buttons);
  return h("div", { class: "tabs" }, list, panels);
}
