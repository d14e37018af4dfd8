// The explorer: every call from /asyncapi.json, sent over a connection of its own.
//
// Rules:
// - What is shown of a call comes from the document that the gateway makes of its registry.
// - No token is shown in the log of frames, whichever way it went.
// - A lost connection comes back signed in, and with its streams.

import {
  byId,
  codeBlock,
  colouredJson,
  counted,
  fill,
  h,
  jsonBlock,
  notice,
  scopeBadges,
  skeleton,
  table,
  tabs,
  withCode,
} from "/assets/dom.js";
import { FrameLog } from "/assets/explorer-frames.js";
import { StreamList } from "/assets/explorer-streams.js";
import { fieldsOf, replyFieldsOf } from "/assets/json-schema.js";
import { askToSignIn, checkSignIn, onSignIn, pageInfo, signedIn } from "/assets/session.js";
import { addressFor, Api } from "/assets/socket.js";

const FIRST = "ticks";
const NOT_SENT = "No request sent yet.";
const narrow = matchMedia("(max-width: 62rem)");

const frames = new FrameLog(byId("frames"));
const streams = new StreamList(byId("streams"), byId("streams-part"));
const drafts = new Map(); // call -> what was written for it

let calls = new Map(); // name -> { name, group, summary, description, needs, scopes, streams, … }
let info = null;
let shown = null;
let sent = 0; // the number of the latest request, whose answer is shown

// The connection.

// { api, appId, identity: "nobody", "page" or "token", request: what signs "token" in, refused }
let connection = null;

function connect(appId, identity, request) {
  connection?.api.close();
  const made = { appId, identity, request, refused: null };
  made.api = new Api({
    appId,
    onOpen: signIn,
    onDenied: () => made.identity === "page" && checkSignIn(),
  });
  made.api.onFrame((direction, text) => frames.add(direction, text));
  made.api.onState(showConnection);
  connection = made;
  showConnection();
}

/** Change how the connection is signed in; reconnect if the app has changed. */
async function become(appId, identity, request = null) {
  const { api } = connection;
  if (appId !== connection.appId || api.state === "closed") {
    connect(appId, identity, request);
  } else {
    Object.assign(connection, { identity, request });
    if (api.state === "open") {
      streams.endOfAccounts();
      await signIn((asked) => api.ask(asked), { logout: 1 });
    }
  }
  showConnection();
  showReadyParts();
}

/** Sign the connection in as chosen; without a sign-in, send `otherwise`, if any. */
async function signIn(ask, otherwise = null) {
  const request = authorization() ?? otherwise;
  connection.refused = null;
  try {
    if (request !== null) {
      await ask(request);
    }
  } catch (error) {
    connection.refused = error.message;
  }
}

function authorization() {
  const { identity, request } = connection;
  if (identity === "page" && signedIn() !== null) {
    return { authorize: "MULTI", tokens: signedIn().accounts.map((account) => account.token) };
  }
  return request;
}

/** Called when a request sent from the editor has signed the connection in or out. */
function signedInByRequest(request) {
  const out = "logout" in request;
  Object.assign(connection, { identity: out ? "nobody" : "token", request: out ? null : request });
  connection.refused = null;
  streams.endOfAccounts();
  showConnection();
  showIdentities(connection.identity);
  showWant();
}

const STATES = {
  connecting: ["connecting", ""],
  open: ["connected", "good"],
  lost: ["connection lost, reconnecting", "warning"],
  closed: ["not connected: app not found", "bad"],
};

function showConnection() {
  const { api, appId, identity, refused } = connection;
  const [words, kind] = STATES[api.state];
  const badge = byId("connect-state");
  badge.textContent = words;
  badge.className = `badge ${kind}`;
  const who = {
    nobody: "not signed in",
    page: `signed in as ${signedIn()?.email}`,
    token: "signed in with a token",
  };
  const status = refused ? `not signed in: ${refused}` : who[identity];
  byId("connect-who").textContent = `App ${appId}, ${status}`;
}

/** Shows in the form who may sign in, with one of them picked. */
function showIdentities(picked) {
  const form = byId("connect-form");
  const me = signedIn();
  form.elements.identity.value = picked;
  form.querySelector("input[value=page]").disabled = me === null;
  byId("identity-page").textContent =
    me === null ? "Signed-in user (sign in to this page first)" : `Signed-in user: ${me.email}`;
  showTokenField();
}

function showTokenField() {
  const { identity, token } = byId("connect-form").elements;
  token.disabled = identity.value !== "token";
  token.required = !token.disabled;
}

