// Connected apps: permissions, live connections, revocation, activity, and who changed what.
//
// Rules:
// - Everything is reloaded every few seconds; unchanged elements are kept, so nothing flickers.

import {
  busy,
  byId,
  choice,
  confirm,
  counted,
  empty,
  field,
  fill,
  h,
  markupWords,
  moment,
  scopeList,
  skeleton,
  table,
  tableRow,
} from "/assets/dom.js";
import {
  begin,
  byDanger,
  insist,
  keepFresh,
  liveBadge,
  livingList,
  showResult,
} from "/assets/owner.js";
import {
  expiryText,
  ownRestrictions,
  restrictionDialog,
  restrictionKinds,
  restrictionList,
} from "/assets/restrictions.js";
import { api, signedIn } from "/assets/session.js";

const MOST = 200;
const AT_FIRST = 25;
const COLUMNS = [
  { title: "When" },
  { title: "Who" },
  { title: "Call" },
  { title: "Account" },
  { title: "From" },
  { title: "Count", numeric: true },
  { title: "Outcome" },
];
const KINDS = { app: "app", token: "token", demo: "demo token", page: "on these pages" };

let refresh;

// The apps.

function card(app, info, kinds) {
  let shown = app;
  const about = h("div");
  const facts = h("dl", { class: "facts" });
  const edit = h(
    "button",
    { type: "button", onclick: () => editRestrictions(shown, kinds) },
    "Edit restrictions",
    h("span", { class: "sr-only" }, ` of ${app.name}`),
  );
  const revoke = h(
    "button",
    { type: "button", class: "danger-quiet" },
    "Revoke access",
    h("span", { class: "sr-only" }, ` for ${app.name}`),
  );
  revoke.onclick = () => revokeAccess(app, revoke);
  const update = (latest) => {
    shown = latest;
    const held = restrictionList(latest.in_force, kinds, "app");
    fill(
      about,
      h(
        "div",
        { class: "head" },
        h("h2", {}, latest.name),
        latest.official ? h("span", { class: "badge good" }, "official") : null,
        latest.needs_consent
          ? h("span", { class: "badge warning" }, "needs your consent again")
          : null,
      ),
      latest.needs_consent ? changed(latest) : null,
      h("p", { class: "hint" }, `App ${latest.app_id}, registered by ${latest.owner}. It can:`),
      scopeList(byDanger(latest.scopes, info), info.forApps),
    );
    fill(
      facts,
      fact(latest.loginids.length === 1 ? "Account" : "Accounts", latest.loginids.join(", ")),
      fact("Markup", markupWords(latest.app_markup_percentage)),
      fact("Restrictions", held.length === 0 ? "none" : held),
      fact("Connected", moment(latest.connected_at)),
      latest.expires_at !== null && fact("Expiry", expiryText(latest.expires_at)),
      fact("Last used", latest.last_used === null ? "never" : moment(latest.last_used)),
      fact("Live connections", liveBadge(latest.live_connections)),
    );
  };
  const actions = h("div", { class: "actions" }, edit, revoke);
  return { element: h("li", { class: "card" }, about, facts, actions), update };
}

/** Why an app has no access at present, and what to do. */
function changed({ name, changes }) {
  return h(
    "div",
    { class: "notice warning" },
    h("p", {}, `${name} has changed since you gave consent, and has no access until you consent ` +
      "again: sign in from the app. If you no longer trust it, revoke its access."),
    h("ul", {}, changes.map((sentence) => h("li", {}, sentence))),
  );
}

function fact(title, ...what) {
  return [h("dt", {}, title), h("dd", {}, ...what)];
}

function editRestrictions(app, kinds) {
  const { app_id: appId, name, loginids, in_force: sets, expires_at: expiresAt } = app;
  const first = signedIn().accounts.find(({ loginid }) => loginid === loginids[0]);
  const currency = sets[0]?.use.currency ?? first?.currency;
  const hint =
    "They apply at once to all tokens of the app. What is already used counts. Empty fields " +
    "restrict nothing.";
  const start = { values: ownRestrictions(sets, "app"), expiresAt, currency };
  restrictionDialog(name, hint, kinds, start, async (changed) => {
    await api.ask({ app_restrict: appId, ...changed });
    await refresh();
    const text = `The restrictions of ${name} were changed.`;
    return () => showResult(byId("said"), "good", h("p", {}, text));
  });
}

async function revokeAccess({ app_id: appId, name }, button) {
  const agreed = await confirm({
    title: `Revoke access for ${name}?`,
    text:
      `${name} loses access immediately, and its live connections are signed out. ` +
      "To use your account again, it needs your consent.",
    action: "Revoke access",
    danger: true,
  });
  if (!agreed) {
    return;
  }
  await busy(button, async () => {
    try {
      const { revoke_access: done } = await api.ask({ revoke_access: appId });
      await refresh();
      const ended =
        done.signed_out === 0
          ? "It had no live connections."
          : `Signed out ${counted(done.signed_out, "live connection")}.`;
      showResult(byId("said"), "good", h("p", {}, `${done.name} no longer has access. ${ended}`));
    } catch (error) {
      showResult(byId("said"), "error", h("p", {}, `Access was not revoked. ${error.message}`));
    }
  });
}

// Activity.

function whoOf({ kind, app_id: appId, token }) {
  return kind === "app" ? `app ${appId}` : kind === "page" ? "page" : `token ${token}`;
}

function nameOf({ kind, name, token }) {
  return kind === "app" ? `App: ${name}` : `Token: ${name} (…${token.slice(-4)})`;
}

