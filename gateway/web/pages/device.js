// A device: its user enters the code that it shows, and decides as on the page of consent.
//
// Rule: a code in the address is only filled in. The user compares it with the device, and goes on.

import { askConsent } from "/assets/consent-form.js";
import { busy, byId, clearErrors, field, fill, h, showErrors } from "/assets/dom.js";

const code = h("input", {
  name: "user_code",
  class: "mono",
  value: new URLSearchParams(location.search).get("user_code") ?? "",
  maxlength: "20",
  required: true,
  autocomplete: "off",
  autocapitalize: "characters",
  spellcheck: "false",
});
const next = h("button", { type: "submit", class: "primary" }, "Continue");
const form = h(
  "form",
  {},
  field("Code", code, { hint: "Eight letters, such as WDJB-MJHT." }),
  h("div", { class: "actions" }, next),
);
const page = [
  h("h1", {}, "Connect a device"),
  h("p", {}, "Enter the code that your device shows."),
  form,
];

form.onsubmit = (event) => {
  event.preventDefault();
  clearErrors(form);
  busy(next, async () => {
    let problem = null;
    fill(byId("code"));
    await askConsent(`user_code=${encodeURIComponent(code.value)}`, (error) => {
      problem = error;
    });
    if (problem !== null) {
      fill(byId("asked"));
      fill(byId("code"), ...page);
      showErrors(form, problem);
    }
  });
};

fill(byId("code"), ...page);
code.focus();