byId("connect-form").onchange = showTokenField;
byId("connect-form").onsubmit = async (event) => {
  event.preventDefault();
  const { identity, token, app_id: app } = event.target.elements;
  const request = identity.value === "token" ? { authorize: token.value.trim() } : null;
  await become(Number(app.value), identity.value, request);
  // An unknown app shows itself at the first request only.
  await connection.api.ask({ ping: 1 }).catch(() => {});
  byId("connect").open = connection.refused !== null || connection.api.state === "closed";
};

onSignIn((me) => {
  if (me === null) { // the next user must not see their replies
    frames.clear();
    sent += 1;
    showAnswer(NOT_SENT, null, "");
  }
  if (me !== null || connection.identity === "page") {
    const identity = me === null ? "nobody" : "page";
    showIdentities(identity);
    become(connection.appId, identity);
  } else {
    showIdentities(connection.identity);
  }
});

// The list of calls.

async function load() {
  fill(byId("call-list"), skeleton(8));
  try {
    const response = await fetch("/asyncapi.json");
    if (!response.ok) {
      throw new Error(`The gateway returned status ${response.status}.`);
    }
    [calls, info] = [read(await response.json()), await pageInfo()];
  } catch (error) {
    const again = h("button", { type: "button", onclick: load }, "Try again");
    const text = `The list of calls could not be loaded. ${error.message}`;
    fill(byId("call-list"), notice("error", text), again);
    return;
  }
  showNeeds();
  showList();
  showFromHash();
}

function read(document) {
  const made = new Map();
  for (const [name, operation] of Object.entries(document.operations)) {
    const message = document.components.messages[name];
    const reply = document.components.messages[`${name}_reply`];
    const fields = fieldsOf(message.payload, document);
    made.set(name, {
      name,
      group: operation.tags?.[0]?.name ?? "other",
      summary: operation.summary ?? "",
      description: operation.description ?? operation.summary ?? "",
      needs: operation["x-needs"],
      scopes: operation["x-scopes"] ?? [],
      appTokens: operation["x-app-tokens"] ?? true,
      streams: operation["x-streams"] === true,
      streamsUnasked: fields.some(({ name, byDefault }) => name === "subscribe" && byDefault === 1),
      fields,
      replyFields: replyFieldsOf(reply.payload, document),
      errors: Object.entries(operation["x-errors"] ?? {}),
      reply: reply.examples?.[0]?.payload ?? null,
      example: inOrder(message.examples?.[0]?.payload ?? { [name]: 1 }, fields),
    });
  }
  return made;
}

/** An example with its fields as they are listed: what names the call comes first. */
function inOrder(example, fields) {
  const names = fields.map(({ name }) => name).filter((name) => name in example);
  return Object.fromEntries(names.map((name) => [name, example[name]]));
}

/** Fill the filter: the scopes, and what calls without a scope require. */
function showNeeds() {
  const needs = new Set();
  for (const { scopes, needs: need } of calls.values()) {
    (scopes.length > 0 ? scopes : [need]).forEach((one) => needs.add(one));
  }
  const option = (value, text) => h("option", { value }, text);
  const names = { nothing: "none", login: "any scope", owner: "account owner", pages: "these pages" };
  const nameOf = (need) => names[need] ?? need.replaceAll("_", " ");
  const options = [...needs].sort().map((need) => option(need, nameOf(need)));
  fill(byId("filter-scope"), option("", "all calls"), options);
}

function matches(call) {
  const words = byId("filter-text").value.toLowerCase().split(/\s+/);
  const text = `${call.name} ${call.group} ${call.description}`.toLowerCase();
  const need = byId("filter-scope").value;
  const fits = need === "" || call.scopes.includes(need) || call.needs === need;
  return fits && words.every((word) => text.includes(word));
}

/** `PaymentAgents` as `Payment agents`. */
function titleOf(group) {
  const words = group.replace(/(?<=[a-z])(?=[A-Z])/g, " ");
  return words[0] + words.slice(1).toLowerCase();
}

function showList() {
  const groups = Map.groupBy([...calls.values()].filter(matches), ({ group }) => group);
  const sorted = [...groups].sort(([one], [other]) => one.localeCompare(other));
  const link = ({ name, summary }) =>
    h("li", {}, h("a", { href: `#${name}`, title: summary, dataset: { call: name } }, name));
  const parts = sorted.map(([group, members]) => [
    h("h3", {}, titleOf(group)),
    h("ul", {}, members.sort((one, other) => one.name.localeCompare(other.name)).map(link)),
  ]);
  fill(byId("call-list"), parts);
  const count = [...groups.values()].flat().length;
  byId("filter-count").textContent =
    count === 0 ? "No calls match." : counted(count, "call");
  markShown();
}

function markShown() {
  for (const link of byId("call-list").querySelectorAll("a")) {
    if (link.dataset.call === shown?.name) {
      link.setAttribute("aria-current", "true");
    } else {
      link.removeAttribute("aria-current");
    }
  }
}

