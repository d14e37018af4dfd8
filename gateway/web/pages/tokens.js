// API tokens: make one, see what each may do and did last, delete one.
//
// Rules:
// - A token is shown whole once, on this page, and kept nowhere.
// - The list is told anew every few seconds, so that what is live is seen to be.

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
import { begin, keepFresh, liveBadge, livingList, picked, scopeChoices, tell } from
  "/assets/owner.js";
import { account, accountPicker, api } from "/assets/session.js";
import { ApiError } from "/assets/socket.js";

const COLUMNS = ["Token", "May", "Account", "Last used", "Live", "Made", ""].map((title) => ({
  title,
}));

let refresh;

// The form.

function buildForm(info) {
  const form = byId("make");
  const scopes = scopeChoices(
    "What it may do",
    info.scopes.map(({ scope }) => scope),
    info,
    { name: "new_token_scopes", hint: "Give it what it needs and nothing else." },
  );
  const name = h("input", {
    name: "new_token",
    required: true,
    maxlength: "64",
    pattern: "[A-Za-z0-9_ ]*[A-Za-z0-9_][A-Za-z0-9_ ]*",
    title: "Letters, digits, blanks and _",
    placeholder: "My bot",
    autocomplete: "off",
  });
  const bound = h("input", { type: "checkbox", name: "valid_for_current_ip_only" });
  const button = h("button", { type: "submit", class: "primary" }, "Make the token");
  fill(
    form,
    h(
      "div",
      { class: "row" },
      accountPicker(() => {}),
      field("Name", name),
    ),
    scopes,
    choice("Works from this address only", bound, {
      hint: "The address that this browser reaches the gateway from.",
    }),
    h("div", { class: "actions" }, button),
  );
  form.onsubmit = (event) => {
    event.preventDefault();
    busy(button, () => make(form, scopes));
  };
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
    showMade(made, loginid);
    await refresh();
  } catch (error) {
    showErrors(form, explained(error));
  }
}

function explained(error) {
  const next = {
    APITokenError: { new_token: `${error.message} Take another name, or delete that token below.` },
    TooManyTokens: { next: "The tokens are listed below: delete one that is not used any more." },
    ConnectionLost: { next: "The token may be made: look at the list before you try again." },
  };
  const { code, message } = error;
  const details = next[code] ?? error.details;
  return new ApiError({ code, message, details });
}

function showMade({ display_name: name, token }, loginid) {
  tell(
    byId("said"),
    "good",
    h("h2", {}, `“${name}” is made`),
    secretLine(token, `the token ${name}`),
    h(
      "p",
      {},
      `It signs in to ${loginid}. Copy it now: it is shown this once and never again.`,
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
    h("span", { class: "sr-only" }, ` the token ${token.name}`),
  );
  remove.onclick = () => removeToken(token, remove);
  fill(cells.at(-1), remove);
  const update = (told) => {
    const [name, may, of, used, live, made] = cells;
    fill(
      name,
      h("strong", {}, told.name),
      h("p", { class: "hint" }, "ends in ", h("code", {}, told.token.slice(-4))),
    );
    fill(may, scopeBadges(told.scopes, info));
    fill(
      of,
      h("span", { class: "nowrap" }, told.loginid),
      told.valid_for_ip && h("p", { class: "hint" }, `from ${told.valid_for_ip} only`),
    );
    fill(
      used,
      told.last_used === null
        ? h("span", { class: "quiet-text" }, "never")
        : moment(told.last_used),
      told.last_used_from && h("p", { class: "hint" }, `from ${told.last_used_from}`),
    );
    fill(live, liveBadge(told.live_connections));
    fill(
      made,
      moment(told.created_at),
      told.made_by && h("p", { class: "hint" }, `by the app ${told.made_by}`),
      told.parent && h("p", { class: "hint" }, ...madeWith(told)),
    );
  };
  return { element: tableRow(COLUMNS, cells), update };
}

/** The token that this one was made with, and ends with. */
function madeWith({ loginid, parent }) {
  const of = parent.loginid === loginid ? "" : ` of ${parent.loginid}`;
  const last = h("code", {}, parent.token.slice(-4));
  return [`with the token ${parent.name}${of}, which ends in `, last];
}

async function removeToken({ name, token, loginid }, button) {
  const agreed = await confirm({
    title: `Delete “${name}”?`,
    text:
      "Programs that use it are signed out at once, and cannot sign in with it again. Tokens " +
      "that were made with it are deleted too.",
    action: "Delete the token",
    danger: true,
  });
  if (!agreed) {
    return;
  }
  await busy(button, async () => {
    try {
      await api.ask({ api_token: 1, delete_token: token, loginid });
      await refresh();
      tell(byId("deleted"), "good", h("p", {}, `“${name}” is deleted, and signed out everywhere.`));
    } catch (error) {
      tell(byId("deleted"), "error", h("p", {}, `“${name}” was not deleted. ${error.message}`));
    }
  });
}

begin(async (info) => {
  buildForm(info);
  fill(byId("list"), skeleton(4));
  const none = empty("No tokens yet", "Make the first one with the form above.");
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
