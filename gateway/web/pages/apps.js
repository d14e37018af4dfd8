// My apps: register one, change it, delete it, try its consent page.
//
// Rules:
// - A change that ends what users granted asks for confirmation first.
// - Registering and changing are one form; `app_flow` and `app_origins` are calls of their own,
//   made after it. No flow is preselected.

import {
  busy,
  byId,
  choice,
  clearErrors,
  confirm,
  copyButton,
  empty,
  enable,
  field,
  fill,
  h,
  markupWords,
  openDialog,
  scopeBadges,
  secretLine,
  showErrors,
  skeleton,
} from "/assets/dom.js";
import { begin, keepFresh, livingList, picked, scopeChoices, showResult } from "/assets/owner.js";
import { api } from "/assets/session.js";
import { ApiError } from "/assets/socket.js";

const MORE = [
  ["homepage", "Homepage URL"],
  ["github", "GitHub URL"],
  ["appstore", "App Store URL"],
  ["googleplay", "Google Play URL"],
  ["verification_uri", "Verification URL for links in e-mails"],
];
const RIGHT = {
  name: "Use letters, digits, spaces, - and _, with at least one letter or digit.",
  homepage: "An http or https URL.",
  github: "An http or https URL.",
  appstore: "An http or https URL.",
  googleplay: "An http or https URL.",
};
const FLOWS = {
  tokens: {
    words: "Deriv v3 web app (tokens in the URL)",
    hint: "The redirect URL carries a token for each account, as Deriv v3 web apps expect.",
  },
  code: {
    words: "Code with PKCE only",
    hint: "The redirect URL carries an OAuth 2 code and never a token. Recommended.",
  },
  both: {
    words: "Either, depending on the link",
    hint:
      "No flow is selected, so anyone can send users of the app a link that requests tokens " +
      "in the URL.",
  },
};
const NEW = {
  name: "",
  redirect_uri: "",
  scopes: ["read"],
  app_markup_percentage: 0,
  verification_uri: "",
  homepage: "",
  github: "",
  appstore: "",
  googleplay: "",
  flow: null,
  device_flow: 0,
};

let refresh;

// The list.

function consentLink(appId) {
  return `${location.origin}/oauth2/authorize?app_id=${appId}`;
}

function codeLink(appId) {
  return `${location.origin}/oauth2/authorize?response_type=code&client_id=${appId}`;
}

function card(app, info) {
  const title = h("h2");
  const facts = h("dl", { class: "facts" });
  const consent = h("div");
  let current = app;
  const named = () => h("span", { class: "sr-only" }, ` ${current.name}`);
  const edit = h("button", { type: "button" });
  const renew = h("button", { type: "button" });
  const forget = h("button", { type: "button", class: "danger-quiet" });
  const remove = h("button", { type: "button", class: "danger-quiet" });
  renew.onclick = () => createSecret(current, renew);
  forget.onclick = () => deleteSecret(current, forget);
  edit.onclick = () => openForm(info, current, edit);
  remove.onclick = () => removeApp(current, remove);
  const update = (latest) => {
    current = latest;
    const appId = latest.app_id;
    fill(
      title,
      latest.name,
      latest.active === 0 && [" ", h("span", { class: "badge warning" }, "disabled by the operator")],
    );
    const hasSecret = latest.secret_created !== null;
    fill(edit, "Edit", named());
    fill(renew, hasSecret ? "Replace secret" : "Create secret", named());
    fill(forget, "Delete secret", named());
    forget.hidden = !hasSecret;
    fill(remove, "Delete", named());
    fill(
      facts,
      h("dt", {}, "App ID"),
      h("dd", { class: "with-copy" }, h("code", {}, appId), copyButton(appId, "app_id")),
      h("dt", {}, "Can request"),
      h("dd", {}, latest.scopes.length === 0 ? "No permissions" : scopeBadges(latest.scopes, info.forApps)),
      h("dt", {}, "Redirect URL"),
      h("dd", {}, latest.redirect_uri || "None"),
      latest.app_markup_percentage > 0 && [
        h("dt", {}, "Markup"),
        h("dd", {}, markupWords(latest.app_markup_percentage)),
      ],
      latest.redirect_uri !== "" && [
        h("dt", {}, "Flow"),
        h("dd", {}, FLOWS[latest.flow].words),
      ],
      latest.device_flow === 1 && [
        h("dt", {}, "Device flow"),
        h("dd", {}, "Users can connect devices with a code"),
      ],
      hasSecret && [
        h("dt", {}, "Client secret"),
        h("dd", {}, `Created ${latest.secret_created} (UTC)`),
      ],
    );
    fill(consent, ...consentPart(latest));
  };
  const actions = h("div", { class: "actions" }, edit, renew, forget, remove);
  return { element: h("li", { class: "card" }, title, facts, consent, actions), update };
}

