// API tokens: the list with scopes, restrictions and use of each; creating one, restricting it,
// replacing its secret, deleting it.
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
  enable,
  field,
  fill,
  h,
  localTime,
  moment,
  scopeBadges,
  secretLine,
  showErrors,
  skeleton,
  table,
  tableRow,
} from "/assets/dom.js";
import {
  begin,
  formDialog,
  insist,
  keepFresh,
  liveBadge,
  livingList,
  picked,
  scopeChoices,
  showResult,
} from "/assets/owner.js";
import {
  expiryText,
  foldedFields,
  ownRestrictions,
  restrictionDialog,
  restrictionFields,
  restrictionKinds,
  restrictionList,
} from "/assets/restrictions.js";
import { account, accountPicker, api, signedIn } from "/assets/session.js";
import { ApiError } from "/assets/socket.js";

const TITLES = ["Token", "Scopes", "Restrictions", "Last used", "Connections", "Created", ""];
const COLUMNS = TITLES.map((title) => ({ title }));
const OVERLAPS = [
  { seconds: 0, words: "Immediately", hint: "Programs that use it are signed out." },
  { seconds: 3_600, words: "In an hour" },
  { seconds: 86_400, words: "In a day" },
];

let refresh;

// The form.

function buildForm(info, kinds) {
  const form = byId("make");
  const scopes = scopeChoices(
    "Scopes",
    info.scopes.map(({ scope }) => scope),
    info,
    { name: "scopes", hint: "Give it only what it needs." },
  );
  const name = h("input", {
    name: "name",
    required: true,
    maxlength: "64",
    pattern: "[A-Za-z0-9_ ]*[A-Za-z0-9_][A-Za-z0-9_ ]*",
    title: "Letters, digits, spaces and _",
    placeholder: "My bot",
    autocomplete: "off",
  });
  const bound = h("input", { type: "checkbox", name: "valid_for_current_ip_only" });
  const restrictions = restrictionFields(kinds, { currency: account().currency });
  const button = h("button", { type: "submit", class: "primary" }, "Create token");
  const cancel = h("button", { type: "button", class: "quiet", onclick: close }, "Cancel");
  fill(
    form,
    h(
      "div",
      { class: "row" },
      accountPicker(({ currency }) => restrictions.setCurrency(currency)),
      field("Name", name),
    ),
    scopes,
    choice("Restrict to this IP address", bound, {
      hint: "The token works only from the IP address that this browser connects from.",
    }),
    foldedFields(restrictions, {
      hint: "What the token may do at most. You can change this later. Empty fields restrict nothing.",
    }),
    h("div", { class: "actions" }, button, cancel),
  );
  form.onsubmit = (event) => {
    event.preventDefault();
    busy(button, () => make(form, scopes, restrictions));
  };
}

/** Shows the form, which is closed again when a token is created. */
function open() {
  byId("make-part").hidden = false;
  byId("new").setAttribute("aria-expanded", "true");
  byId("make").elements.name.focus();
}

function close() {
  byId("make-part").hidden = true;
  byId("new").setAttribute("aria-expanded", "false");
  byId("new").focus();
}

async function make(form, scopes, restrictions) {
  clearErrors(form);
  const { name, valid_for_current_ip_only: bound } = form.elements;
  const { loginid } = account();
  const expiresAt = restrictions.expiresAt();
  try {
    if (picked(scopes).length === 0) {
      const sentence = "A new token needs at least one scope.";
      throw new ApiError({ message: sentence, details: { scopes: sentence } });
    }
    const { token_create: made } = await api.ask({
      token_create: 1,
      loginid,
      name: name.value.trim(),
      scopes: picked(scopes),
      valid_for_current_ip_only: Number(bound.checked),
      restrictions: restrictions.values(),
      ...(expiresAt !== null && { expires_at: expiresAt }),
    });
    form.reset();
    form.querySelector("details").open = false;
    byId("make").elements.account.value = loginid;
    fill(byId("changed"));
    close();
    showMade(made, loginid);
    await refresh();
  } catch (error) {
    showErrors(form, explained(error));
  }
}

function explained(error) {
  const next = {
    APITokenError: { name: `${error.message} Choose another name, or delete that token below.` },
    TooManyTokens: { next: "Delete a token that you no longer use." },
    ConnectionLost: { next: "The token may have been created: check the list before you try again." },
  };
  const { code, message } = error;
  const details = next[code] ?? error.details;
  return new ApiError({ code, message, details });
}

function showMade({ name, token }, loginid) {
  const sentence = `It signs in to ${loginid}. Copy it now: it is not shown again.`;
  showSecret(`Token “${name}” was created`, { name, token }, sentence);
}

