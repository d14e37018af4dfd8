// Shared by the owner's pages: a start that waits for the sign-in, lists that refresh, a choice of
// scopes, and notices of results.

import {
  busy,
  choice,
  clearErrors,
  dangerOf,
  fill,
  h,
  newId,
  notice,
  openDialog,
  scopeName,
  showErrors,
} from "/assets/dom.js";
import { api, owner, pageInfo } from "/assets/session.js";

const EVERY = 2000;

/** Runs `start(info)` once the user is signed in; `info` is what `pageInfo()` gives. */
export async function begin(start) {
  try {
    await owner();
    await start(await insist(pageInfo));
  } catch (error) {
    const sentence = `${error.message} Reload the page in a moment.`;
    document.querySelector("[data-owner]").prepend(notice("error", sentence));
  }
}

/** What `ask()` resolves to; a connection that is lost meanwhile makes it ask again. */
export async function insist(ask) {
  for (;;) {
    await api.ready();
    try {
      return await ask();
    } catch (error) {
      if (error.code !== "ConnectionLost") {
        throw error;
      }
    }
  }
}

/**
 * Runs `load()` now and every few seconds while the page is seen and the connection is there.
 *
 * The error is shown in `problem` until it succeeds. Returns a function that runs it once more
 * and resolves when that is done.
 */
export function keepFresh(load, problem) {
  let last = Promise.resolve();
  let waiting = 0;
  const run = async () => {
    try {
      await load();
      fill(problem);
    } catch (error) {
      if (error.code !== "ConnectionLost") {
        fill(problem, notice("error", error.message));
      }
    }
    waiting -= 1;
  };
  const now = () => {
    waiting += 1;
    last = last.then(run); // one after the other, so that the latest reply is shown
    return last;
  };
  const nowIfSeen = () => {
    if (waiting === 0 && document.visibilityState === "visible" && api.state === "open") {
      now();
    }
  };
  setInterval(nowIfSeen, EVERY);
  document.addEventListener("visibilitychange", nowIfSeen);
  api.onState(nowIfSeen);
  now();
  return now;
}

/**
 * A list in `parent` that is updated in place: returns `show(items)`.
 *
 * `make(item)` gives an item's `{ element, update(item) }`. An element stays while `keyOf(item)`
 * does, and is left alone while its item is the same: so nothing flickers, and focus stays.
 */
export function livingList(parent, keyOf, make) {
  const shown = new Map(); // key -> { element, update, text }
  return (items) => {
    const keys = new Set(items.map(keyOf));
    for (const [key, { element }] of shown) {
      if (!keys.has(key)) {
        element.remove();
        shown.delete(key);
      }
    }
    items.forEach((item, index) => {
      const key = keyOf(item);
      if (!shown.has(key)) {
        shown.set(key, { ...make(item), text: "" });
      }
      const one = shown.get(key);
      const text = JSON.stringify(item);
      if (one.text !== text) {
        one.text = text;
        one.update(item);
      }
      if (parent.children[index] !== one.element) {
        parent.insertBefore(one.element, parent.children[index] ?? null);
      }
    });
  };
}

/** Scopes to choose from, as a field of a form with this name; `picked` returns the selected ones. */
export function scopeChoices(legend, scopes, info, { name, chosen = [], hint }) {
  const hintId = newId("hint");
  return h(
    "fieldset",
    { class: "field", name, tabindex: "-1", "aria-describedby": hint ? hintId : null },
    h("legend", {}, legend),
    hint && h("p", { class: "hint", id: hintId }, hint),
    scopes.map((scope) =>
      choice(
        [
          scopeName(scope, info),
          ` ${info.words.get(scope)}`,
        ],
        h("input", { type: "checkbox", value: scope, checked: chosen.includes(scope) }),
      ),
    ),
  );
}

/** These scopes, the most dangerous first. */
export function byDanger(scopes, info) {
  return [...scopes].sort((one, other) => dangerOf(other, info) - dangerOf(one, info));
}

/** The values of the selected checkboxes of a fieldset. */
export function picked(fieldset) {
  return [...fieldset.querySelectorAll("input:checked")].map(({ value }) => value);
}

/** Puts a result in its place and moves the focus there, so that it is read out. */
export function showResult(place, kind, ...children) {
  const box = h("div", { class: `notice ${kind}`, tabindex: "-1" }, ...children);
  fill(place, box);
  box.focus();
  return box;
}

/**
 * A dialog with a form of these parts, opened at once.
 *
 * `send()` sends what was entered, and resolves to a function that shows the result once the dialog
 * is closed. If it rejects, the error is shown in the form.
 */
export function formDialog(title, action, parts, send) {
  const button = h("button", { type: "submit", class: "primary" }, action);
  const form = h("form", {}, ...parts, h("div", { class: "actions" }, button));
  const dialog = openDialog(title, form);
  form.onsubmit = (event) => {
    event.preventDefault();
    busy(button, async () => {
      clearErrors(form);
      try {
        const show = await send();
        dialog.close();
        show();
      } catch (error) {
        showErrors(form, error);
      }
    });
  };
  return dialog;
}

/** How many connections are signed in at this moment, as a badge where there are some. */
export function liveBadge(count) {
  return count === 0
    ? h("span", { class: "quiet-text" }, "none")
    : h("span", { class: "badge good" }, `${count} live`);
}
