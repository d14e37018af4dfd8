// The published JavaScript client: ticks asked for once, again, and then as a stream.
// node deriv_api_ticks.mjs ws://HOST:PORT

import DerivAPI from "@deriv/deriv-api";
import WebSocket from "ws";

globalThis.WebSocket ??= WebSocket;

const [endpoint] = process.argv.slice(2);
const api = new DerivAPI({ endpoint, app_id: 1089 });
const { basic } = api;
const TICKS = 4;

const once = [await basic.ticks({ ticks: "1HZ100V" }), await basic.ticks({ ticks: "1HZ100V" })];
const stream = await new Promise((resolve, reject) => {
  const told = [];
  basic.subscribe({ ticks: "1HZ100V" }).subscribe((message) => {
    told.push(message);
    if (told.length === TICKS) {
      resolve([...told]); // more ticks may come before it is printed
    }
  }, reject);
});
const after = await basic.ticks({ ticks: "1HZ100V" });
const { forget_all: ended } = await basic.forgetAll("ticks");
console.log(JSON.stringify({ once, stream, after, ended }));
basic.disconnect();
process.exit();
