// What a bot in JavaScript sees of lost connections, refusals and slow readers.
//
// node behaviour.mjs CLIENT URL DIRECT_URL TOKEN OTHER_TOKEN
//
// The test does what a line on standard output asks for, and answers with a line.
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import WebSocket, { WebSocketServer } from "ws";

import { fails, taken } from "./steps.mjs";

const [module, url, direct, token, otherToken] = process.argv.slice(2);
const {
  AccessError, Backoff, CallError, CallTimeout, Client, ClientError, ClosedError, ConnectionLost,
  GapError,
} = await import(module);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const options = { WebSocket, backoff: new Backoff({ first: 0.005, longest: 0.05 }) };
const RISE = {
  amount: 10,
  basis: "stake",
  contract_type: "CALL",
  currency: "USD",
  symbol: "R_100",
  duration: 1,
  duration_unit: "h",
};

async function ask(what) {
  console.log(what);
  return (await lines.next()).value;
}

const tests = {
  async "a token that is refused ends everything"() {
    const refused = await fails(Client.open(url, "a1-nonsense", options), AccessError);
    assert.equal(refused.code, "InvalidToken");
    const unknown = Client.open(url, token, { ...options, app_id: 4711 });
    assert.equal((await fails(unknown, AccessError)).code, "InvalidAppID");
  },

  async "errors of calls have their parts"(client) {
    const purchase = client.buy({ price: 10, parameters: { ...RISE, amount: 0.1 } });
    const refused = await fails(purchase, CallError);
    assert.equal(refused.code, "ContractBuyValidationError");
    assert.ok("amount" in refused.details);
    const invalid = client.ticks_history("R_100", { end: "latest", count: -1 });
    assert.match((await fails(invalid, CallError)).message, /failed: count; count: \w/);
    assert.throws(() => client.subscribe({ ticks: ["R_100", "R_50"] }), /each symbol/);
  },

  async "a purchase happens once"(client) {
    await ask("cut after replies");
    const bought = await client.buy({ price: 10, parameters: RISE });
    const { transactions } = await client.statement({ limit: 2 });
    assert.equal(transactions[0].transaction_id, bought.transaction_id);
    assert.notEqual(transactions[1].action_type, "buy");
    assert.equal(client.connections, 2);
  },

  async "what cannot be repeated says what is not known"(client) {
    await ask("cut after replies");
    const lost = await fails(client.call({ counted: 1 }), ConnectionLost);
    assert.ok(lost.may_have_happened);
    await client.ping();
    await ask("cut after replies");
    assert.equal((await client.call({ counted: 1 }, { repeat: true })).counted, 3);
  },

  async "a call has a timeout"(client) {
    await ask("cut off");
    const purchase = client.buy({ price: 10, parameters: RISE }, { timeout: 0.05 });
    const timeout = await fails(purchase, CallTimeout);
    assert.equal(timeout.may_have_happened, false);
    assert.equal(timeout.idempotency_key.length, 36);
    await ask("go on");
    await client.balance();
  },

  async "a gap is stated and the stream goes on"(client, other) {
    const entries = client.transactions();
    await entries.opened();
    await ask("cut off");
    const bought = [];
    for (let number = 0; number < 5; number += 1) {
      bought.push((await other.buy({ price: 10, parameters: RISE })).transaction_id);
    }
    await ask("go on");
    const gap = await fails(entries.next(), GapError);
    assert.equal(gap.until, bought[2]);
    const ids = (await taken(entries, 2)).map((entry) => entry.transaction_id);
    assert.deepEqual(ids, bought.slice(3));
    entries.close();
  },

  async "a stream without positions says that events may be missing"(client) {
    const history = client.live_history("R_100", { end: "latest", count: 2 });
    assert.ok("history" in (await taken(history, 1))[0]);
    await ask("cut");
    await fails(history.next(), GapError);
    assert.ok("history" in (await taken(history, 1))[0]);
    history.close();
  },

  async "a slow reader loses nothing and nobody waits for it"(client) {
    const ticks = client.ticks("R_100");
    const [{ epoch }] = await taken(ticks, 1);
    await ask("advance 3000");
    await client.time();
    const epochs = (await taken(ticks, 1_500)).map((tick) => tick.epoch);
    assert.deepEqual(epochs, Array.from({ length: 1_500 }, (_, at) => epoch + 2 * (at + 1)));
    const after = ticks.position;
    ticks.close();
    await ask("advance 4");
    const [next] = await taken(client.ticks("R_100", {}, { after }), 1);
    assert.equal(next.epoch, after + 2);
  },

  async "a stream that is left is closed at the gateway"(client) {
    for (let round = 0; round < 3; round += 1) {
      for await (const tick of client.ticks("R_50")) {
        assert.equal(tick.symbol, "R_50");
        break;
      }
    }
    client.ticks("R_50").close();
    assert.equal((await client.ticks("R_50").next()).value.symbol, "R_50");
  },

  async "a revoked token ends everything"(client, other) {
    const entries = client.transactions();
    await entries.opened();
    await other.api_token({ delete_token: token });
    const ended = await fails(entries.next(), AccessError);
    assert.equal(ended.code, "InvalidToken");
    await fails(client.balance(), AccessError);
  },

  async "a gateway that speaks nonsense ends the client"() {
    const server = new WebSocketServer({ port: 0 });
    const address = `ws://127.0.0.1:${server.address().port}`;
    server.on("connection", (socket) => socket.on("message", () => socket.send("nonsense")));
    const client = await Client.open(address, null, options);
    const ticks = client.ticks("R_100");
    for (const ending of [ticks.next(), client.time()]) {
      assert.match((await fails(ending, ClientError)).message, /has failed: SyntaxError/);
    }
    server.removeAllListeners("connection");
    server.on("connection", (socket) => socket.on("message", () => socket.send("[]")));
    const unanswered = await fails(Client.open(address, token, options), ClientError);
    assert.match(unanswered.message, /sign-in was not answered/);
    server.close();
  },

  async "an event of a stream may be null"() {
    const server = new WebSocketServer({ port: 0 });
    server.on("connection", (socket) => socket.on("message", (text) => {
      const reply = { req_id: JSON.parse(text).req_id, msg_type: "own", own: null };
      socket.send(JSON.stringify({ ...reply, subscription: { id: "1" } }));
    }));
    const client = await Client.open(`ws://127.0.0.1:${server.address().port}`, null, options);
    const [event] = await taken(client.subscribe({ own: 1 }), 1);
    assert.equal(event.own, null);
    client.close();
    server.close();
  },

  async "closing ends iterations and calls"(client, other) {
    const entries = other.transactions();
    const reading = entries.next();
    other.close();
    assert.deepEqual(await reading, { done: true, value: undefined });
    await fails(other.balance(), ClosedError);
  },
};

const other = await Client.open(direct, otherToken, options);
for (const [name, test] of Object.entries(tests)) {
  const client = await Client.open(url, token, options).catch(() => null);
  try {
    await test(client, other);
  } catch (problem) {
    throw new Error(name, { cause: problem });
  }
  client?.close();
}
console.log("done");
process.exit();