function consentPart({ app_id: appId, redirect_uri: returnsTo, flow }) {
  if (returnsTo === "") {
    return [h("p", { class: "hint" }, "Add a redirect URL to send users here for consent.")];
  }
  if (flow === "code") {
    return [
      h("p", {}, "Send users here for consent, with a code_challenge (S256) and a state added:"),
      secretLine(codeLink(appId), "consent link"),
    ];
  }
  const link = consentLink(appId);
  return [
    h("p", {}, "Send users here for consent, or ", h("a", { href: link }, "try it"), ":"),
    secretLine(link, "consent link"),
  ];
}

// The client secret.

/** Change the client secret of an app; `tell` builds what is shown about it afterwards. */
async function changeSecret({ app_id: appId, name }, action, button, tell) {
  await busy(button, async () => {
    try {
      const { app_secret: reply } = await api.ask({ app_secret: 1, app_id: appId, action });
      await refresh();
      showResult(byId("said"), "good", ...tell(reply));
    } catch (error) {
      const text = `The client secret of “${name}” was not changed. ${error.message}`;
      showResult(byId("said"), "error", h("p", {}, text));
    }
  });
}

async function createSecret(app, button) {
  const agreed =
    app.secret_created === null ||
    (await confirm({
      title: `Replace the client secret of “${app.name}”?`,
      text: "The present secret stops working immediately. Tokens that the app has stay valid.",
      action: "Replace secret",
      danger: true,
    }));
  if (agreed) {
    await changeSecret(app, "create", button, ({ client_secret: secret }) => [
      h("p", {}, `The client secret of “${app.name}”. Copy it now: it is not shown again.`),
      secretLine(secret, "client secret"),
    ]);
  }
}

async function deleteSecret(app, button) {
  const agreed = await confirm({
    title: `Delete the client secret of “${app.name}”?`,
    text:
      "The app is known by its app ID alone from then on. It cannot use introspection and " +
      "revocation any more.",
    action: "Delete secret",
    danger: true,
  });
  if (agreed) {
    await changeSecret(app, "delete", button, () => [
      h("p", {}, `The client secret of “${app.name}” was deleted.`),
    ]);
  }
}

async function removeApp({ app_id: appId, name }, button) {
  const agreed = await confirm({
    title: `Delete app “${name}”?`,
    text:
      "All access that users granted to the app is revoked: its tokens stop working immediately, " +
      "and its connections are closed. This cannot be undone.",
    action: "Delete app",
    danger: true,
  });
  if (!agreed) {
    return;
  }
  await busy(button, async () => {
    try {
      await api.ask({ app_delete: appId });
      await refresh();
      showResult(byId("said"), "good", h("p", {}, `“${name}” was deleted.`));
    } catch (error) {
      showResult(byId("said"), "error", h("p", {}, `“${name}” was not deleted. ${error.message}`));
    }
  });
}

// The form.

