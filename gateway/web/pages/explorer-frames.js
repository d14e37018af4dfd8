// The explorer's log of frames, both ways, without a token in it.
//
// Rules:
// - It keeps the last frames only, and draws once a frame of the screen however many arrive.
// - What is opened stays where it is: new frames come beneath, and the view follows them only
//   while its end is visible.

import { colouredJson, fill, h } from "/assets/dom.js";

const MOST = 200;
const SHORT = 200;
const HIDDEN = "<not shown>";
const SECRET_KEYS = /^(authorize|tokens?|token\d+|delete_token|password|redirect_to)$/;
const TOKEN = /a1-[A-Za-z0-9]{29}(?![A-Za-z0-9])|(?<![A-Za-z0-9])[A-Za-z0-9]{28}(?![A-Za-z0-9])/g;

/** A message without its secrets. */
export function withoutSecrets(value, isSecret = false) {
  if (typeof value === "string") {
    return isSecret && value !== "MULTI" ? HIDDEN : value.replace(TOKEN, HIDDEN);
  }
  if (Array.isArray(value)) {
    return value.map((item) => withoutSecrets(item, isSecret));
  }
  if (typeof value === "object" && value !== null) {
    const pairs = Object.entries(value);
    return Object.fromEntries(
      pairs.map(([key, item]) => [key, withoutSecrets(item, SECRET_KEYS.test(key))]),
    );
  }
  return value;
}

/** The log in an element. */
export class FrameLog {
  #element;
  #waiting = [];
  #frame = 0;

  constructor(element) {
    this.#element = element;
    this.clear();
  }

  add(direction, text) {
    this.#waiting.push({ direction, text, at: new Date() });
    if (this.#waiting.length > MOST) {
      this.#waiting.shift();
    }
    if (this.#frame === 0) {
      this.#frame = requestAnimationFrame(() => this.#draw());
    }
  }

  clear() {
    this.#waiting = [];
    this.#element.classList.remove("frames"); // the box with a fixed height
    fill(this.#element, h("p", { class: "hint" }, "No frames yet"));
  }

  #draw() {
    this.#frame = 0;
    if (this.#waiting.length === 0) {
      return; // cleared meanwhile
    }
    const view = this.#element;
    if (!view.classList.contains("frames")) {
      view.classList.add("frames");
      fill(view);
    }
    const follows = view.scrollHeight - view.scrollTop - view.clientHeight < 40;
    view.append(...this.#waiting.splice(0).map(entry));
    while (view.childElementCount > MOST) {
      view.firstElementChild.remove();
    }
    if (follows) {
      view.scrollTop = view.scrollHeight;
    }
  }
}

function entry({ direction, text, at }) {
  const message = withoutSecrets(JSON.parse(text));
  const short = JSON.stringify(message);
  const time = `${at.toTimeString().slice(0, 8)}.${String(at.getMilliseconds()).padStart(3, "0")}`;
  const whole = h("pre", { class: "block", tabindex: "0" });
  const opened = ({ target }) => {
    if (target.open) {
      fill(whole, colouredJson(message));
    }
  };
  return h(
    "details",
    { class: `frame ${direction}`, ontoggle: opened },
    h(
      "summary",
      {},
      h("time", {}, time),
      h("span", { class: "way" }, direction),
      h("code", {}, short.length > SHORT ? `${short.slice(0, SHORT)}…` : short),
    ),
    whole,
  );
}
