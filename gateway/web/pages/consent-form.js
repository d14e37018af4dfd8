// Consent: the permissions that an app requests, and the user's decision. Of the pages to which apps
// send their users, and of the one for devices.
//
// Rules:
// - The page's query is passed on unchanged and not shown: what is shown of the app is what the
//   gateway returns.
// - After a decision about a device, which has no page to return to, this page says what to do.
// - A sign-in that was made on this page, for this, ends with it; an earlier one stays.
// - The most dangerous permission comes first, and none that can change something is selected.
// - The choices are kept if the user has to sign in again.
// - Restrictions begin with what holds anyway: those that the app requests, and those of the user's
//   earlier consent. Until these are read, none are sent, and the gateway takes the same.

import {
  busy,
  byId,
  choice,
  clearErrors,
  dangerOf,
  fill,
  h,
  markupWords,
  notice,
  scopeList,
  showErrors,
  skeleton,
} from "/assets/dom.js";
import { byDanger, insist, picked, scopeChoices } from "/assets/owner.js";
import {
  foldedFields,
  plainList,
  restrictionFields,
  restrictionKinds,
} from "/assets/restrictions.js";
import {
  accountText,
  api,
  onSignIn,
  pageInfo,
  signedIn,
  signInForm,
  signOut,
} from "/assets/session.js";

const MADE_HERE = "scopegate.sign-in-for-consent";
const GONE = ["ConsentRefused", "InvalidAppID"]; // the app was changed or deleted meanwhile
const DEVICE_WARNING =
  "Allow this only if you have just started it on your own device, and it shows the code below. " +
  "If somebody sent you the code or a link, deny access: they would get into your accounts.";
let query = "";
let leaving = false;
let deciding = false;

// Leaving.

function purpose() {
  return `${signedIn()?.expires_at} ${query}`;
}

/** Leave for the app's `url`; where there is none, say `instead`. */
async function leave(url, host, instead) {
  leaving = true;
  const wasMadeHere = signedIn() !== null && sessionStorage.getItem(MADE_HERE) === purpose();
  for (const id of ["choices", "refuse"]) {
    fill(byId(id));
  }
  fill(document.querySelector("[data-sign-in]"));
  const words = url === "" ? instead : ["Redirecting", `Returning to ${host}.`];
  fill(byId("asked"), h("h1", { tabindex: "-1" }, words[0]), h("p", {}, words[1]));
  byId("asked").querySelector("h1").focus();
  if (wasMadeHere) {
    sessionStorage.removeItem(MADE_HERE);
    await signOut();
  }
  if (url !== "") {
    location.replace(url);
  }
}

/** Allow or deny access; only one decision runs at a time. */
async function decide(button, act) {
  if (deciding) {
    return;
  }
  deciding = true;
  try {
    await busy(button, act);
  } finally {
    deciding = leaving;
  }
}

function refuseButton(host) {
  const place = h("div");
  const button = h("button", { type: "button" }, "Deny access");
  button.onclick = () =>
    decide(button, async () => {
      try {
        const { consent_refuse: way } = await api.ask({ consent_refuse: 1, query });
        const instead = ["Access denied", "No access was granted. You can close this page."];
        await leave(way.redirect_to, host, instead);
      } catch (error) {
        fill(place, notice("error", error.message));
      }
    });
  return { button, place };
}

// What is asked.

function showAsked(asked, info, kinds) {
  const { name, owner, returns_to: host, scopes, app_markup_percentage: markup } = asked;
  const { user_code: code, restrictions } = asked;
  fill(
    byId("asked"),
    h("h1", {}, `Allow ${name} to access your accounts?`),
    code && notice("warning", DEVICE_WARNING),
    h(
      "dl",
      { class: "facts" },
      h("dt", {}, "App"),
      h("dd", {}, h("strong", {}, name)),
      h("dt", {}, "Registered by"),
      h("dd", { id: "owner" }, owner || "Shown after you sign in"),
      h("dt", {}, code ? "Code on the device" : "Redirects to"),
      h("dd", {}, h("code", {}, code || host)),
      h("dt", {}, "Markup"),
      h("dd", {}, markupWords(markup)),
    ),
    h("div", { id: "changes", "data-owner": true }),
    h(
      "div",
      { "data-guest": true },
      h("h2", {}, "Permissions"),
      scopeList(byDanger(scopes, info), info.forApps),
      isRestricted(restrictions) && [
        h("h2", {}, "Restrictions"),
        h("p", { class: "hint" }, `${name} asks for no more than this:`),
        plainList(restrictions, kinds),
      ],
    ),
  );
}

