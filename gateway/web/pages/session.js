// The page's connection and who is signed in on it.
//
// Rules:
// - A sign-in is kept in this tab's `sessionStorage` and nowhere else.
// - The page's connection signs in each time it opens, before anything else is sent.
// - What belongs to an owner is in elements with `data-owner`, shown only to a signed-in user. The
//   sign-in form is in the element with `data-sign-in`.

import { busy, clearErrors, field, fill, h, notice, openDialog, showErrors, toast } from
  "/assets/dom.js";
import { Api } from "/assets/socket.js";

const KEPT = "scopegate.sign-in";
const NOTICE = "scopegate.notice";
const ENDED = "Your session has ended. Sign in again.";

const listeners = new Set();
let signedInAs = read();
let ownerAsked = false;
let ownerGiven = false;

/** The page's connection to the API. */
export const api = new Api({ onOpen: authorize, onDenied: checkSignIn });

// Who is signed in.

/** `{ email, expires_at, accounts: [{ loginid, currency, is_virtual, token }] }`, or `null`. */
export function signedIn() {
  return signedInAs;
}

/** Has `listener(signIn or null)` called whenever that changes. */
export function onSignIn(listener) {
  listeners.add(listener);
}

/**
 * The sign-in, once there is one and the connection has it; shows the form until then.
 *
 * `reason` is a sentence above the form. When the sign-in ends later, the page is reloaded.
 */
export async function owner({ reason } = {}) {
  ownerAsked = true;
  await api.ready();
  if (signedInAs === null) {
    await new Promise((resolve) => {
      const form = signInForm({ reason, done: resolve });
      fill(document.querySelector("[data-sign-in]"), form);
    });
    fill(document.querySelector("[data-sign-in]"));
  }
  ownerGiven = true;
  return signedInAs;
}

/** Shows the form: where the page has it, else in a dialog. */
export function askToSignIn() {
  const place = document.querySelector("[data-sign-in] form");
  if (place !== null) {
    place.elements.email.focus();
    return;
  }
  const dialog = openDialog("Sign in", signInForm({ done: () => dialog.close(), titled: false }));
}

let leaving = false;

/** Ends the sign-in here and at the gateway. */
export async function signOut() {
  leaving = true; // its streams fail before the answer comes, which is no news
  let sentence = "You are signed out.";
  try {
    await api.ask({ sign_out: 1 });
  } catch (error) {
    sentence =
      `You are signed out here, but the gateway may not have been notified. ${error.message}`;
  }
  leaving = false;
  drop(sentence);
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    return null;
  }
}

function keep(signIn) {
  signedInAs = signIn;
  if (signIn === null) {
    sessionStorage.removeItem(KEPT);
  } else {
    sessionStorage.setItem(KEPT, JSON.stringify(signIn));
  }
  document.documentElement.toggleAttribute("data-signed-in", signIn !== null);
}

function notifyListeners() {
  listeners.forEach((listener) => listener(signedInAs));
}

function drop(sentence) {
  keep(null);
  if (ownerAsked) {
    sessionStorage.setItem(NOTICE, sentence); // the form shows it
  } else {
    toast(sentence);
  }
  if (ownerGiven) {
    location.reload(); // what is shown is not for who comes next
  } else {
    notifyListeners();
  }
}

function authorization({ accounts }) {
  return { authorize: "MULTI", tokens: accounts.map(({ token }) => token) };
}

async function authorize(ask) {
  if (signedInAs === null) {
    return;
  }
  try {
    await ask(authorization(signedInAs));
  } catch (error) {
    if (error.code !== "InvalidToken") {
      throw error;
    }
    drop(ENDED);
  }
}

let checking = false;

/** Check the sign-in after a request was refused without one, and drop it if it has ended. */
export async function checkSignIn() {
  if (signedInAs === null || checking || leaving) {
    return;
  }
  checking = true;
  try {
    await authorize((request) => api.ask(request));
  } catch {
    // The connection went, too: the next one finds out.
  } finally {
    checking = false;
  }
}

// Accounts.

/** The account that was picked, `{ loginid, … }`; at first the one that the gateway names first. */
export function account() {
  const { accounts, loginid } = signedInAs;
  return accounts.find((candidate) => candidate.loginid === loginid) ?? accounts[0];
}

