// The older JavaScript client of the API, as its users wait for ticks: by event, and as a stream.
// node binary_live_api.mjs ws://HOST:PORT/websockets/v3

import liveApi from "binary-live-api";
import WebSocket from "ws";

const [apiUrl] = process.argv.slice(2);
const TICKS = 4;

function byEvent() {
  const api = new liveApi.LiveApi({ apiUrl, appId: 1089, websocket: WebSocket });
  return new Promise((resolve, reject) => {
    const told = [];
    api.events.on("error", ({ error }) => reject(new Error(error.message)));
    api.events.on("tick", (message) => {
      if (told.length === TICKS) {
        return; // more may arrive until the connection has ended
      }
      told.push(message);
      if (told.length === TICKS) {
        api.disconnect();
        resolve(told);
      }
    });
    api.subscribeToTick("1HZ100V");
  });
}

function asStream() {
  const api = new liveApi.LiveApi({ apiUrl, appId: 1089, websocket: WebSocket, useRx: true });
  return new Promise((resolve, reject) => {
    const told = { "1HZ100V": [], "1HZ50V": [] };
    const ticks = api.subscribeToTicks(Object.keys(told));
    ticks.subscribe((message) => {
      const ofSymbol = told[message.tick.symbol];
      if (ofSymbol.length < TICKS) {
        ofSymbol.push(message);
      }
      if (Object.values(told).every((each) => each.length === TICKS)) {
        api.disconnect();
        resolve(told);
      }
    }, reject);
    ticks.connect();
  });
}

// Asked for twice, as by two parts of a page: the second is answered too.
async function twice() {
  const api = new liveApi.LiveApi({ apiUrl, appId: 1089, websocket: WebSocket });
  const told = [await api.subscribeToTick("1HZ100V"), await api.subscribeToTick("1HZ100V")];
  const { forget_all: ended } = await api.unsubscribeFromAllTicks();
  api.disconnect();
  return { told, ended };
}

const seen = { event: await byEvent(), stream: await asStream(), twice: await twice() };
console.log(JSON.stringify(seen));
process.exit();