function isRestricted(restrictions) {
  return Object.keys(restrictions).length > 0;
}

/** Show who registered the app, changes since consent, and restrictions, to a signed-in user. */
async function showOwner(choices, { email }) {
  try {
    const { consent_request: asked } = await insist(() => api.ask({ consent_request: 1, query }));
    fill(byId("owner"), asked.owner);
    fill(byId("changes"), asked.changes.length > 0 && changesNotice(asked));
    choices.showRestrictions(asked, email);
  } catch {
    // Allowing reports what is wrong with the app; the owner's name would add nothing.
  }
}

function changesNotice({ name, changes }) {
  return h(
    "div",
    { class: "notice warning" },
    h("p", {}, `You allowed this app before. It has changed since, and ${name} has no ` +
      "access until you allow it again:"),
    h("ul", {}, changes.map((sentence) => h("li", {}, sentence))),
  );
}

function showRefused(error) {
  const { back } = error.details;
  fill(
    byId("asked"),
    h("h1", {}, "Access cannot be granted"),
    notice("error", error.message),
    back && h("p", {}, h("a", { href: back, class: "button" }, "Back to the app")),
    h("p", { class: "quiet-text" }, "No access was granted."),
  );
}

// Signing in.

function showSignIn(reason) {
  const place = document.querySelector("[data-sign-in]");
  const done = () => {
    sessionStorage.setItem(MADE_HERE, purpose());
    fill(place);
    byId("choices").querySelector("input")?.focus();
  };
  fill(place, signInForm({ done, reason }));
}

// Choosing.

/** The accounts to choose from; a single account is only named. */
function accountChoices(accounts) {
  if (accounts.length === 1) {
    const [account] = accounts;
    return [
      h("p", {}, "Account: ", h("strong", {}, accountText(account))),
      h("input", { type: "hidden", name: "loginids", value: account.loginid }),
    ];
  }
  return h(
    "fieldset",
    { class: "field", name: "loginids", tabindex: "-1" },
    h("legend", {}, "Accounts"),
    accounts.map(({ loginid, currency, is_virtual: isDemo }) =>
      choice(
        currency === undefined ? loginid : `${loginid} · ${currency}`,
        h("input", { type: "checkbox", value: loginid, checked: true }),
        currency === undefined
          ? {}
          : { hint: isDemo ? "Demo account" : "Real-style account with paper money" },
      ),
    ),
  );
}

function permissionChoices({ scopes }, info) {
  const shown = byDanger(scopes, info);
  const isDangerous = (scope) => dangerOf(scope, info) > 0;
  const hint =
    "Permissions that can cost you money or change something are not selected. Select those that" +
    " you want to grant. Without them the app may not work as expected, and can ask again.";
  return scopeChoices("Permissions", shown, info.forApps, {
    name: "scopes",
    chosen: shown.filter((scope) => !isDangerous(scope)),
    hint: shown.some(isDangerous) && hint,
  });
}

/** The restrictions to choose; those that the app requests can only be made stricter. */
function restrictionChoices(asked, kinds) {
  const { name, expires_at: expiresAt, proposed_restrictions: values, restrictions } = asked;
  const fields = restrictionFields(kinds, { values, expiresAt });
  const hint = isRestricted(restrictions)
    ? `${name} asks for restrictions. You can make them stricter, and add others.`
    : `What ${name} may do at most. Empty fields restrict nothing.`;
  const open = isRestricted(values) || expiresAt !== null;
  return { ...fields, folded: foldedFields(fields, { open, hint }) };
}