/** List the apps and tokens with activity; an unchanged list stays, so that it does not close. */
function showSources(select, uses) {
  const [all, ...listed] = select.options;
  const byOthers = uses.filter(({ kind }) => kind !== "page");
  const names = new Map(byOthers.map((use) => [whoOf(use), nameOf(use)]));
  const chosen = select.value;
  if (chosen !== "" && !names.has(chosen)) {
    names.set(chosen, select.selectedOptions[0].textContent);
  }
  const before = listed.map(({ value }) => value).sort().join("\n");
  if ([...names.keys()].sort().join("\n") !== before) {
    fill(select, all, [...names].map(([value, name]) => h("option", { value }, name)));
    select.value = chosen;
  }
}

function activityRow({ call, from, kind, loginid, name, token }) {
  const when = h("div");
  const ended = h("span");
  const times = h("div");
  const outcome = h("div");
  const who = [
    kind === "page" ? "You" : name,
    h(
      "p",
      { class: "hint" },
      KINDS[kind],
      kind === "token" && [" …", h("code", {}, token.slice(-4))],
      ended,
    ),
  ];
  const cells = [when, who, h("code", {}, call), loginid, from, times, outcome];
  const update = (use) => {
    fill(when, moment(use.at));
    fill(times, Math.max(use.times, use.refused).toLocaleString("en"));
    fill(outcome, ...outcomeOf(use));
    fill(ended, use.ended ? ", access ended" : null);
  };
  return { element: tableRow(COLUMNS, cells), update };
}

/** Whether the calls succeeded, and else why the latest was refused. */
function outcomeOf({ times, refused, last_error: code }) {
  if (refused === 0) {
    return [h("span", { class: "gain" }, "succeeded")];
  }
  const words = refused >= times ? "refused" : `${counted(refused, "call")} refused`;
  return [h("span", { class: "loss" }, words), h("p", { class: "hint" }, h("code", {}, code))];
}

function activityView() {
  const who = h("select", { name: "who" }, h("option", { value: "" }, "All activity"));
  const own = h("input", { type: "checkbox", name: "own" });
  const place = byId("activity");
  const more = h("button", { type: "button" }, "Show more");
  const most = h("p", { class: "hint" }, `Only the latest ${MOST} rows are shown.`);
  const whole = h("div", {}, table("Activity", COLUMNS, []), more, most);
  const body = whole.querySelector("tbody");
  const keyOf = ({ call, from, token }) => `${token} ${call} ${from}`;
  const showRows = livingList(body, keyOf, activityRow);
  const nothingAtAll = nothingDone(false);
  const nothingOfThis = nothingDone(true);
  let uses = [];
  let isWhole = false;

  const show = () => {
    const chosen = uses.filter((use) => who.value === "" || whoOf(use) === who.value);
    showRows(chosen.slice(0, isWhole ? MOST : AT_FIRST));
    more.hidden = body.childElementCount === chosen.length;
    most.hidden = !isWhole || uses.length < MOST;
    const nothing = who.value === "" ? nothingAtAll : nothingOfThis;
    const wanted = chosen.length === 0 ? nothing : whole;
    if (!place.contains(wanted)) {
      fill(place, wanted);
    }
  };

  more.onclick = () => {
    isWhole = true;
    show();
    const next = body.children[AT_FIRST];
    next.tabIndex = -1;
    next.focus();
  };
  who.onchange = show;
  own.onchange = () => refresh();
  fill(byId("filter"), field("Show", who), choice("Include my activity on these pages", own));
  byId("filter").onsubmit = (event) => event.preventDefault();
  return async () => {
    const request = { activity: 1, limit: MOST, own_pages: Number(own.checked) };
    uses = (await api.ask(request)).activity;
    showSources(who, uses);
    show();
  };
}

function nothingDone(isFiltered) {
  return isFiltered
    ? empty("No activity", "This app or program has not made a call yet.")
    : empty(
        "No activity yet",
        "Calls that apps and programs make with your tokens are listed here. Create a token ",
        h("a", { href: "/tokens" }, "under API tokens"),
        ".",
      );
}

// Sign-ins and changes.

const CHANGES = [{ title: "When" }, { title: "What" }, { title: "By" }, { title: "Details" }];
const ACTORS = {
  owner: "You",
  operator: "The operator",
  "command line": "The operator",
  gateway: "This gateway",
};

function changeRow({ about, actor, at, event }) {
  const cells = [moment(at), event, ACTORS[actor] ?? actor, about];
  return { element: tableRow(CHANGES, cells), update: () => {} };
}

function changesView() {
  const whole = table("Sign-ins and changes", CHANGES, []);
  const show = livingList(whole.querySelector("tbody"), ({ number }) => number, changeRow);
  fill(byId("changes"), whole);
  return async () => {
    show((await api.ask({ audit_trail: 1, limit: AT_FIRST })).audit_trail);
  };
}

begin(async (info) => {
  const place = byId("apps");
  fill(place, skeleton(4));
  const none = empty(
    "No connected apps",
    "Apps that want access to your accounts send you to this gateway for consent. " +
      "To try it, register your own app ",
    h("a", { href: "/apps" }, "under My apps"),
    " and open its consent link.",
  );
  const list = h("ul", { class: "cards wide" });
  const kinds = await insist(restrictionKinds);
  const show = livingList(list, ({ app_id: appId }) => appId, (app) => card(app, info, kinds));
  const showActivity = activityView();
  const showChanges = changesView();
  refresh = keepFresh(async () => {
    const asked = api.ask({ connected_apps: 1 });
    const others = [showActivity(), showChanges()];
    const [{ connected_apps: apps }] = await Promise.all([asked, ...others]);
    show(apps);
    const wanted = apps.length === 0 ? none : list;
    if (!place.contains(wanted)) {
      fill(place, wanted);
    }
    byId("activity-part").hidden = false;
    byId("changes-part").hidden = false;
  }, byId("problem"));
});
