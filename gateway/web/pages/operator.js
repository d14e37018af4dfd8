// The operator's page: what clients do at present, and the end of what they may do.
//
// Rules:
// - The operator's token is in this page's memory and nowhere else: a reload asks for it again.
// - The page has a connection of its own, because an operator is not an owner.
// - Rows stay in place while what they show does: so nothing jumps, and focus stays.

import {
  busy,
  byId,
  clearErrors,
  confirm,
  field,
  fill,
  h,
  localTime,
  moment,
  notice,
  showErrors,
  table,
  tableRow,
} from "/assets/dom.js";
import { livingList, showResult } from "/assets/owner.js";
import { Api } from "/assets/socket.js";

let token = null;
let own = null; // the id of this page's own connection
let refusal = null; // the sentence with which the token was refused on a new connection

const api = new Api({
  onOpen: async (ask) => {
    if (token === null) {
      return;
    }
    try {
      await signIn(ask);
    } catch (error) {
      if (error.code !== "InvalidCredentials" && error.code !== "PermissionDenied") {
        throw error; // it is tried again
      }
      token = null; // the gateway was started with another one: the stream ends, and asks for it
      refusal = error.message;
    }
  },
});

async function signIn(ask) {
  const reply = await ask({ operator_sign_in: 1, operator_token: token });
  own = reply.operator_sign_in.session;
}

// The lists. Each is a table that is updated in place.

/**
 * A table in the element with this id; returns `show(items)`. `none` stands for an empty list.
 *
 * One with few columns stays a table where it is narrow.
 */
function list(id, caption, columns, keyOf, make, none) {
  const whole = table(caption, columns, []);
  whole.classList.add("steady");
  whole.classList.toggle("stacking", columns.length > 4);
  const nothing = h("p", { class: "quiet-text" }, none);
  const show = livingList(whole.querySelector("tbody"), keyOf, (item) => {
    const cells = columns.map(() => h("div"));
    const update = make(item, cells);
    update(item);
    return { element: tableRow(columns, cells), update };
  });
  return (items) => {
    show(items);
    const wanted = items.length === 0 ? nothing : whole;
    if (!byId(id).contains(wanted)) {
      fill(byId(id), wanted);
    }
  };
}

/** A row without a button: `contents(item)` gives what is in each cell. */
function plain(contents) {
  return (item, cells) => (latest) =>
    contents(latest).forEach((content, index) => fill(cells[index], content));
}

/** A row whose last cell has a button that stays. */
function withAction(contents, button) {
  return (item, cells) => {
    fill(cells.at(-1), button(item));
    return plain(contents)(item, cells);
  };
}

function action(label, of, { danger = true, onclick }) {
  const button = h(
    "button",
    { type: "button", class: danger ? "small danger-quiet" : "small" },
    label,
    h("span", { class: "sr-only" }, ` ${of}`),
  );
  button.onclick = () => onclick(button);
  return button;
}

const hint = (...text) => h("span", { class: "hint" }, ...text);
const quiet = (...text) => h("span", { class: "quiet-text" }, ...text);
const NO_APP = "no valid app_id";
const appOf = ({ app_id: id, app_name: name }) =>
  id === null ? quiet(NO_APP) : [name, " ", hint(`app ${id}`)];
const nobody = () => quiet("not signed in");

const showConnections = list(
  "connections",
  "Connections",
  [
    { title: "App" },
    { title: "User" },
    { title: "Address" },
    { title: "Connected" },
    { title: "Messages", numeric: true },
    { title: "Streams", numeric: true },
    { title: "" },
  ],
  ({ session }) => session,
  withAction(
    (one) => [
      appOf(one),
      one.email === null
        ? nobody()
        : [one.email, h("p", { class: "hint" }, one.loginids.join(", "))],
      [one.address, one.at_pages ? h("p", { class: "hint" }, "these pages") : null],
      moment(one.connected_at),
      one.messages.toLocaleString("en"),
      one.streams.toLocaleString("en"),
    ],
    (one) =>
      one.session === own
        ? hint("this page")
        : action("End", `the connection from ${one.address}`, {
            onclick: (button) => endSession(one, button),
          }),
  ),
  "There are no such connections.",
);

const showApps = list(
  "apps",
  "Apps by connections",
  [{ title: "App" }, { title: "Open", numeric: true }, { title: "" }],
  ({ app_id: id }) => id,
  withAction(
    ({ app_id: id, name, connections }) => [
      appOf({ app_id: id, app_name: name }),
      connections.toLocaleString("en"),
    ],
    ({ app_id: id, name }) => {
      if (id === null) {
        return null;
      }
      return id === PAGES_APP
        ? hint("of these pages")
        : action("Disable", `app ${name}`, {
            onclick: (button) => disableApp(id, `${name} (app ${id})`, button),
          });
    },
  ),
  "No app is connected.",
);