/** Scroll the list to the shown call, without moving the page. */
function scrollToShown() {
  const list = byId("call-list");
  const link = list.querySelector("[aria-current]");
  if (link !== null) {
    const { top, bottom } = link.getBoundingClientRect();
    const view = list.getBoundingClientRect();
    if (top < view.top || bottom > view.bottom) {
      list.scrollTop += top - view.top - view.height / 3;
    }
  }
}

byId("filter").oninput = showList;
byId("filter").onsubmit = (event) => {
  event.preventDefault();
  byId("call-list").querySelector("a")?.click();
};

// One call.

function showFromHash() {
  const name = location.hash.slice(1);
  show(calls.get(name) ?? calls.get(FIRST) ?? calls.values().next().value);
}

function show(call) {
  shown = call;
  byId("call-part").hidden = false;
  sent += 1; // an answer that still comes is another call's
  showAnswer(NOT_SENT, null, "");
  markShown();
  scrollToShown();
  document.title = `${call.name} · Explorer · Scopegate`;
  byId("call-name").textContent = call.name;
  fill(
    byId("call-about"),
    call.description.split("\n\n").map((text) => h("p", { class: "prose" }, withCode(text))),
    h("div", { class: "needs" }, h("span", {}, "Requires "), needsOf(call), streamsOf(call)),
    h("div", { id: "want" }),
  );
  byId("request-text").value = drafts.get(call.name) ?? exampleOf(call);
  fill(
    byId("call-more"),
    tabs("Call details", [
      {
        title: "Request fields",
        content: fieldTable("Request fields", call.fields, ({ required }) => required && "required"),
      },
      {
        title: "Reply fields",
        content: fieldTable("Reply fields", call.replyFields, ({ required }) => !required && "optional"),
      },
      ...(call.reply ? [{ title: "Example reply", content: exampleReply(call) }] : []),
      ...(call.errors.length > 0 ? [{ title: "Errors", content: errorTable(call) }] : []),
      { title: "Code", content: h("div", { id: "code" }) },
    ]),
  );
  showReadyParts();
}

/** What is shown of the call that depends on who is signed in, or on what is written. */
function showReadyParts() {
  if (shown !== null) {
    showWant();
    showCode();
  }
}

function exampleOf(call) {
  return JSON.stringify(call.example, null, 2);
}

function needsOf({ scopes, needs, appTokens }) {
  const words = {
    nothing: "no authentication",
    login: "authentication, with any scope",
    owner: "the account owner, signed in on these pages",
    pages: "these pages: other programs cannot send it",
  };
  if (scopes.length === 0) {
    return h("span", { class: "badge" }, words[needs] ?? needs);
  }
  return [
    scopeBadges(scopes, info),
    scopes.length > 1 && h("span", {}, "(any one of these)"),
    !appTokens && h("span", {}, "(not available to apps: use your own API token)"),
  ];
}

function streamsOf(call) {
  return call.streams && h("span", { class: "badge good" }, "supports subscribe");
}

function isPublic({ scopes, needs }) {
  return scopes.length === 0 && ["nothing", "pages"].includes(needs);
}

/** Warn that the call will be refused without a sign-in. */
function showWant() {
  const place = byId("want");
  if (isPublic(shown) || connection.identity !== "nobody") {
    fill(place);
    return;
  }
  const open = () => {
    byId("connect").open = true;
    byId("connect-form").elements.identity[0].focus();
  };
  fill(
    place,
    notice(
      "warning",
      "The explorer is not signed in, so this call will be refused. ",
      signedIn() === null &&
        h("button", { type: "button", class: "small", onclick: askToSignIn }, "Sign in"),
      " ",
      h("button", { type: "button", class: "small", onclick: open }, "Change authentication"),
    ),
  );
}

const SHOWN_VALUES = 8; // of an enumeration; more are shown when asked for

/** A table of fields; `mark(field)` is the word after the name, or false. */
function fieldTable(caption, fields, mark) {
  const columns = [{ title: "Field" }, { title: "Type" }, { title: "Description" }];
  const rows = fields.map((field) => [
    fieldName(field.name, mark(field)),
    field.values ? valueChips(field.values) : h("span", { class: "mono" }, field.type),
    withCode(field.description || "–"),
  ]);
  const made = table(caption, columns, rows);
  made.classList.add("fields");
  return made;
}

function fieldName(name, mark) {
  const parts = name.split(/(?<=[.\]])/).flatMap((part) => [part, h("wbr")]);
  return h(
    "span",
    {},
    h("code", { class: "field-name" }, parts),
    mark && h("span", { class: mark }, ` ${mark}`),
  );
}

