// The frame of every page: which page this is, who is signed in, whether the connection is there.
// It blocks rendering, so that what the signed-in see is there from the first frame on.

import { busy, byId, fill, h } from "/assets/dom.js";
import { api, askToSignIn, onSignIn, signedIn, signOut } from "/assets/session.js";

const BACK_FOR = 4000;

for (const link of document.querySelectorAll("#pages a")) {
  if (link.pathname === location.pathname) {
    link.setAttribute("aria-current", "page");
  }
}

// The menu of a narrow page.

const menu = byId("menu");

function open(isOpen) {
  menu.setAttribute("aria-expanded", String(isOpen));
}

menu.onclick = () => open(menu.getAttribute("aria-expanded") !== "true");
document.querySelector("header").onkeydown = (event) => {
  if (event.key === "Escape" && menu.getAttribute("aria-expanded") === "true") {
    open(false);
    menu.focus();
  }
};

// Who is signed in.

function showWho(signIn) {
  if (signIn === null) {
    fill(byId("who"), h("button", { type: "button", onclick: askToSignIn }, "Sign in"));
    return;
  }
  const leave = h("button", { type: "button" }, "Sign out");
  leave.onclick = () => busy(leave, signOut);
  const name = h("span", { class: "email", title: signIn.email }, signIn.email);
  fill(byId("who"), h("span", { class: "sr-only" }, "Signed in as "), name, leave);
}

onSignIn(showWho);
showWho(signedIn());

// The connection.

let wasLost = false;

api.onState((state) => {
  const bar = byId("connection");
  bar.dataset.state = state;
  if (state === "lost" && !wasLost) {
    wasLost = true;
    bar.textContent = "The connection to the gateway was lost. Reconnecting…";
  } else if (state === "open" && wasLost) {
    wasLost = false;
    bar.textContent = "Reconnected.";
    setTimeout(() => {
      if (!wasLost) {
        bar.textContent = "";
      }
    }, BACK_FOR);
  }
});
