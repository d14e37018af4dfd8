// The token for programs, as both start pages show it.

import { h, secretLine } from "/assets/dom.js";

export const PLACEHOLDER = "YOUR-API-TOKEN";

/** The demo token, or a link to create a token. */
export function tokenView(demo) {
  if (demo === null) {
    const link = h("a", { href: "/tokens" }, "Create one under API tokens");
    return [h("p", {}, link, `, then replace ${PLACEHOLDER} below.`)];
  }
  return [
    secretLine(demo.token, "demo token"),
    h("p", { class: "hint" }, `For the demo account ${demo.loginid}. Valid until the gateway restarts.`),
  ];
}