const showUsers = list(
  "users",
  "Users by connections",
  [{ title: "User" }, { title: "Open", numeric: true }, { title: "" }],
  ({ email }) => email,
  withAction(
    ({ email, connections }) => [email, connections.toLocaleString("en")],
    ({ email }) =>
      action("Disable", email, { onclick: (button) => disableUser(email, button) }),
  ),
  "No user is signed in.",
);

const showCalls = list(
  "calls",
  "Calls",
  [
    { title: "Call" },
    { title: "A second", numeric: true },
    { title: "Errors", numeric: true },
    { title: "99 % within", numeric: true },
  ],
  ({ call }) => call,
  plain((one) => [
    h("code", {}, one.call),
    rate(one.per_second),
    rate(one.errors_per_second),
    duration(one.seconds),
  ]),
  "No call was made in the last minute.",
);

const COUNTS = [{ title: "Times", numeric: true }];

const showErrorCounts = list(
  "errors",
  "Errors by code",
  [{ title: "Error" }, ...COUNTS],
  ({ code }) => code,
  plain(({ code, times }) => [h("code", {}, code), times.toLocaleString("en")]),
  "No message was answered with an error.",
);

const showLimits = list(
  "limits",
  "Refusals by limit",
  [{ title: "Limit" }, ...COUNTS],
  ({ limit }) => limit,
  plain(({ limit, times }) => [limit, times.toLocaleString("en")]),
  "No limit was reached.",
);

const showRefusals = list(
  "refusals",
  "Latest refusals",
  [
    { title: "When" },
    { title: "Call" },
    { title: "Error" },
    { title: "App" },
    { title: "User" },
    { title: "Address" },
  ],
  (one) => one.key,
  plain((one) => [
    moment(one.at),
    h("code", {}, one.call),
    [h("code", {}, one.code), one.limit && h("p", { class: "hint" }, one.limit)],
    one.app_id === null ? quiet("none") : one.app_id,
    one.email ?? nobody(),
    one.address,
  ]),
  "No message was refused.",
);

const showDisabled = list(
  "disabled",
  "Disabled users and apps",
  [{ title: "User or app" }, { title: "Since" }, { title: "" }],
  (one) => one.name,
  withAction(
    (one) => [one.name, localTime(one.disabled_at)],
    (one) =>
      action("Enable", one.name, { danger: false, onclick: (button) => enable(one, button) }),
  ),
  "Nobody is disabled.",
);

