// What a bot in JavaScript sees of the faults that a gateway makes on demand.
//
// node bad_days.mjs CLIENT URL TOKEN OTHER_TOKEN
//
// CLIENT is a copy of the client that looks for lost replies more often.
import assert from "node:assert/strict";
import WebSocket, { WebSocketServer } from "ws";

import { fails, taken } from "./steps.mjs";

const [module, url, token, otherToken] = process.argv.slice(2);
const { AccessError, Backoff, CallError, Client, ConnectionLost } = await import(module);
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

const start = (client, fault_start, given) => client.call({ fault_start, options: given });
const buy = (client) => client.buy({ price: 10, parameters: RISE });

/** Reads a stream of a server that sends events of these positions on each connection. */
async function positionsRead(name, connections) {
  const server = new WebSocketServer({ port: 0 });
  const resumed = [];
  server.on("connection", (socket) => socket.on("message", (text) => {
    const { req_id, time, passthrough } = JSON.parse(text);
    if (time !== undefined) {
      socket.send(JSON.stringify({ req_id, msg_type: "time", time: 1 }));
      return;
    }
    resumed.push(passthrough?.resume ?? null);
    for (const position of connections.shift()) {
      const body = { id: "1", position };
      const message = { req_id, msg_type: name, [name]: body, position, subscription: { id: "1" } };
      socket.send(JSON.stringify(message));
    }
    if (connections.length > 0) {
      socket.close();
    }
  }));
  const expected = new Set(connections.flat()).size;
  const client = await Client.open(`ws://127.0.0.1:${server.address().port}`, null, options);
  const events = client.subscribe({ [name]: 1 });
  while (connections.length > 0) {
    await client.time();
  }
  await client.time(); // by now all events wait
  const positions = (await taken(events, expected)).map((message) => message.position);
  client.close();
  server.close();
  return { positions, resumed };
}

