// Runs trading.js in Node: node trading.mjs CLIENT URL TOKEN PURCHASES
import { readFileSync } from "node:fs";
import WebSocket from "ws";

const [client, url, token, purchases] = process.argv.slice(2);
const module = await import(client);
const source = readFileSync(new URL("trading.js", import.meta.url), "utf8");
const trade = (0, eval)(source);
console.log(JSON.stringify(await trade(module, { url, token, purchases: +purchases, WebSocket })));