function rate(perSecond) {
  return perSecond.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

function duration(seconds) {
  return seconds < 1 ? `${(seconds * 1000).toLocaleString("en")} ms` : `${seconds} s`;
}

// What is shown.

const PAGES_APP = 1089;
let latest = null;

function show(overview) {
  latest = overview;
  fill(
    byId("figures"),
    figure("Open connections", overview.open_connections.toLocaleString("en")),
    figure("Calls a second", rate(overview.calls_per_second)),
    figure("Tokens revoked", overview.tokens_revoked.toLocaleString("en")),
    overview.processes.map((one) =>
      figure(
        overview.processes.length === 1 ? "Health" : `Process ${one.process}`,
        one.fault === null
          ? h("span", { class: "badge good" }, "ready")
          : [h("span", { class: "badge bad" }, "not ready"), h("p", { class: "hint" }, one.fault)],
      ),
    ),
  );
  showFiltered();
  showApps(overview.apps);
  showUsers(overview.users);
  showCalls(overview.calls);
  showErrorCounts(overview.errors);
  showLimits(overview.limits);
  showRefusals(numbered(overview.refusals));
  showDisabled([
    ...overview.disabled_users.map((one) => ({ ...one, name: one.email })),
    ...overview.disabled_apps.map((one) => ({ ...one, name: `${one.name} (app ${one.app_id})` })),
  ]);
}

function figure(title, value) {
  return h("div", {}, h("dt", {}, title), h("dd", {}, value));
}

/** Refusals with a key each: those of one second may be equal. */
function numbered(refusals) {
  const seen = new Map();
  return [...refusals]
    .reverse()
    .map((one) => {
      const text = JSON.stringify(one);
      seen.set(text, (seen.get(text) ?? 0) + 1);
      return { ...one, key: `${text} ${seen.get(text)}` };
    })
    .reverse();
}

function showFiltered() {
  const { connections, open_connections: all } = latest;
  const wanted = byId("filter").elements.text.value.trim().toLowerCase();
  const textOf = (one) =>
    [one.app_name, one.app_id === null ? NO_APP : `app ${one.app_id}`, one.email, ...one.loginids, one.address, one.session]
      .join(" ")
      .toLowerCase();
  showConnections(connections.filter((one) => textOf(one).includes(wanted)));
  const part = `The ${connections.length} with the most messages, of ${all.toLocaleString("en")}.`;
  byId("connections-more").textContent = all > connections.length ? part : "";
}

// What the operator does.

async function act(button, request, done) {
  await busy(button, async () => {
    try {
      await api.ask(request);
      byId("disable").reset();
      showResult(byId("said"), "good", h("p", {}, done));
    } catch (error) {
      showResult(byId("said"), "error", h("p", {}, `Nothing was changed. ${error.message}`));
    }
  });
}

async function endSession({ address, session }, button) {
  const agreed = await confirm({
    title: "End this connection?",
    text:
      `The connection from ${address} is closed at once, with the code 4403. ` +
      "The client can connect again.",
    action: "End connection",
    danger: true,
  });
  if (agreed) {
    const done = `The connection from ${address} was ended.`;
    await act(button, { operator_end_session: session }, done);
  }
}

async function disableUser(email, button) {
  const agreed = await confirm({
    title: `Disable ${email}?`,
    text:
      "All tokens of the user are revoked, and their connections end at once. They cannot sign " +
      "in until you enable them, and must create new tokens then.",
    action: "Disable user",
    danger: true,
  });
  if (agreed) {
    await act(button, { operator_user_update: email, disabled: 1 }, `${email} was disabled.`);
  }
}

async function disableApp(id, name, button) {
  const agreed = await confirm({
    title: `Disable ${name}?`,
    text:
      "All connections of the app end at once, and its tokens allow nothing until you enable it.",
    action: "Disable app",
    danger: true,
  });
  if (agreed) {
    await act(button, { operator_app_update: id, disabled: 1 }, `${name} was disabled.`);
  }
}

async function enable(one, button) {
  const request =
    one.email === undefined
      ? { operator_app_update: one.app_id, disabled: 0 }
      : { operator_user_update: one.email, disabled: 0 };
  await act(button, request, `${one.name} was enabled.`);
}

function buildForms() {
  const text = h("input", { name: "text", type: "search", autocomplete: "off" });
  text.oninput = () => latest && showFiltered();
  fill(byId("filter"), field("Filter by app, user or address", text));
  byId("filter").onsubmit = (event) => event.preventDefault();

  const whom = h("input", { name: "whom", required: true, autocomplete: "off" });
  const button = h("button", { type: "submit", class: "danger-quiet" }, "Disable");
  fill(
    byId("disable"),
    field("Disable another user or app", whom, { hint: "An e-mail address or an app_id." }),
    h("div", { class: "field beside" }, button),
  );
  byId("disable").onsubmit = async (event) => {
    event.preventDefault();
    const value = whom.value.trim();
    await (/^[0-9]+$/.test(value)
      ? disableApp(Number(value), `App ${value}`, button)
      : disableUser(value, button));
  };
}

// Sign-in.

function signInForm(reason) {
  const form = h("form", { class: "sign-in card" });
  const secret = h("input", {
    name: "operator_token",
    type: "password",
    autocomplete: "current-password",
    required: true,
  });
  const button = h("button", { type: "submit", class: "primary" }, "Sign in");
  form.append(
    ...[
      reason && notice("info", reason),
      // A password manager then keeps it apart from the passwords of owners.
      h("input", { name: "username", autocomplete: "username", value: "operator", hidden: true }),
      field("Operator token", secret, { hint: "The gateway was started with it." }),
      h("div", { class: "actions" }, button),
    ].filter(Boolean),
  );
  form.onsubmit = (event) => {
    event.preventDefault();
    busy(button, async () => {
      clearErrors(form);
      token = secret.value;
      try {
        await signIn((request) => api.ask(request));
        begin();
      } catch (error) {
        token = null;
        showErrors(form, error);
      }
    });
  };
  return form;
}

function begin() {
  fill(byId("sign-in"));
  byId("operator").hidden = false;
  byId("leave").hidden = false;
  buildForms();
  api.stream({ operator_overview: 1 }, ({ operator_overview: overview }) => show(overview), (error) => {
    byId("operator").hidden = true;
    byId("leave").hidden = true;
    fill(byId("sign-in"), signInForm(`${refusal ?? error.message} Sign in again.`));
    token = refusal = null;
  });
  byId("main").focus();
}

api.onState((state) => {
  const lost = "The connection to the gateway was lost: what is shown is no longer current.";
  fill(byId("problem"), state === "lost" ? notice("warning", lost) : null);
});
byId("leave").onclick = () => location.reload(); // nothing of the sign-in is kept
fill(byId("sign-in"), signInForm());