/** The values of an enumeration as chips, the later ones of many collapsed. */
function valueChips(values) {
  const chips = (some) =>
    h("ul", { class: "badges values" }, some.map((value) => h("li", { class: "badge mono" }, value)));
  if (values.length <= SHOWN_VALUES) {
    return chips(values);
  }
  const rest = values.length - SHOWN_VALUES;
  return [
    chips(values.slice(0, SHOWN_VALUES)),
    h("details", {}, h("summary", {}, `${rest} more`), chips(values.slice(SHOWN_VALUES))),
  ];
}

function errorTable(call) {
  const columns = [{ title: "Code" }, { title: "Meaning" }];
  const rows = call.errors.map(([code, text]) => [h("code", {}, code), withCode(text)]);
  return table(`Errors of ${call.name}`, columns, rows);
}

function exampleReply(call) {
  return [
    h("p", { class: "hint" }, "From a gateway with a fixed seed and clock. Tokens are masked, long lists shortened."),
    jsonBlock(call.reply, "Example reply"),
  ];
}

/** The lines of plain JavaScript that send what is written. */
function showCode() {
  const place = byId("code");
  const address = addressFor(connection.appId);
  const written = byId("request-text").value.trim() || "{}";
  const request = written.replaceAll("\n", "\n  ");
  const signIn = isPublic(shown)
    ? ""
    : '  socket.send(JSON.stringify({ authorize: "YOUR-TOKEN" }));\n';
  const code = `const socket = new WebSocket("${address}");
socket.onopen = () => {
${signIn}  socket.send(JSON.stringify(${request}));
};
socket.onmessage = (event) => {
  console.log(JSON.parse(event.data));
};`;
  fill(place, codeBlock(code, "JavaScript for a browser, or Node 22 or newer"));
}

addEventListener("hashchange", () => {
  if (calls.size === 0) {
    return;
  }
  showFromHash();
  if (narrow.matches) {
    byId("calls").open = false;
    byId("call-name").focus();
    byId("call-name").scrollIntoView();
  } else {
    scrollTo({ top: 0 });
  }
});

// Sending.

byId("request-text").oninput = () => {
  drafts.set(shown.name, byId("request-text").value);
  showCode();
};

byId("request-text").onkeydown = (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    byId("request").requestSubmit();
  }
};

byId("example").onclick = () => {
  drafts.delete(shown.name);
  byId("request-text").value = exampleOf(shown);
  showCode();
  byId("request-text").focus();
};

byId("request").onsubmit = (event) => {
  event.preventDefault();
  let request;
  try {
    request = JSON.parse(byId("request-text").value);
    if (typeof request !== "object" || request === null || Array.isArray(request)) {
      throw new Error("it is not an object, such as {\"time\": 1}");
    }
  } catch (error) {
    showAnswer(`The request is invalid: ${error.message}`, null, "error");
    return;
  }
  send(request);
};

async function send(request) {
  sent += 1;
  const number = sent;
  const began = performance.now();
  const answered = (message) => {
    if (number === sent) {
      const took = Math.max(1, Math.round(performance.now() - began));
      showAnswer(`${message.msg_type}, after ${took} ms`, message, "good");
    }
  };
  const failed = (error) => {
    if (number === sent) {
      const { code, message, details } = error;
      const body = Object.keys(details).length > 0 ? { code, message, details } : { code, message };
      showAnswer(`${code}: ${message}`, { error: body }, "error");
    }
  };
  if (connection.api.state === "closed") {
    showAnswer("Not connected: app not found. Enter another app ID above and connect.", null, "error");
    return;
  }
  const isOpen = connection.api.state === "open";
  showAnswer(isOpen ? "Waiting for the reply…" : "Waiting for the connection…", null, "");
  const call = callOf(request);
  if ("subscribe" in request ? request.subscribe === 1 : call?.streamsUnasked) {
    streams.start(connection.api, request, { needs: call !== undefined && !isPublic(call), answered, failed });
    return;
  }
  try {
    answered(await connection.api.ask(request));
    if ("authorize" in request || "logout" in request) {
      signedInByRequest(request);
    }
  } catch (error) {
    failed(error);
  }
}

/** The call that a request names, if there is such a call. */
function callOf(request) {
  return Object.keys(request).map((key) => calls.get(key)).find(Boolean);
}

function showAnswer(summary, message, kind) {
  const line = byId("answer-summary");
  line.textContent = summary;
  line.className = `hint ${kind}`;
  byId("answer").hidden = message === null;
  fill(byId("answer"), message === null ? "" : colouredJson(message));
}

byId("clear-frames").onclick = () => frames.clear();

// Beginning.

byId("calls").open = !narrow.matches;
narrow.addEventListener("change", () => (byId("calls").open = !narrow.matches));
const identity = signedIn() === null ? "nobody" : "page";
showIdentities(identity);
connect(1089, identity, null);
load();
