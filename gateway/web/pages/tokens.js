// API tokens: the list with scopes and use of each, creating one, deleting one.
//
// Rules:
// - A token is shown whole once, on this page, and stored nowhere.
// - The list is read again every few seconds, so that it shows live connections.

import {
  busy,
  byId,
  choice,
  clearErrors,
  confirm,
  empty,
  field,
  fill,
  h,
  moment,
  scopeBadges,
  secretLine,
  showErrors,
  skeleton,
  table,
  tableRow,
} from "/assets/dom.js";
import { begin, keepFresh, liveBadge, livingList, picked, scopeChoices, showResult } from
  "/assets/owner.js";
import { account, accountPicker, api } from "/assets/session.js";
import { ApiError } from "/assets/socket.js";

const COLUMNS = ["Token", "Scopes", "Account", "Last used", "Connections", "Created", ""].map((title) => ({
  title,
}));

let refresh;

// The form.

function buildForm(info) {
  const form = byId("make");
  const scopes = scopeChoices(
    "Scopes",
    info.scopes.map(({ scope }) => scope),
    info,
    { name: "new_token_scopes", hint: "Give it only what it needs." },
  );
  const name = h("input", {
    name: "new_token",
    required: true,
    maxlength: "64",
    pattern: "[A-Za-z0-9_ ]*[A-Za-z0-9_][A-Za-z0-9_ ]*",
    title: "Letters, digits, spaces and _",
    placeholder: "My bot",
    autocomplete: "off",
  });
  const bound = h("input", { type: "checkbox", name: "valid_for_current_ip_only" });
  const button = h("button", { type: "submit", class: "primary" }, "Create token");
  const cancel = h("button", { type: "button", class: "quiet", onclick: close }, "Cancel");
  fill(
    form,
    h(
      "div",
      { class: "row" },
      accountPicker(() => {}),
      field("Name", name),
    ),
    scopes,
    choice("Restrict to this IP address", bound, {
      hint: "The token works only from the IP address that this browser connects from.",
    }),
    h("div", { class: "actions" }, button, cancel),
  );
  form.onsubmit = (event) => {
    event.preventDefault();
    busy(button, () => make(form, scopes));
  };
}

/** Shows the form, which is closed again when a token is created. */
function open() {
  byId("make-part").hidden = false;
  byId("new").setAttribute("aria-expanded", "true");
  byId("make").elements.new_token.focus();
}

function close() {
  byId("make-part").hidden = true;
  byId("new").setAttribute("aria-expanded", "false");
  byId("new").focus();
}

async function make(form, scopes) {
  clearErrors(form);
  const { new_token: name, valid_for_current_ip_only: bound } = form.elements;
  const { loginid } = account();
  try {
    const { api_token: reply } = await api.ask({
      api_token: 1,
      loginid,
      new_token: name.value.trim(),
      new_token_scopes: picked(scopes),
      valid_for_current_ip_only: Number(bound.checked),
    });
    const made = reply.tokens.find(({ token }) => !token.includes("*"));
    form.reset();
    byId("make").elements.account.value = loginid;
    fill(byId("deleted"));
    close();
    showMade(made, loginid);
    await refresh();
  } catch (error) {
    showErrors(form, explained(error));
  }
}

function explained(error) {
  const next = {
    APITokenError: { new_token: `${error.message} Choose another name, or delete that token below.` },
    TooManyTokens: { next: "Delete a token that you no longer use." },
    ConnectionLost: { next: "The token may have been created: check the list before you try again." },
  };
  const { code, message } = error;
  const details = next[code] ?? error.details;
  return new ApiError({ code, message, details });
}

function showMade({ display_name: name, token }, loginid) {
  showResult(
    byId("said"),
    "good",
    h("h2", {}, `Token “${name}” was created`),
    secretLine(token, `token ${name}`),
    h(
      "p",
      {},
      `It signs in to ${loginid}. Copy it now: it is not shown again.`,
    ),
  );
}

// The list.

function row(token, info) {
  const cells = COLUMNS.map(() => h("div"));
  const remove = h(
    "button",
    { type: "button", class: "small danger-quiet" },
    "Delete",
    h("span", { class: "sr-only" }, ` token ${token.name}`),
  );
  remove.onclick = () => removeToken(token, remove);
  fill(cells.at(-1), remove);
  const update = (latest) => {
    const [name, scopes, of, used, live, made] = cells;
    fill(
      name,
      h("strong", {}, latest.name),
      h("p", { class: "hint" }, "ends in ", h("code", {}, latest.token.slice(-4))),
    );
    fill(scopes, scopeBadges(latest.scopes, info));
    fill(
      of,
      h("span", { class: "nowrap" }, latest.loginid),
      latest.valid_for_ip && h("p", { class: "hint" }, `from ${latest.valid_for_ip} only`),
    );
    fill(
      used,
      latest.last_used === null
        ? h("span", { class: "quiet-text" }, "never")
        : moment(latest.last_used),
      latest.last_used_from && h("p", { class: "hint" }, `from ${latest.last_used_from}`),
    );
    fill(live, liveBadge(latest.live_connections));
    fill(
      made,
      moment(latest.created_at),
      latest.made_by && h("p", { class: "hint" }, `by app ${latest.made_by}`),
      latest.parent && h("p", { class: "hint" }, ...madeWith(latest)),
    );
  };
  return { element: tableRow(COLUMNS, cells), update };
}

/** The token that this one was created with, and is deleted with. */
function madeWith({ loginid, parent }) {
  const of = parent.loginid === loginid ? "" : ` of ${parent.loginid}`;
  const last = h("code", {}, parent.token.slice(-4));
  return [`with token ${parent.name}${of}, ending in `, last];
}

async function removeToken({ name, token, loginid }, button) {
  const agreed = await confirm({
    title: `Delete token “${name}”?`,
    text:
      "Programs that use this token are signed out immediately and cannot sign in with it again. " +
      "Tokens created with it are also deleted.",
    action: "Delete token",
    danger: true,
  });
  if (!agreed) {
    return;
  }
  await busy(button, async () => {
    try {
      await api.ask({ api_token: 1, delete_token: token, loginid });
      await refresh();
      const text = `“${name}” was deleted and signed out everywhere.`;
      showResult(byId("deleted"), "good", h("p", {}, text));
    } catch (error) {
      showResult(byId("deleted"), "error", h("p", {}, `“${name}” was not deleted. ${error.message}`));
    }
  });
}

begin(async (info) => {
  buildForm(info);
  byId("new").onclick = () => (byId("make-part").hidden ? open() : close());
  fill(byId("list"), skeleton(4));
  const none = empty("No tokens yet", "Select “New token” to create one.");
  const whole = table("Your tokens", COLUMNS, []);
  const show = livingList(
    whole.querySelector("tbody"),
    ({ loginid, token }) => `${loginid} ${token}`,
    (token) => row(token, info),
  );
  refresh = keepFresh(async () => {
    const { token_list: tokens } = await api.ask({ token_list: 1 });
    show(tokens);
    const wanted = tokens.length === 0 ? none : whole;
    if (!byId("list").contains(wanted)) {
      fill(byId("list"), wanted);
    }
  }, byId("problem"));
});
