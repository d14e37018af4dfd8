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
    const told = [];
    const ticks = api.subscribeToTicks(["1HZ100V", "1HZ50V"]);
    ticks.subscribe((message) => {
      told.push(message);
      if (told.length === 2 * TICKS) {
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