function buildChoices(asked, info, kinds) {
  const { name, returns_to: host } = asked;
  const form = h("form");
  const allow = h("button", { type: "submit", class: "primary" }, `Allow ${name}`);
  const { button: refuse, place } = refuseButton(host);
  const accounts = h("div");
  const restricting = h("div");
  form.append(
    permissionChoices(asked, info),
    accounts,
    restricting,
    h("div", { class: "actions" }, allow, refuse),
    place,
    h(
      "p",
      { class: "hint consent-after" },
      "You can see its activity, restrict it and revoke access at any time under Connected apps.",
    ),
  );
  form.onsubmit = (event) => {
    event.preventDefault();
    decide(allow, () => give(form, asked, restrictions));
  };
  let shownFor = null;
  let restrictions = null;
  let restrictedFor = null;
  const showCurrency = () => restrictions?.setCurrency(currencyOf(form) ?? "");
  form.onchange = showCurrency;
  return {
    form,
    /** List the accounts of the signed-in user; a selection of the same user is kept. */
    showAccounts({ email, accounts: owned }) {
      if (shownFor !== email) {
        shownFor = email;
        const who = h("p", {}, "You are signed in as ", h("strong", {}, email), ".");
        fill(accounts, accountChoices(owned), who);
        restrictions = null;
        fill(restricting);
      }
    },
    /** Let the user with this address choose restrictions; a choice of the same user is kept. */
    showRestrictions(latest, email) {
      if (restrictions === null || restrictedFor !== email) {
        restrictedFor = email;
        restrictions = restrictionChoices(latest, kinds);
        fill(restricting, restrictions.folded);
        showCurrency();
      }
    },
  };
}

/** The selected login ids, or the only one. */
function chosenOf(field) {
  return field.type === "hidden" ? [field.value] : picked(field);
}

/** The currency of amounts: that of the first of the selected accounts, by its login id. */
function currencyOf(form) {
  const [first] = chosenOf(form.elements.loginids).sort();
  return signedIn()?.accounts.find(({ loginid }) => loginid === first)?.currency;
}

async function give(form, asked, restrictions) {
  const { name, returns_to: host, app_markup_percentage: markup } = asked;
  clearErrors(form);
  const { loginids, scopes } = form.elements;
  const shown = { name, returns_to: host, app_markup_percentage: markup };
  const restricted = restrictions && {
    restrictions: restrictions.values(),
    expires_at: restrictions.expiresAt() ?? 0,
  };
  const given = { ...shown, loginids: chosenOf(loginids), scopes: picked(scopes), ...restricted };
  try {
    const { consent } = await api.ask({ consent: 1, query, ...given });
    const instead = ["Access granted", `Return to your device: ${name} continues there.`];
    await leave(consent.redirect_to, host, instead);
  } catch (error) {
    if (GONE.includes(error.code)) {
      fill(byId("choices"));
      showRefused(error);
    } else if (error.code !== "AuthorizationRequired") {
      showErrors(form, error);
    } // else the sign-in has ended, and the form to sign in again says so
  }
}

/** Ask the user for what a query asks for; `refused(error)` shows that nothing can be granted. */
export async function askConsent(asking, refused = showRefused) {
  query = asking;
  fill(byId("asked"), skeleton(4));
  let info;
  let asked;
  let kinds;
  try {
    info = await insist(pageInfo);
    kinds = await insist(restrictionKinds);
    const reply = await insist(() => api.ask({ consent_request: 1, query }));
    asked = reply.consent_request;
  } catch (error) {
    refused(error);
    return;
  }
  showAsked(asked, info, kinds);
  const choices = buildChoices(asked, info, kinds);
  fill(byId("choices"), choices.form);
  const { button, place } = refuseButton(asked.returns_to);
  fill(byId("refuse"), h("div", { class: "actions" }, button), place);
  const show = (signIn, reason) => {
    if (leaving) {
      return;
    }
    if (signIn === null) {
      showSignIn(reason);
    } else {
      choices.showAccounts(signIn);
      showOwner(choices, signIn);
    }
  };
  const ended = "Your session has ended. Sign in to continue; your choices are kept.";
  onSignIn((signIn) => show(signIn, ended));
  show(signedIn(), "Sign in to choose accounts and permissions.");
}
