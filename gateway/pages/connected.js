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
  moment,
  scopeList,
  skeleton,
  table,
} from "/assets/dom.js";
import { begin, keepFresh, liveBadge, livingList, tell } from "/assets/owner.js";
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
      ),
      h("p", { class: "hint" }, `Registered by ${told.owner}. App ${told.app_id}.`),
    );
    fill(
      facts,
      fact("May", scopeList(told.scopes, info)),
      fact(told.loginids.length === 1 ? "Account" : "Accounts", told.loginids.join(", ")),
      fact("Connected", moment(told.connected_at)),
      fact("Last used", told.last_used === null ? "never" : moment(told.last_used)),
      fact("Live connections", liveBadge(told.live_connections)),
    );
  };
  const actions = h("div", { class: "actions" }, revoke);
  return { element: h("li", { class: "card" }, about, facts, actions), update };
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
  return kind === "app" || kind === "page" ? name : `${name} (…${token.slice(-4)})`;
}

function activityRow(use) {
  return [
    moment(use.at),
    [
      use.kind === "page" ? "You" : use.name,
      h(
        "p",
        { class: "hint" },
        KINDS[use.kind],
        use.kind === "token" && [" …", h("code", {}, use.token.slice(-4))],
        use.ended ? ", ended since" : null,
      ),
    ],
    h("code", {}, use.call),
    use.loginid,
    use.from,
    use.times.toLocaleString("en"),
  ];
}

function activityView() {
  const anybody = h("option", { value: "" }, "Everybody");
  const who = h("select", { name: "who" }, anybody);
  const own = h("input", { type: "checkbox", name: "own" });
  const place = byId("activity");
  const more = h("button", { type: "button" }, "Show more");
  let uses = [];
  let isWhole = false;
  let said = "";

  const show = () => {
    const chosen = uses.filter((use) => who.value === "" || whoOf(use) === who.value);
    const told = JSON.stringify(chosen);
    if (told === said) {
      return;
    }
    said = told;
    if (chosen.length === 0) {
      fill(place, nothingDone(who.value !== ""));
      return;
    }
    const rows = chosen.slice(0, isWhole ? MOST : AT_FIRST).map(activityRow);
    more.hidden = rows.length === chosen.length;
    fill(
      place,
      table("Activity", COLUMNS, rows),
      more,
      isWhole && uses.length === MOST && h("p", { class: "hint" }, `The latest ${MOST} lines.`),
    );
  };

  /** The choices are made anew only when others are to be had: an open list must not shut. */
  const offer = () => {
    const names = new Map(uses.map((use) => [whoOf(use), nameOf(use)]));
    names.delete("page");
    const offered = [...who.options].slice(1).map(({ value }) => value);
    if (who.value !== "" && !names.has(who.value)) {
      names.set(who.value, who.selectedOptions[0].textContent);
    }
    if ([...names.keys()].sort().join("\n") === offered.sort().join("\n")) {
      return;
    }
    const kept = who.value;
    const options = [...names].map(([value, name]) => {
      const kind = value.startsWith("app") ? "App" : "Token";
      return h("option", { value }, `${kind}: ${name}`);
    });
    fill(who, anybody, options);
    who.value = kept;
  };

  more.onclick = () => {
    isWhole = true;
    said = "";
    show();
    const next = place.querySelectorAll("tbody tr")[AT_FIRST];
    next.tabIndex = -1;
    next.focus();
  };
  who.onchange = show;
  own.onchange = () => refresh();
  fill(byId("filter"), field("Show", who), choice("What I did at these pages, too", own));
  byId("filter").onsubmit = (event) => event.preventDefault();
  fill(place, skeleton(4));
  return async () => {
    const request = { activity: 1, limit: MOST, own_pages: Number(own.checked) };
    uses = (await api.ask(request)).activity;
    offer();
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
  }, byId("problem"));
});