function showSecret(title, { name, token }, ...sentence) {
  showResult(
    byId("said"),
    "good",
    h("h2", {}, title),
    secretLine(token, `token ${name}`),
    h("p", {}, ...sentence),
  );
}

// The list.

function row(token, info, kinds) {
  let shown = token;
  const cells = COLUMNS.map(() => h("div"));
  const names = []; // that of the token changes when its secret is replaced
  const action = (words, of, look, act) => {
    const rest = h("span", { class: "sr-only" });
    names.push((name) => fill(rest, ` ${of} ${name}`));
    const button = h("button", { type: "button", class: `small ${look}` }, words, rest);
    button.onclick = () => act(shown, button);
    return button;
  };
  fill(
    cells.at(-1),
    h(
      "div",
      { class: "row-actions" },
      action("Edit restrictions", "of token", "", (latest) => editRestrictions(latest, kinds)),
      action("Replace secret", "of token", "", replaceSecret),
      action("Delete", "token", "danger-quiet", removeToken),
    ),
  );
  const update = (latest) => {
    shown = latest;
    names.forEach((show) => show(latest.name));
    const [name, scopes, restrictions, used, live, made] = cells;
    fill(
      name,
      h("strong", {}, latest.name),
      h("p", { class: "hint" }, "ends in ", h("code", {}, latest.token.slice(-4))),
      h("p", { class: "hint" }, h("span", { class: "nowrap" }, latest.loginid)),
      latest.hints.map(({ words }) => h("p", { class: "advice" }, words)),
    );
    fill(scopes, scopeBadges(latest.scopes, info));
    const held = restrictionList(latest.in_force, kinds, "token");
    const nothing = held.length === 0 && !latest.valid_for_ip;
    fill(
      restrictions,
      nothing && h("span", { class: "quiet-text" }, "none"),
      latest.valid_for_ip && h("p", {}, `Works from ${latest.valid_for_ip} only`),
      held,
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
      latest.expires_at !== null && h("p", { class: "hint" }, expiryText(latest.expires_at)),
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
  return [`created with token ${parent.name}${of}, ending in `, last];
}

function editRestrictions({ name, token, loginid, in_force: sets, expires_at: expiresAt }, kinds) {
  const { currency } = signedIn().accounts.find((one) => one.loginid === loginid) ?? {}; // it may be new
  const hint =
    "They apply at once, also to programs that are signed in, and to tokens created with this one." +
    " What is already used counts. Empty fields restrict nothing.";
  const begin = { values: ownRestrictions(sets, "token"), expiresAt, currency };
  restrictionDialog(name, hint, kinds, begin, async (changed) => {
    await api.ask({ token_restrict: token, loginid, ...changed });
    await refresh();
    const text = `The restrictions of “${name}” were changed.`;
    return () => showResult(byId("changed"), "good", h("p", {}, text));
  });
}

function replaceSecret({ name, token, loginid }) {
  const overlaps = OVERLAPS.map(({ seconds, words, hint }) => {
    const props = { type: "radio", name: "overlap", value: seconds, checked: seconds === 0 };
    return choice(words, h("input", props), { hint });
  });
  const fieldset = h(
    "fieldset",
    { class: "field" },
    h("legend", {}, "When does the old secret stop working?"),
    overlaps,
  );
  const send = async () => {
    const overlap = Number(fieldset.querySelector("input:checked").value);
    const request = { token_rotate: token, loginid, overlap };
    const { token_rotate: made } = await api.ask(request);
    await refresh();
    const until = Date.now() / 1000 + overlap;
    const old =
      overlap === 0
        ? [" The old one no longer works."]
        : [" The old one works until ", localTime(until), "."];
    return () => {
      fill(byId("changed"));
      const sentence = "Copy it now: it is not shown again.";
      showSecret(`Token “${name}” has a new secret`, made, sentence, ...old);
    };
  };
  const text =
    "The token gets a new secret. Its permissions, its restrictions and what of them is used, and " +
    "the tokens created with it stay as they are.";
  formDialog(`Replace the secret of “${name}”?`, "Replace secret", [h("p", {}, text), fieldset], send);
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
      showResult(byId("changed"), "good", h("p", {}, text));
    } catch (error) {
      showResult(byId("changed"), "error", h("p", {}, `“${name}” was not deleted. ${error.message}`));
    }
  });
}

begin(async (info) => {
  const kinds = await insist(restrictionKinds);
  buildForm(info, kinds);
  enable(byId("new"), () => (byId("make-part").hidden ? open() : close()));
  fill(byId("list"), skeleton(4));
  const none = empty("No tokens yet", "Select “New token” to create one.");
  const whole = table("Your tokens", COLUMNS, []);
  const show = livingList(
    whole.querySelector("tbody"),
    ({ loginid, token }) => `${loginid} ${token}`,
    (token) => row(token, info, kinds),
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
