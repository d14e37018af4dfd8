// The paper account: its balance, a ticket to trade by hand, its contracts.
//
// Rules:
// - All streams are of the account that is picked; each request names it.

import { followContracts } from "/assets/account-contracts.js";
import { buildTicket } from "/assets/account-ticket.js";
import { busy, byId, confirm, fill, h, money } from "/assets/dom.js";
import { begin, insist, tell } from "/assets/owner.js";
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
    title: `Reset ${loginid}?`,
    text:
      "Its balance goes back to what it was at the opening. Open contracts stay open, and pay " +
      "what they pay.",
    action: "Reset the balance",
  });
  if (!agreed) {
    return;
  }
  await busy(byId("reset"), async () => {
    try {
      const { account_reset: now } = await api.ask({ account_reset: 1, loginid });
      const balance = money(now.balance, now.currency);
      tell(byId("said"), "good", h("p", {}, `${now.loginid} is reset to ${balance}.`));
    } catch (error) {
      tell(byId("said"), "error", h("p", {}, `${loginid} was not reset. ${error.message}`));
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
  byId("reset").onclick = reset;
  follow();
});