async function openForm(info, app, opener) {
  let origins = [];
  if (app !== null) {
    try {
      const { app_origins: reply } = await busy(opener, () => api.ask({ app_origins: app.app_id }));
      origins = reply.allowed_origins;
    } catch (error) {
      showResult(byId("said"), "error", h("p", {}, error.message));
      return;
    }
  }
  const form = buildForm(info, app ?? NEW, origins);
  const title = app === null ? "Register app" : `Edit “${app.name}”`;
  const dialog = openDialog(title, form);
  dialog.classList.add("wide");
  let known = app; // the registered app, for a second attempt
  form.onsubmit = (event) => {
    event.preventDefault();
    busy(form.querySelector("[type=submit]"), async () => {
      clearErrors(form);
      try {
        const flow = flowOf(form);
        const values = valuesOf(form);
        if (known !== null && !(await agreesToChange(known, values))) {
          return;
        }
        const deviceFlow = Number(form.elements.device_flow.checked);
        known = await save(known, values, { flow, device_flow: deviceFlow });
        const wanted = originsOf(form);
        if (wanted.join() !== origins.join()) {
          await api.ask({ app_origins: known.app_id, allowed_origins: wanted });
        }
        await refresh();
        dialog.close();
        tellSaved(known, app === null);
      } catch (error) {
        showErrors(form, inWords(error));
      }
    });
  };
}

/** Replace errors that name a pattern with a sentence. */
function inWords({ code, message, details }) {
  const sentences = Object.entries(details ?? {}).map(([name, sentence]) => {
    const words = RIGHT[name.split(".")[0]];
    return [name, words && sentence.includes("pattern") ? words : sentence];
  });
  return new ApiError({ code, message, details: Object.fromEntries(sentences) });
}

function buildForm(info, app, origins) {
  const url = { type: "text", inputmode: "url", spellcheck: "false", autocomplete: "off" };
  const more = MORE.map(([name, label]) =>
    field(label, h("input", { ...url, name, value: app[name] })),
  );
  const scopes = info.scopes.map(({ scope }) => scope);
  const flows = h(
    "fieldset",
    { class: "field", name: "flow", tabindex: "-1" },
    h("legend", {}, "Redirect flow"),
    ["tokens", "code", ...(app.flow === "both" ? ["both"] : [])].map((flow) =>
      choice(
        FLOWS[flow].words,
        h("input", { type: "radio", name: "flow_chosen", value: flow, checked: app.flow === flow }),
        { hint: FLOWS[flow].hint },
      ),
    ),
  );
  const allowed = h(
    "textarea",
    { name: "allowed_origins", class: "mono", rows: "3", spellcheck: "false" },
    origins.join("\n"),
  );
  const markup = { type: "number", min: "0", max: "3", step: "any", name: "app_markup_percentage" };
  return h(
    "form",
    { novalidate: true },
    field(
      "Name",
      h("input", { name: "name", value: app.name, maxlength: "48", autocomplete: "off" }),
      { hint: "Shown to users on the consent page. Letters, digits, spaces, - and _." },
    ),
    field("Redirect URL", h("input", { ...url, name: "redirect_uri", value: app.redirect_uri }), {
      hint: "Users return to this URL after consent. Use https, or http on localhost.",
    }),
    flows,
    choice(
      "Device flow",
      h("input", { type: "checkbox", name: "device_flow", checked: app.device_flow === 1 }),
      {
        hint:
          "For programs without a browser: they show a code, which the user enters here. Anyone " +
          "can then ask users for consent to this app, so leave it off if you do not need it.",
      },
    ),
    scopeChoices("Permissions the app can request", scopes, info.forApps, {
      name: "scopes",
      chosen: app.scopes,
    }),
    field("Markup", h("input", { ...markup, value: app.app_markup_percentage }), {
      hint: "Percentage of the payout added to the price of contracts bought through the app: 0 to 3.",
    }),
    field("Allowed origins", allowed, {
      hint:
        "Origins whose web pages can connect with this app ID, one per line, such as " +
        "https://bot.example.com. Leave empty to allow any origin.",
    }),
    h("details", {}, h("summary", {}, "More details"), more),
    h(
      "div",
      { class: "actions" },
      h("button", { type: "submit", class: "primary" }, app === NEW ? "Register app" : "Save changes"),
    ),
  );
}