const tests = {
  async "a lost reply is noticed and the call repeated"(client) {
    const entries = client.transactions();
    await entries.opened();
    await start(client, "lost_reply", { after: "buy" });
    const bought = await buy(client);
    const [entry] = await taken(entries, 1);
    assert.equal(entry.transaction_id, bought.transaction_id);
    assert.equal(client.connections, 2);
  },

  async "what cannot be repeated fails when its reply is lost"(client) {
    await start(client, "lost_reply", { after: "counted" });
    const lost = await fails(client.call({ counted: 1 }), ConnectionLost);
    assert.ok(lost.may_have_happened);
  },

  async "a stream whose first reply is lost is opened"(client) {
    await start(client, "lost_reply", { after: "transaction" });
    const entries = client.transactions();
    const bought = await buy(client);
    assert.equal((await taken(entries, 1))[0].transaction_id, bought.transaction_id);
  },

  async "a slow reply is waited for"(client) {
    const { number } = (await start(client, "latency", { milliseconds: 1_200 })).fault_start;
    await buy(client);
    assert.equal(client.connections, 1);
    await client.call({ fault_end: number });
  },

  async "a sign-in without a reply is tried again"(client) {
    await start(client, "lost_reply", { after: "authorize" });
    const second = await Client.open(url, token, options);
    assert.equal(second.connections, 1);
    second.close();
  },

  async "a proposal of a lost connection can be bought"(client) {
    const quoted = await client.proposal(RISE);
    const proposals = client.proposals({ ...RISE, contract_type: "PUT" });
    const [streamed] = await taken(proposals, 1);
    await start(client, "drop", { before: "buy" });
    assert.match((await client.buy(quoted.id, { price: 10 })).shortcode, /^CALL_R_100/);
    assert.match((await client.buy(streamed.id, { price: 10 })).shortcode, /^PUT_R_100/);
    proposals.close();
    const unknown = client.buy("5f0c1d8e-0000-4000-8000-000000000000", { price: 10 });
    assert.equal((await fails(unknown, CallError)).code, "InvalidContractProposal");
  },

  async "a proposal is bought once"(client) {
    const once = { idempotency_key: "a-proposal-is-bought-once" };
    const [quoted, other] = [await client.proposal(RISE), await client.proposal(RISE)];
    await start(client, "drop", { before: "time" });
    await client.time();
    assert.equal(client.connections, 2);
    const bought = await client.buy(quoted.id, { price: 10 }, once);
    assert.deepEqual(await client.buy(quoted.id, { price: 10 }, once), bought);
    const results = await Promise.allSettled([
      client.buy(quoted.id, { price: 10 }),
      ...[1, 2].map(() => client.buy(other.id, { price: 10 })),
    ]);
    assert.deepEqual(results.map(({ reason }) => reason?.code), [
      "InvalidContractProposal", undefined, "InvalidContractProposal",
    ]);
  },

  async "a stream opens after one that was closed and refused"(client) {
    await start(client, "rate_limit", { call: "ticks" });
    client.ticks("R_100").close();
    const again = client.ticks("R_100");
    assert.equal((await taken(again, 1))[0].symbol, "R_100");
    again.close();
  },

  async "a history whose reply is lost is asked for again"(client) {
    await start(client, "lost_reply", { after: "ticks_history" });
    const history = client.live_history("1HZ100V", { end: "latest", count: 2 });
    const server = new WebSocketServer({ port: 0 });
    let openings = 0;
    server.on("connection", (socket) => socket.on("message", (text) => {
      const { req_id, ping } = JSON.parse(text);
      const subscription = { id: "1" };
      const reply = (message) => socket.send(JSON.stringify({ req_id, subscription, ...message }));
      if (ping !== undefined) {
        reply({ msg_type: "ping", ping: "pong" });
      } else if ((openings += 1) === 1) {
        reply({ msg_type: "tick", tick: { quote: 1 } });
      } else {
        reply({ msg_type: "history", history: { prices: [1, 2] } });
      }
    }));
    const other = await Client.open(`ws://127.0.0.1:${server.address().port}`, null, options);
    const events = other.live_history("1HZ100V", { end: "latest", count: 2 });
    for (const each of [history, events]) {
      assert.equal((await taken(each, 1))[0].history.prices.length, 2);
    }
    assert.equal(openings, 2);
    history.close();
    other.close();
    server.close();
  },

  async "a balance is replaced by one of its account alone"() {
    const server = new WebSocketServer({ port: 0 });
    server.on("connection", (socket) => socket.on("message", (text) => {
      const { req_id, balance, next } = JSON.parse(text);
      const sent = balance === undefined ? next : [[10, "B"]];
      streamed ??= req_id;
      for (const [position, loginid] of sent) {
        const msg_type = "balance";
        const subscription = { id: "1" };
        socket.send(JSON.stringify(
          { req_id: streamed, msg_type, balance: { loginid }, position, subscription },
        ));
      }
      if (next !== undefined) {
        socket.send(JSON.stringify({ req_id, msg_type: "next", next: 1 }));
      }
    }));
    let streamed = null;
    const client = await Client.open(`ws://127.0.0.1:${server.address().port}`, null, options);
    const balances = client.subscribe({ balance: 1, account: "all" });
    const positions = async (...events) => {
      await client.call({ next: events });
      return (await taken(balances, events.length)).map((message) => message.position);
    };
    await taken(balances, 1);
    assert.deepEqual(await positions([12, "B"]), [12]);
    assert.deepEqual(await positions([11, "A"]), [11]);
    assert.deepEqual(await positions([14, "B"], [13, "A"]), [13, 14]);
    await client.call({ next: [[10.5, "A"]] }); // an older one of A is left out
    assert.deepEqual(await positions([15, "A"]), [15]);
    client.close();
    server.close();
  },

  async "events are yielded in order while they wait"() {
    const connections = [[10, 12, 11, 11, 14, 12, 13]];
    const { positions } = await positionsRead("ticks", connections);
    assert.deepEqual(positions, [10, 11, 12, 13, 14]);
  },

  async "a disordered stream is resumed an event earlier"() {
    const connections = [[10, 12, 11, 14], [13, 14, 15]];
    const { positions, resumed } = await positionsRead("ticks", connections);
    assert.deepEqual(positions, [10, 11, 12, 13, 14, 15]);
    assert.deepEqual(resumed, [null, 12]);
  },

  async "an event is not taken for the first reply"() {
    const connections = [[10], [11, 12]];
    const { positions, resumed } = await positionsRead("balance", connections);
    assert.deepEqual(positions, [10, 11, 12]);
    assert.deepEqual(resumed, [null, 10]);
  },

  async "a token that ends is named as the reason"() {
    const client = await Client.open(url, otherToken, options);
    await start(client, "revoke_token", { after: "buy" });
    await buy(client);
    const ended = await fails(client.balance(), AccessError);
    assert.match(ended.message, /The token has ended: it was revoked, or has expired\./);
  },
};

for (const [name, test] of Object.entries(tests)) {
  const client = await Client.open(url, token, options);
  try {
    await test(client);
  } catch (problem) {
    throw new Error(name, { cause: problem });
  }
  client.close();
}
process.exit();