/** "VRTC9000001 · USD · demo"; the login id alone where no exchange keeps more of it. */
export function accountText({ loginid, currency, is_virtual: isDemo }) {
  if (currency === undefined) {
    return loginid;
  }
  return `${loginid} · ${currency} · ${isDemo ? "demo" : "real-style, paper money"}`;
}

/** A labelled choice of the account; `onChange(account)` gets a new one. */
export function accountPicker(onChange) {
  const select = h(
    "select",
    {
      name: "account",
      onchange: () => {
        keep({ ...signedInAs, loginid: select.value });
        onChange(account());
      },
    },
    signedInAs.accounts.map((candidate) =>
      h(
        "option",
        { value: candidate.loginid, selected: candidate.loginid === account().loginid },
        accountText(candidate),
      ),
    ),
  );
  return field("Account", select);
}

// What the gateway reports about itself.

let info = null;

api.onState((state) => {
  if (state === "lost") {
    info = null; // another start of the gateway has another demo token
  }
});

/**
 * `{ demo: { loginid, token } or null, scopes: [{ scope, danger, … }], users, version, words: Map }`.
 *
 * `words` describe what the owner's API token may do. `forApps` is the same object with the words
 * for apps.
 */
export function pageInfo() {
  info ??= loadInfo();
  return info;
}

async function loadInfo() {
  try {
    await api.ready();
    const { page_info: reply } = await api.ask({ page_info: 1 });
    const wordsOf = (kind) => new Map(reply.scopes.map((one) => [one.scope, one[kind]]));
    const forApps = { ...reply, words: wordsOf("app_words") };
    return { ...reply, words: wordsOf("words"), forApps };
  } catch (error) {
    info = null; // the next one to want it asks again
    throw error;
  }
}

// The form.

/**
 * The sign-in form as an element; `done(signIn)` is called once the user has signed in.
 * `reason` is a sentence above it; `titled: false` leaves out its heading.
 */
export function signInForm({ done, reason, titled = true }) {
  const form = h("form", { class: "sign-in" });
  const button = h("button", { type: "submit", class: "primary" }, "Sign in");
  const demo = h("button", { type: "button", hidden: true }, "Continue as the demo user");
  const first = h("div", { class: "sign-in-first" });
  const enter = (pressed, request) =>
    busy(pressed, async () => {
      clearErrors(form);
      try {
        await signIn(request);
        done(signedInAs);
      } catch (error) {
        showErrors(form, error);
      }
    });
  form.onsubmit = (event) => {
    event.preventDefault();
    const { email, password } = form.elements;
    enter(button, { sign_in: 1, email: email.value.trim(), password: password.value });
  };
  demo.onclick = () => enter(demo, { sign_in_demo: 1 });
  pageInfo().then(
    ({ demo: account, users }) => {
      demo.hidden = account === null;
      if (users === "none") {
        fill(first, nobodyYet());
      } else if (users === "demo" && account !== null) {
        // Nobody has a password to enter: the demo user is the usual way in.
        demo.classList.add("primary");
        button.classList.remove("primary");
        fill(first, demo, h("p", { class: "hint" }, "Or sign in as a user you created:"));
      }
    },
    () => {}, // without it the form is whole but for that button
  );
  const email = { name: "email", type: "email", autocomplete: "username", required: true };
  const password = { type: "password", autocomplete: "current-password", required: true };
  form.append(
    ...[
      titled && h("h2", {}, "Sign in"),
      reason && h("p", {}, reason),
      keptNotice(),
      first,
      field("E-mail", h("input", { ...email, spellcheck: "false" })),
      field("Password", h("input", { ...password, name: "password" })),
      h("div", { class: "actions" }, button, demo),
    ].filter(Boolean),
  );
  return form;
}

function nobodyYet() {
  return notice(
    "info",
    "This gateway has no users yet. Create one on the server: ",
    h("code", {}, "scopegate user create --email you@example.com"),
  );
}

function keptNotice() {
  const sentence = sessionStorage.getItem(NOTICE);
  sessionStorage.removeItem(NOTICE);
  return sentence && notice("info", sentence);
}

async function signIn(request) {
  const reply = await api.ask(request);
  const { email, expires_at, accounts } = reply[reply.msg_type];
  const made = { email, expires_at, accounts };
  await api.ask(authorization(made));
  keep(made);
  notifyListeners();
}

keep(signedInAs);
