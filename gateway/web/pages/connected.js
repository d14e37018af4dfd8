// Connected apps: what each may do and does now, access taken back, and what was done.
//
// Rules:
// - All is told anew every few seconds; what stays the same is left alone, so nothing flickers.

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
import { begin, byDanger, keepFresh, liveBadge, livingList, tell } from "/assets/owner.js";
import { api } from "/assets/session.js";

const MOST = 200;
const AT_FIRST = 25;
const COLUMNS = [
  { title: "When" },
  { title: "Who" },
  { title: "Call" },
  { title: "Account" },
  { title: "From" },
  { title: "Times", numeric: true },
  { title: "Outcome" },
];
const KINDS = { app: "app", token: "token", demo: "demo token", page: "at these pages" };

let refresh;

// The apps.

function card(app, info) {
  const about = h("div");
  const facts = h("dl", { class: "facts" });
  const revoke = h(
    "button",
    { type: "button", class: "danger-quiet" },
    "Revoke access",
    h("span", { class: "sr-only" }, ` of ${app.name}`),
  );
  revoke.onclick = () => revokeAccess(app, revoke);
  const update = (told) => {
    fill(
      about,
      h(
        "div",
        { class: "head" },
        h("h2", {}, told.name),
        told.official ? h("span", { class: "badge good" }, "official") : null,
        told.needs_consent
          ? h("span", { class: "badge warning" }, "needs your consent again")
          : null,
      ),
      told.needs_consent ? changed(told) : null,
      h("p", { class: "hint" }, `App ${told.app_id}, registered by ${told.owner}. It may:`),
      scopeList(byDanger(told.scopes, info), info.forApps),
    );
    fill(
      facts,
      fact(told.loginids.length === 1 ? "Account" : "Accounts", told.loginids.join(", ")),
      fact("Markup", markupWords(told.app_markup_percentage)),
      fact("Connected", moment(told.connected_at)),
      fact("Last used", told.last_used === null ? "never" : moment(told.last_used)),
      fact("Live connections", liveBadge(told.live_connections)),
    );
  };
  const actions = h("div", { class: "actions" }, revoke);
  return { element: h("li", { class: "card" }, about, facts, actions), update };
}

/** Why an app can do nothing for now, and what to do. */
function changed({ name, changes }) {
  return h(
    "div",
    { class: "notice warning" },
    h("p", {}, `${name} has changed since you allowed it, and can do nothing until you allow it ` +
      "again: sign in from the app. If you no longer trust it, revoke its access."),
    h("ul", {}, changes.map((sentence) => h("li", {}, sentence))),
  );
}

function fact(title, ...what) {
  return [h("dt", {}, title), h("dd", {}, ...what)];
}

async function revokeAccess({ app_id: appId, name }, button) {
  const agreed = await confirm({
    title: `Revoke access of ${name}?`,
    text:
      `What ${name} does for you ends at once, also on connections that are live now. ` +
      "It can act for you again only if you allow it anew.",
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
          ? "It had no live connection."
          : `Signed out ${counted(done.signed_out, "live connection")}.`;
      tell(byId("said"), "good", h("p", {}, `${done.name} has no access any more. ${ended}`));
    } catch (error) {
      tell(byId("said"), "error", h("p", {}, `Access was not revoked. ${error.message}`));
    }
  });
}

// What was done.

function whoOf({ kind, app_id: appId, token }) {
  return kind === "app" ? `app ${appId}` : kind === "page" ? "page" : `token ${token}`;
}

function nameOf({ kind, name, token }) {
  return kind === "app" ? `App: ${name}` : `Token: ${name} (…${token.slice(-4)})`;
}

/** Offers whoever did something, anew only when that is another: an open list must not shut. */
function offer(select, uses) {
  const [anybody, ...offered] = select.options;
  const byOthers = uses.filter(({ kind }) => kind !== "page");
  const names = new Map(byOthers.map((use) => [whoOf(use), nameOf(use)]));
  const chosen = select.value;
  if (chosen !== "" && !names.has(chosen)) {
    names.set(chosen, select.selectedOptions[0].textContent);
  }
  const before = offered.map(({ value }) => value).sort().join("\n");
  if ([...names.keys()].sort().join("\n") !== before) {
    fill(select, anybody, [...names].map(([value, name]) => h("option", { value }, name)));
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
    fill(ended, use.ended ? ", ended since" : null);
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
  const who = h("select", { name: "who" }, h("option", { value: "" }, "Everybody"));
  const own = h("input", { type: "checkbox", name: "own" });
  const place = byId("activity");
  const more = h("button", { type: "button" }, "Show more");
  const most = h("p", { class: "hint" }, `The latest ${MOST} lines are shown.`);
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
  fill(byId("filter"), field("Show", who), choice("What I did at these pages, too", own));
  byId("filter").onsubmit = (event) => event.preventDefault();
  return async () => {
    const request = { activity: 1, limit: MOST, own_pages: Number(own.checked) };
    uses = (await api.ask(request)).activity;
    offer(who, uses);
    show();
  };
}

function nothingDone(isFiltered) {
  return isFiltered
    ? empty("Nothing here", "This one has done nothing yet.")
    : empty(
        "Nothing was done yet",
        "As soon as an app or a program uses one of your tokens, it is told here. Make a token ",
        h("a", { href: "/tokens" }, "under API tokens"),
        ".",
      );
}

begin(async (info) => {
  const place = byId("apps");
  fill(place, skeleton(4));
  const none = empty(
    "No app is connected",
    "An app that wants to act for you sends you to this gateway, where you allow what it may do. " +
      "To see how that is, register an app of your own ",
    h("a", { href: "/apps" }, "under My apps"),
    " and follow its link.",
  );
  const list = h("ul", { class: "cards wide" });
  const show = livingList(list, ({ app_id: appId }) => appId, (app) => card(app, info));
  const showActivity = activityView();
  refresh = keepFresh(async () => {
    const asked = api.ask({ connected_apps: 1 });
    const activity = showActivity();
    const [{ connected_apps: apps }] = await Promise.all([asked, activity]);
    show(apps);
    const wanted = apps.length === 0 ? none : list;
    if (!place.contains(wanted)) {
      fill(place, wanted);
    }
    byId("activity-part").hidden = false;
  }, byId("problem"));
});
