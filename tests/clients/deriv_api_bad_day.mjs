// A session with the published JavaScript client under a fault: what became of each step, as JSON.
// node deriv_api_bad_day.mjs ws://HOST:PORT, with a token in TOKEN

import DerivAPI from "@deriv/deriv-api";
import WebSocket from "ws";

globalThis.WebSocket ??= WebSocket;

const [endpoint] = process.argv.slice(2);
const PATIENCE = 4000;
const SYMBOL = "1HZ100V";
const RISE = {
  contract_type: "CALL",
  symbol: SYMBOL,
  currency: "USD",
  basis: "stake",
  amount: 10,
  duration: 5,
  duration_unit: "t",
};
const outcomes = {};
const complaints = new Set();
const ticks = [];
process.on("unhandledRejection", (error) => complaints.add(nameOf(error)));
process.on("uncaughtException", (error) => complaints.add(nameOf(error)));

const nameOf = (error) => error?.error?.code ?? error?.code ?? error?.name ?? String(error);

async function step(name, work) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve("hangs"), PATIENCE);
  });
  try {
    const result = await Promise.race([work(), late]);
    outcomes[name] = result === "hangs" ? "hangs" : "ok";
    return result === "hangs" ? null : result;
  } catch (error) {
    outcomes[name] = nameOf(error);
    return null;
  } finally {
    clearTimeout(timer);
  }
}

const api = new DerivAPI({ endpoint, app_id: 1089 });
const { basic } = api;
basic.onUnexpectedResponse?.()?.subscribe?.(() => complaints.add("unexpected"));
await step("authorize", () => basic.authorize(process.env.TOKEN));
await step(
  "ticks",
  () =>
    new Promise((resolve, reject) => {
      basic.subscribe({ ticks: SYMBOL }).subscribe((message) => {
        ticks.push(message.tick);
        resolve(message);
      }, reject);
    }),
);
const bought = await step("buy", () => basic.buy({ buy: 1, price: 10, parameters: RISE }));
if (bought) {
  const request = { proposal_open_contract: 1, contract_id: bought.buy.contract_id };
  await step(
    "sold",
    () =>
      new Promise((resolve, reject) => {
        basic.subscribe(request).subscribe((message) => {
          if (message.proposal_open_contract.is_sold) {
            resolve(message);
          }
        }, reject);
      }),
  );
}
await step("balance", () => basic.balance());
console.log(
  JSON.stringify({
    outcomes,
    complaints: [...complaints].sort(),
    epochs: ticks.map((tick) => tick.epoch),
    quotes: ticks.map((tick) => tick.quote),
  }),
);
process.exit(0);
