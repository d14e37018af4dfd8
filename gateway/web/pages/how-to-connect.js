// What both start pages say of the token that programs sign in with.

import { h, secretLine } from "/assets/dom.js";

export const PLACEHOLDER = "A-TOKEN-FROM-THE-PAGE-API-TOKENS";

/** The demo token, or where to make one. */
export function tokenView(demo) {
  if (demo === null) {
    const link = h("a", { href: "/tokens" }, "Make one under API tokens");
    return [h("p", {}, link, " and put it in the place of the capitals below.")];
  }
  return [
    secretLine(demo.token, "the demo token"),
    h("p", { class: "hint" }, `For the demo account ${demo.loginid}, until the next start.`),
  ];
}
