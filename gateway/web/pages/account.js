// The paper account: its balance, a ticket to trade manually, its contracts.
//
// Rules:
// - All streams are of the account that is picked; each request names it.

import { followContracts } from "/assets/account-contracts.js";
import { buildTicket } from "/assets/account-ticket.js";
import { busy, byId, confirm, enable, fill, h, money } from "/assets/dom.js";
import { begin, insist, showResult } from "/assets/owner.js";
import { account, accountPicker, api } from "/assets/session.js";

function followBalance({ loginid }) {
  return api.stream(
    { balance: 1, loginid },
    ({ balance }) => (byId("balance").textContent = money(balance.balance, balance.currency)),
    (error) => (byId("balance").textContent = error.message),
  );
}

async function reset() {
  const { loginid } = account();
  const agreed = await confirm({
    title: `Reset the balance of ${loginid}?`,
    text:
      "The balance returns to its opening amount. Open contracts stay open and settle as " +
      "usual.",
    action: "Reset balance",
  });
  if (!agreed) {
    return;
  }
  await busy(byId("reset"), async () => {
    try {
      const { account_reset: now } = await api.ask({ account_reset: 1, loginid });
      const balance = money(now.balance, now.currency);
      const text = `The balance of ${now.loginid} was reset to ${balance}.`;
      showResult(byId("said"), "good", h("p", {}, text));
    } catch (error) {
      showResult(byId("said"), "error", h("p", {}, `The balance was not reset. ${error.message}`));
    }
  });
}

begin(async () => {
  const { active_symbols: symbols } = await insist(() => api.ask({ active_symbols: "brief" }));
  const ticket = buildTicket(symbols);
  let streams = [];
  const follow = () => {
    streams.forEach((stream) => stream.stop());
    fill(byId("said"));
    byId("balance").textContent = "";
    streams = [followBalance(account()), followContracts(account(), ticket.mark)];
    ticket.tradeFor(account());
  };
  fill(byId("picker"), accountPicker(follow));
  enable(byId("reset"), reset);
  follow();
});