function valuesOf(form) {
  const text = (name) => form.elements[name].value.trim();
  return {
    name: text("name"),
    redirect_uri: text("redirect_uri"),
    scopes: picked(form.elements.scopes),
    app_markup_percentage: text("app_markup_percentage") || "0",
    ...Object.fromEntries(MORE.map(([name]) => [name, text(name)])),
  };
}

/** The chosen flow. Throws the error to show beside the field if none was chosen. */
function flowOf(form) {
  const chosen = form.elements.flow_chosen.value;
  if (chosen === "") {
    const sentence = "Choose a redirect flow.";
    const details = { flow: sentence };
    throw new ApiError({ code: "InputValidationFailed", message: sentence, details });
  }
  return chosen;
}

function originsOf(form) {
  return form.elements.allowed_origins.value.split(/\s+/).filter(Boolean);
}

/** The origin of the redirect URL; empty if the URL is invalid, which the gateway reports. */
function originOf(address) {
  return URL.canParse(address) ? new URL(address).origin : "";
}

/** Ask for confirmation if the change requires users to consent again. */
async function agreesToChange(app, values) {
  const origin = originOf(values.redirect_uri);
  if (
    values.name === app.name &&
    (origin === "" || origin === originOf(app.redirect_uri)) &&
    [...values.scopes].sort().join() === [...app.scopes].sort().join() &&
    Number(values.app_markup_percentage) <= app.app_markup_percentage
  ) {
    return true;
  }
  return confirm({
    title: `Save changes to “${app.name}”?`,
    text:
      "Users who allowed the app must consent again. Until they do, its tokens do not work for " +
      "them and its connections are signed out.",
    action: "Save changes",
    danger: true,
  });
}

async function save(app, values, flows) {
  const request = app === null ? { app_register: 1 } : { app_update: app.app_id };
  const reply = await api.ask({ ...request, ...values });
  const saved = { ...reply[reply.msg_type], flow: "both", device_flow: 0, ...flowsOf(app) };
  if (flows.flow !== saved.flow || flows.device_flow !== saved.device_flow) {
    await api.ask({ app_flow: 1, app_id: saved.app_id, ...flows });
  }
  return { ...saved, ...flows };
}

function flowsOf(app) {
  return app === null ? {} : { flow: app.flow, device_flow: app.device_flow };
}

function tellSaved({ app_id: appId, name, redirect_uri: returnsTo }, isNew) {
  const next = returnsTo
    ? "Use this app ID to connect, and send users to the link below for consent."
    : "Use this app ID to connect. Add a redirect URL to let users consent.";
  const what = isNew ? `“${name}” was registered as app ${appId}. ${next}` : `“${name}” was saved.`;
  showResult(byId("said"), "good", h("p", {}, what));
}

begin(async (info) => {
  const place = byId("apps");
  fill(place, skeleton(4));
  enable(byId("register"), () => openForm(info, null));
  const none = empty(
    "No apps yet",
    "Register an app to get an app ID and a link to send users to for consent.",
  );
  const list = h("ul", { class: "cards wide" });
  const show = livingList(list, ({ app_id: appId }) => appId, (app) => card(app, info));
  refresh = keepFresh(async () => {
    const { app_list: apps } = await api.ask({ app_list: 1 });
    const { app_flow: chosen } = await api.ask({ app_flow: 1 });
    const { app_secret: secrets } = await api.ask({ app_secret: 1 });
    const created = new Map(secrets.apps.map((app) => [app.app_id, app.created]));
    const flows = new Map(chosen.map((app) => [app.app_id, flowsOf(app)]));
    show(
      apps.map((app) => ({
        ...app,
        ...(flows.get(app.app_id) ?? { flow: "both", device_flow: 0 }),
        secret_created: created.get(app.app_id) ?? null,
      })),
    );
    const wanted = apps.length === 0 ? none : list;
    if (!place.contains(wanted)) {
      fill(place, wanted);
    }
  }, byId("problem"));
});
