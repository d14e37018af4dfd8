// A client of a Scopegate gateway for programs that must not miss anything: it survives lost
// connections. One file without dependencies, for browsers and for Node 18 and newer.
//
//   import { Client } from "./scopegate-client.js";
//
//   const client = await Client.open("ws://127.0.0.1:5555/websockets/v3", token);
//   const bought = await client.buy({ price: 10, parameters: { … } });
//   for await (const entry of client.transactions()) { … }
//   client.close();
//
// Where there is no global WebSocket (Node before 22), pass one: `{ WebSocket }` as the options.
//
// Rules:
// - Each call has exactly one result. What only reads is repeated after a lost connection. What
//   changes something has an idempotency key from the start, and is repeated with it where the
//   gateway accepts one. Everything else fails with `ConnectionLost` if it was sent.
// - A request that is not answered although a later one is, as the gateway answers in order, has
//   lost its reply: the client connects again, and repeats it by the rules above.
// - A proposal ends with its connection. If it is bought later, the same contract is bought by its
//   parameters, for at most the `price` of the purchase. Like each proposal it can be bought once.
// - A stream with positions is resumed after the last event that is in its queue. So each event is
//   yielded once and in order, and what the gateway cannot send any more is a `GapError`.
// - An event that another has overtaken is put into its place. If the reader has had the later one
//   already it comes late. A balance is left out then if the later one is of the same account. From
//   then on the stream is resumed an event earlier, because another event may be overtaken and lost.
// - A queue is bounded. If its reader is too slow, the subscription is ended, and resumed once the
//   reader has caught up. A stream without positions keeps its latest events, after a `GapError`.
// - What the gateway refuses for good (`AccessError`) ends the client; everything else is tried
//   again, less and less often.
// - All times are in seconds, and all names are those of the Python client.

// <generated> by `make docs` from the registry of calls; do not edit.
const READS = new Set([
  "account_list",
  "active_symbols",
  "app_get",
  "app_list",
  "app_markup_details",
  "app_markup_statistics",
  "asset_index",
  "balance",
  "contract_update_history",
  "contracts_for",
  "contracts_for_company",
  "copy_report",
  "copytrading_list",
  "copytrading_statistics",
  "economic_calendar",
  "exchange_rates",
  "fault_kinds",
  "get_account_status",
  "get_financial_assessment",
  "get_limits",
  "get_self_exclusion",
  "get_settings",
  "landing_company",
  "landing_company_details",
  "limits",
  "login_history",
  "multiplier_financing",
  "oauth_apps",
  "payment_methods",
  "paymentagent_details",
  "paymentagent_list",
  "payout_currencies",
  "ping",
  "portfolio",
  "profit_table",
  "proposal",
  "proposal_open_contract",
  "reality_check",
  "residence_list",
  "restriction_kinds",
  "statement",
  "states_list",
  "ticks",
  "ticks_batch",
  "ticks_history",
  "time",
  "token_restrictions",
  "trading_durations",
  "trading_times",
  "transaction",
  "website_config",
  "website_status",
]);
const KEYED = new Set([
  "api_token",
  "app_delete",
  "app_flow",
  "app_origins",
  "app_register",
  "app_secret",
  "app_update",
  "buy",
  "buy_contract_for_multiple_accounts",
  "cancel",
  "cashier",
  "contract_update",
  "copy_start",
  "copy_stop",
  "fault_end",
  "fault_start",
  "new_account_real",
  "new_account_virtual",
  "paymentagent_create",
  "paymentagent_transfer",
  "paymentagent_withdraw",
  "paymentagent_withdraw_justification",
  "revoke_oauth_app",
  "sell",
  "sell_contract_for_multiple_accounts",
  "sell_expired",
  "set_account_currency",
  "set_financial_assessment",
  "set_self_exclusion",
  "set_settings",
  "tnc_approval",
  "token_create",
  "token_restrict",
  "token_rotate",
  "topup_virtual",
  "transfer_between_accounts",
]);
const WHOLE = new Set([
  "paymentagent_transfer",
  "paymentagent_withdraw",
  "ticks_history",
  "transfer_between_accounts",
]);
/** Each call, with what its own field is: null for 1, else its default or none. */
const METHODS = {
  account_list: null,
  active_symbols: "",
  api_token: null,
  app_delete: "",
  app_flow: null,
  app_get: "",
  app_list: null,
  app_markup_details: null,
  app_markup_statistics: null,
  app_origins: "",
  app_register: null,
  app_secret: null,
  app_update: "",
  asset_index: null,
  balance: null,
  buy: "1",
  buy_contract_for_multiple_accounts: "1",
  cancel: "",
  cashier: "",
  contract_update: null,
  contract_update_history: null,
  contracts_for: "",
  contracts_for_company: null,
  copy_report: null,
  copy_start: "",
  copy_stop: "",
  copytrading_list: null,
  copytrading_statistics: null,
  economic_calendar: null,
  exchange_rates: null,
  fault_end: "",
  fault_kinds: null,
  fault_list: null,
  fault_start: "",
  get_account_status: null,
  get_financial_assessment: null,
  get_limits: null,
  get_self_exclusion: null,
  get_settings: null,
  landing_company: "",
  landing_company_details: "",
  limits: null,
  login_history: null,
  multiplier_financing: "",
  new_account_real: null,
  new_account_virtual: null,
  oauth_apps: null,
  payment_methods: null,
  paymentagent_create: null,
  paymentagent_details: null,
  paymentagent_list: "",
  paymentagent_transfer: null,
  paymentagent_withdraw: null,
  paymentagent_withdraw_justification: null,
  payout_currencies: null,
  ping: null,
  portfolio: null,
  profit_table: null,
  proposal: null,
  proposal_open_contract: null,
  reality_check: null,
  residence_list: null,
  restriction_kinds: null,
  revoke_oauth_app: "",
  sell: "",
  sell_contract_for_multiple_accounts: null,
  sell_expired: null,
  set_account_currency: "",
  set_financial_assessment: null,
  set_self_exclusion: null,
  set_settings: null,
  statement: null,
  states_list: "",
  ticks_batch: null,
  ticks_history: "",
  time: null,
  tnc_approval: null,
  token_create: null,
  token_restrict: "",
  token_restrictions: null,
  token_rotate: "",
  topup_virtual: null,
  trading_durations: null,
  trading_times: "",
  transfer_between_accounts: null,
  verify_email: "",
  website_config: null,
  website_status: null,
};
const STREAMS = {
  balances: { call: "balance", own: null },
  copy_reports: { call: "copy_report", own: null },
  exchange_rate_updates: { call: "exchange_rates", own: null },
  proposals: { call: "proposal", own: null },
  open_contracts: { call: "proposal_open_contract", own: null },
  ticks: { call: "ticks", own: "" },
  tick_batches: { call: "ticks_batch", own: null },
  live_history: { call: "ticks_history", own: "" },
  transactions: { call: "transaction", own: null },
  website_status_updates: { call: "website_status", own: null },
};
// </generated>

const TIMEOUT = 30;
const MAX_REQUEST = 64 * 1024;
const MAX_WAITING = 1_000;
const MAX_CLOSED = 1_000;
const MAX_RECENT = 100;
const MAX_QUOTED = 100;
const STABLE = 5;
const PING_EVERY = 10;
const AGAIN = 0.5;
const LATER = 5;

const KINDS = {
  balance: "balance", // a snapshot, and each event replaces the one before it
  proposal_open_contract: "states",
  ticks: "event",
  transaction: "snapshot",
};
const WAITS = { 4429: 60 };
const OUR_FAULT = new Set([1002, 1003, 1007, 1009]);
const FINAL = new Set(["InvalidAppID", "SessionEnded"]);
const SIGN_IN_LATER = new Set(
  ["RateLimit", "ServiceRestart", "StorageUnavailable", "Timeout", "InternalServerError"],
);
const STREAM_LATER = new Set(
  ["RateLimit", "StorageUnavailable", "Timeout", "InternalServerError"],
);
// Errors of a purchase whose proposal belongs to another connection. It may have been bought by
// parameters under the same key before: the gateway does not notice that it is the same contract.
const UNKNOWN_PROPOSAL = new Set(["InvalidContractProposal", "IdempotencyKeyReused"]);
const AFTER_HISTORY = new Set(["tick", "ohlc"]);
const HAS_ENDED = "The token has ended: it was revoked, or has expired.";
const ANYWHERE = new Set(["loginid", "passthrough", "req_id", "subscribe"]);
const ENVELOPE = new Set(
  ["echo_req", "req_id", "passthrough", "msg_type", "subscription", "position", "gap"],
);

const random = globalThis.crypto ?? (await import("node:crypto")).webcrypto;

/** The base of all errors of a client. */
export class ClientError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

const INVALID = "InputValidationFailed";

/** The gateway answered a call, or a stream, with an error. The connection goes on. */
export class CallError extends ClientError {
  constructor({ code, message, details = {}, subcode = "" }) {
    // The message only names the fields that are invalid; what is wrong with each is in the details.
    const problems = code === INVALID ? Object.entries(details) : [];
    super([`${code}: ${message}`, ...problems.map((each) => each.join(": "))].join("; "));
    this.code = code;
    this.reason = message;
    this.details = details;
    this.subcode = subcode;
  }
}

/** The gateway does not let the client in, or not any longer. The client has ended. */
export class AccessError extends CallError {}

/** The connection was lost before a call was answered, and the call cannot be repeated. */
export class ConnectionLost extends ClientError {
  constructor(call, reason, { may_have_happened, idempotency_key = "", cause }) {
    const what = may_have_happened
      ? "It may or may not have happened." +
        (idempotency_key === ""
          ? " Look at the account before you make it again."
          : ` Make the same call with the idempotency_key "${idempotency_key}" to get its result:` +
            " it will not happen twice.")
      : "It did not change anything.";
    super(`${call}: ${reason}. ${what}`, { cause });
    this.call = call;
    this.reason = reason;
    this.may_have_happened = may_have_happened;
    this.idempotency_key = idempotency_key;
  }
}

/** A call was not answered within its timeout, however often the client connected again. */
export class CallTimeout extends ConnectionLost {}

/** The client is closed, or was not opened. */
export class ClosedError extends ClientError {}

/**
 * Events of a stream are missing: those after position `after` and up to `until`; both are null for
 * a stream without positions. The stream goes on: iterate over it again to get what follows.
 */
export class GapError extends ClientError {
  constructor(stream, after = null, until = null) {
    super(
      after === null
        ? `${stream}: events may be missing here. The stream goes on.`
        : `${stream}: events after position ${after} and up to ${until} are missing. The stream` +
            " goes on.",
    );
    this.stream = stream;
    this.after = after;
    this.until = until;
  }
}

/** Waits that grow with each failed attempt, each shortened by chance. */
export class Backoff {
  constructor({ first = 0.2, factor = 2, longest = 30 } = {}) {
    this.first = first;
    this.factor = factor;
    this.longest = longest;
  }

  wait(failures) {
    const longest = Math.min(this.longest, this.first * this.factor ** Math.min(failures, 64));
    return longest * (0.5 + Math.random() / 2);
  }
}

/** A subscription of a client: it lasts until it is closed, whatever happens to connections. */
class Subscription {
  constructor(name, request, { after, resume, forget }) {
    this.name = name;
    this.request = request;
    this.reqId = 0;
    this.id = null;
    this.isOpening = false;
    this.isBehind = false;
    this.isClosed = false;
    this.error = null;
    this.next = [];
    this.wasOpened = false;
    this.opened = new Promise((resolve) => (this.resolveOpened = resolve));
    this.positions = after === null ? [] : [after]; // where it began, and its latest events, sorted
    this.isDisordered = false; // whether an event has overtaken another one
    this.readUntil = new Map(); // loginid -> the position of the latest balance that was read
    this.resume = resume;
    this.forget = forget;
    this.kind = KINDS[name];
    this.waiting = [];
    this.readers = [];
    this.sold = new Set();
  }

  message() {
    const message = { req_id: this.reqId, ...this.request };
    if (this.kind !== undefined && this.position !== null) {
      message.passthrough = { ...message.passthrough, resume: this.#resumeAfter };
    }
    return message;
  }

  get position() {
    return this.positions.at(-1) ?? null;
  }

  get #resumeAfter() {
    return this.positions.slice(this.isDisordered ? -2 : -1)[0];
  }

  lost() {
    this.id = null;
    this.isOpening = false;
  }

  /** Takes a message; returns an error for which the stream is subscribed to again later. */
  received(message) {
    if (message.error !== undefined) {
      return this.#failed(message);
    }
    if (this.isBehind) {
      return null;
    }
    if (this.isOpening && this.name === "ticks_history" && AFTER_HISTORY.has(message.msg_type)) {
      return null; // the reply, which has the history, is lost: the client notices that
    }
    const begins = this.isOpening;
    this.isOpening = false;
    if (begins) {
      this.#begun(message);
    } else if (!this.#isDuplicate(message)) {
      this.#put(message);
    }
    if ("contract_id" in this.request && message.subscription === undefined) {
      this.end(null);
    }
    return null;
  }

  #failed(message) {
    const error = new CallError(message.error);
    if (error.code === "ServiceRestart") {
      return null; // the connection ends next, and another one follows
    }
    this.lost();
    if (STREAM_LATER.has(error.code) && this.wasOpened && !this.isClosed) {
      return error;
    }
    this.end(error);
    return null;
  }

  #begun(message) {
    const { position = null, gap } = message;
    const isFirst = !this.wasOpened;
    const isResumed = this.kind !== undefined && this.position !== null;
    this.id = message.subscription?.id ?? null;
    this.#isOpen();
    if (gap !== undefined) {
      let { after } = gap;
      if (isResumed && after === this.#resumeAfter) {
        after = Math.min(this.position, gap.until); // it may be an event earlier than this
      }
      if (after !== gap.until) {
        this.#append({ gap: new GapError(this.name, after, gap.until) });
      }
      this.positions = [position]; // it may go back: then the gateway has lost what it had
    } else if (this.kind === undefined && !isFirst) {
      this.#append({ gap: new GapError(this.name) });
    }
    if (this.positions.length === 0 && position !== null && this.kind !== "event") {
      this.positions = [position];
    }
    if (this.kind === "snapshot" || this.kind === "balance") {
      // The snapshot that resumes a stream has the position of the request. If it was lost, this is
      // the first event.
      if (!isResumed || !this.#isDuplicate(message)) {
        this.#put(message);
      }
    } else {
      if ((gap !== undefined && this.kind === "event") || !this.#isDuplicate(message)) {
        this.#put(message);
      }
    }
    if (this.id === null) {
      this.end(null); // the only reply: there is no stream
    }
  }

  #isOpen() {
    this.wasOpened = true;
    this.resolveOpened();
  }

  #isDuplicate(message) {
    const { position } = message;
    if (position === undefined) {
      return false;
    }
    if (this.kind === "states") {
      return this.sold.has(message[message.msg_type].contract_id); // also a state before its end
    }
    if (this.position === null || position > this.position) {
      return false;
    }
    return position < this.positions[0] || this.positions.includes(position);
  }

  #put(message) {
    const body = message[message.msg_type];
    if (
      body !== null && typeof body === "object" && !Array.isArray(body) &&
      Object.keys(body).every((name) => name === "id")
    ) {
      return; // there is nothing yet, such as no open contract
    }
    const { position } = message;
    if (this.waiting.length >= MAX_WAITING) {
      if (this.kind !== undefined) {
        this.isBehind = true;
        this.isDisordered ||= position < (this.position ?? 0);
        this.forget(this);
        return;
      }
      this.waiting.length = 0;
      this.#append({ gap: new GapError(this.name) });
    }
    if (position !== undefined && this.kind === "states") {
      this.#noteEnd(message);
    } else if (position !== undefined) {
      const isOvertaken = this.position !== null && position < this.position;
      this.#remember(position);
      if (isOvertaken) {
        this.#putLate(message);
        return;
      }
    }
    this.#append({ message, position: this.position });
  }

  /** Puts an event that was overtaken before those after it, as far as they still wait. */
  #putLate(message) {
    this.isDisordered = true;
    const { position } = message;
    if (position < this.readUntil.get(loginidOf(message))) {
      return;
    }
    let place = this.waiting.length;
    while (place > 0 && this.waiting[place - 1].position > position) {
      place -= 1;
    }
    if (place < this.waiting.length) {
      this.waiting.splice(place, 0, { message, position });
    } else {
      this.#append({ message, position: this.position });
    }
  }

  #remember(position) {
    if (!this.positions.includes(position)) {
      this.positions.push(position);
      if (this.positions.at(-2) > position) {
        this.positions.sort((one, other) => one - other);
      }
      this.positions.splice(0, this.positions.length - MAX_RECENT);
    }
  }

  #noteEnd(message) {
    // Several contracts may be closed by one commit, so the position of a message may include a
    // sale that only the next message shows. The sale that this one shows is certain.
    const contract = message[message.msg_type];
    if (contract.is_sold) {
      const position = contract.transaction_ids.sell;
      this.isDisordered ||= position < (this.position ?? 0);
      this.#remember(position);
      this.sold.add(contract.contract_id);
      if (this.sold.size > MAX_CLOSED) {
        this.sold.delete(this.sold.values().next().value);
      }
    }
  }

  #append(item) {
    this.waiting.push(item);
    this.#serve();
  }

  end(error) {
    if (!this.isClosed) {
      this.isClosed = true;
      this.error = error;
      this.#isOpen();
      this.#serve();
    }
  }

  read() {
    return new Promise((resolve, reject) => {
      this.readers.push({ resolve, reject });
      this.#serve();
    });
  }

  /** Gives what waits to those who read. */
  #serve() {
    while (this.readers.length > 0 && (this.waiting.length > 0 || this.isClosed)) {
      const { resolve, reject } = this.readers.shift();
      const item = this.waiting.shift();
      if (this.isBehind && this.waiting.length <= MAX_WAITING / 2) {
        this.isBehind = false;
        this.resume(this);
      }
      if (item === undefined) {
        if (this.error === null) {
          resolve(null);
        } else {
          reject(this.error);
        }
      } else if (item.gap !== undefined) {
        reject(item.gap);
      } else {
        if (this.kind === "balance") {
          const loginid = loginidOf(item.message);
          const until = this.readUntil.get(loginid) ?? 0;
          this.readUntil.set(loginid, Math.max(until, item.message.position ?? 0));
        }
        resolve(item);
      }
    }
  }

  close() {
    this.waiting.length = 0;
    if (!this.isClosed) {
      this.end(null);
      this.forget(this);
    }
  }
}

/**
 * The events of a subscription, as they arrive: `for await (const event of stream)`. The iteration
 * ends when the stream or its client is closed, and goes on over lost connections. Leaving the loop
 * closes the stream; a `GapError` does not.
 */
export class Stream {
  #subscription;
  #part;

  constructor(subscription, part) {
    this.#subscription = subscription;
    this.#part = part;
    /** The position of the last event; give it as `after` to continue from there. */
    this.position = null;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async next() {
    const event = await this.#subscription.read();
    if (event === null) {
      return { done: true, value: undefined };
    }
    this.position = event.position;
    return { done: false, value: this.#part(event.message) };
  }

  async return(value) {
    this.close();
    return { done: true, value };
  }

  /** Resolves once the stream is open; rejects if the gateway refuses it. */
  async opened() {
    await this.#subscription.opened;
    if (this.#subscription.error !== null) {
      throw this.#subscription.error;
    }
  }

  /** Ends the stream, and its iteration. */
  close() {
    this.#subscription.close();
  }
}

class Call {
  constructor(name, message, { mayRepeat, key }) {
    this.name = name;
    this.message = message;
    this.text = textOf(message);
    this.mayRepeat = mayRepeat;
    this.key = key;
    this.proposal = message.buy; // that it buys, if it buys one
    this.isRefused = false; // whether the gateway has answered it with an error
    this.isSent = false; // on the present connection
    this.wasSent = false;
    this.isDone = false;
    this.reply = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.reply.catch(() => {});
  }

  get mayHaveHappened() {
    return this.wasSent && !READS.has(this.name);
  }

  succeed(message) {
    this.isDone = true;
    this.resolve(message);
  }

  fail(problem) {
    this.isDone = true;
    if (this.mayHaveHappened && !(problem instanceof ConnectionLost) &&
        (problem instanceof AccessError || !(problem instanceof CallError))) {
      problem = new ConnectionLost(this.name, problem.message, {
        may_have_happened: true,
        idempotency_key: this.key,
        cause: problem,
      });
    }
    this.reject(problem);
  }
}

/** A client of a gateway, from `open` to `close`. */
export class Client {
  #address;
  #token;
  #timeout;
  #backoff;
  #WebSocket;
  #socket = null;
  #isOpen = false;
  #end = new ClosedError("The client is not open: call `open` first.");
  #ids = 0;
  #calls = new Map(); // req_id -> Call
  #streams = new Map(); // req_id -> Subscription
  #failures = 0;
  #begun = 0;
  #lastFrame = 0;
  #retry = 0;
  #pinger = 0;
  #reason = "no connection yet";
  #onFirst = null;
  #unansweredBefore = new Set(); // the requests that had no reply when this was last looked at
  #probe = { id: 0, late: new Set() }; // the latest probe, and what had no reply before it
  #quoted = new Map(); // the requests of the latest proposals, by the ids of these

  /** The reply to the latest sign-in: the account, its scopes and its balance then. */
  account = {};
  /** How many connections were opened and signed in; more than 1 if some were lost. */
  connections = 0;

  /**
   * `url` is the address of the gateway, `token` an API token; without one the client can make the
   * calls that need none. `timeout` is how many seconds a call may take, with all its repetitions.
   */
  constructor(url, token = null, options = {}) {
    const { app_id = 1089, timeout = TIMEOUT, backoff = new Backoff() } = options;
    const parts = new URL(url);
    if (!["ws:", "wss:"].includes(parts.protocol)) {
      throw new TypeError("The address of a gateway begins with ws:// or wss://, then its host.");
    }
    if (!parts.searchParams.has("app_id")) {
      parts.searchParams.set("app_id", app_id);
    }
    this.#WebSocket = options.WebSocket ?? globalThis.WebSocket;
    if (this.#WebSocket === undefined) {
      throw new TypeError("There is no global WebSocket here: pass one as the option WebSocket.");
    }
    this.#address = parts.href;
    this.#token = token;
    this.#timeout = timeout;
    this.#backoff = backoff;
  }

  /** Makes a client, and opens it. */
  static async open(url, token = null, options = {}) {
    const client = new Client(url, token, options);
    await client.open();
    return client;
  }

  /** Whether there is a connection at this moment that is signed in. */
  get is_connected() {
    return this.#isOpen;
  }

  /** Connects and signs in. Rejects with `AccessError` or `ConnectionLost`. */
  async open() {
    if (this.#begun !== 0) {
      throw new ClosedError("A client can be opened once: make another one.");
    }
    this.#end = null;
    const first = new Promise((resolve, reject) => (this.#onFirst = { resolve, reject }));
    const timer = setTimeout(() => {
      const reason = `no connection within ${this.#timeout} s: ${this.#reason}`;
      this.#finish(new ConnectionLost("connect", reason, { may_have_happened: false }));
    }, 1_000 * this.#timeout);
    this.#pinger = setInterval(() => this.#ping(), (1_000 * PING_EVERY) / 2);
    this.#connect();
    try {
      await first;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Closes the connection for good. Streams end, and calls under way fail. */
  close() {
    this.#finish(new ClosedError("The client is closed."));
  }

  // Calls.

  /**
   * Makes any call, such as one of a plugin; the whole reply. The first key of `request` is the
   * name of the call. `repeat` is whether it may be sent again after a lost connection.
   */
  async call(request, { timeout = this.#timeout, repeat } = {}) {
    const name = nameOf(request);
    const { req_id: _, ...message } = request;
    if (name === "ticks") {
      message.subscribe ??= 0;
    }
    if (message.subscribe) {
      throw new TypeError("Use `subscribe` for streams.");
    }
    let key = "";
    if (KEYED.has(name)) {
      key = message.passthrough?.idempotency_key ?? uuid();
      message.passthrough = { ...message.passthrough, idempotency_key: key };
    }
    const reqId = (this.#ids += 1);
    const made = new Call(name, { req_id: reqId, ...message }, {
      mayRepeat: repeat ?? (READS.has(name) || KEYED.has(name)),
      key,
    });
    const timer = setTimeout(() => {
      made.fail(
        new CallTimeout(name, `no reply within ${timeout} s: ${this.#reason}`, {
          may_have_happened: made.mayHaveHappened,
          idempotency_key: key,
        }),
      );
    }, 1_000 * timeout);
    try {
      if (!READS.has(name)) {
        // What it does is seen by the streams that were asked for before.
        const opened = [...this.#streams.values()].map((stream) => stream.opened);
        await Promise.race([Promise.all(opened), made.reply]);
      }
      this.#throwIfEnded();
      if (!made.isDone) {
        this.#calls.set(reqId, made);
        if (this.#isOpen) {
          this.#send(made);
        }
      }
      return await made.reply;
    } finally {
      clearTimeout(timer);
      this.#calls.delete(reqId);
      this.#notePurchase(made);
    }
  }

  /** Makes a call of the table; resolves to the part of the reply that is its own. */
  async _make(name, own, fields, options) {
    const message = requestOf(name, own, fields);
    if (options.idempotency_key !== undefined) {
      message.passthrough = { idempotency_key: options.idempotency_key };
    }
    const reply = await this.call(message, { timeout: options.timeout });
    return WHOLE.has(name) ? fieldsOf(reply) : bodyOf(reply);
  }

  // Streams.

  /** Opens any stream, such as one of a plugin; yields whole messages. */
  subscribe(request, { after = null } = {}) {
    return new Stream(this.#subscribed({ ...request }, after), (message) => message);
  }

  /** Opens a stream of the table. */
  _follow(name, own, fields, { after = null }) {
    const made = this.#subscribed(requestOf(name, own, fields), after);
    return new Stream(made, WHOLE.has(name) ? fieldsOf : bodyOf);
  }

  #subscribed(request, after) {
    const name = nameOf(request);
    delete request.req_id;
    if (name === "buy") {
      throw new TypeError("Use `buy`, and follow the contract with `open_contracts`.");
    }
    if (Array.isArray(request.ticks)) {
      throw new TypeError("Open a stream for each symbol: each has positions of its own.");
    }
    this.#throwIfEnded();
    request.subscribe = 1;
    const made = new Subscription(name, request, {
      after,
      resume: (stream) => this.#openStream(stream),
      forget: (stream) => this.#forget(stream),
    });
    textOf(made.message()); // throws here if it is too long
    const same = JSON.stringify(request);
    const earlier = [...this.#streams.values()].find(
      (each) => each.isClosed && each.isOpening && JSON.stringify(each.request) === same,
    );
    if (earlier === undefined) {
      this.#openStream(made);
    } else {
      earlier.next.push(made); // until that is forgotten
    }
    return made;
  }

  #openStream(stream) {
    if (this.#end !== null) {
      stream.end(this.#endOfStreams);
      return;
    }
    this.#streams.delete(stream.reqId);
    stream.reqId = this.#ids += 1;
    this.#streams.set(stream.reqId, stream);
    if (this.#isOpen) {
      stream.isOpening = true;
      this.#socket.send(textOf(stream.message()));
    }
  }

  #forget(stream) {
    if (stream.isOpening) {
      return; // once it has an id
    }
    this.#streams.delete(stream.reqId);
    if (stream.id !== null && this.#isOpen) {
      this.#socket.send(textOf({ req_id: (this.#ids += 1), forget: stream.id }));
    }
    stream.id = null;
    stream.next.splice(0).forEach((each) => this.#openStream(each));
  }

  // The connection.

  #connect() {
    this.#begun = Date.now();
    this.#lastFrame = Date.now();
    const socket = new this.#WebSocket(this.#address);
    this.#socket = socket;
    socket.onopen = () => {
      this.#lastFrame = Date.now();
      if (this.#token === null) {
        this.#connected();
      } else {
        socket.send(textOf({ req_id: (this.#ids += 1), authorize: this.#token }));
      }
    };
    socket.onmessage = ({ data }) => {
      try {
        this.#received(JSON.parse(data));
      } catch (cause) {
        this.#finish(new ClientError(`The client has failed: ${cause}.`, { cause }));
      }
    };
    socket.onerror = () => {}; // `onclose` follows
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
  }

  #closed(code, reason) {
    const why = reason || "no reason was given";
    if (code === 1008 || code === 4403) {
      const error = code === 1008 ? "InvalidAppID" : "SessionEnded";
      const message = `The gateway has ended the connection: ${why}.`;
      this.#finish(new AccessError({ code: error, message }));
    } else {
      this.#lost(`The connection was lost (${code}, ${why})`, {
        wait: WAITS[code],
        ours: OUR_FAULT.has(code),
      });
    }
  }

  /** Fails what cannot be repeated, keeps everything else, and connects again after a while. */
  #lost(reason, { wait = 0, ours = false } = {}) {
    this.#drop();
    const worked = this.#isOpen && Date.now() - this.#begun >= 1_000 * STABLE;
    this.#isOpen = false;
    this.#reason = reason;
    for (const made of this.#calls.values()) {
      if (made.isSent && (ours || !made.mayRepeat)) {
        made.fail(
          new ConnectionLost(made.name, reason, {
            may_have_happened: made.mayHaveHappened,
            idempotency_key: made.key,
          }),
        );
      }
      made.isSent = false;
    }
    for (const stream of [...this.#streams.values()]) {
      stream.lost();
      if (stream.isClosed) {
        this.#forget(stream);
      }
    }
    const delay = Math.max(wait, this.#backoff.wait(worked ? 0 : this.#failures));
    this.#failures = worked ? 0 : this.#failures + 1;
    this.#retry = setTimeout(() => this.#connect(), 1_000 * delay);
  }

  /** Leaves the socket. A dead peer may never confirm its end, so nothing waits for it. */
  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  #connected() {
    this.#isOpen = true;
    this.connections += 1;
    for (const made of this.#calls.values()) {
      this.#send(made);
    }
    for (const stream of [...this.#streams.values()]) {
      this.#openStream(stream);
    }
    this.#onFirst.resolve();
  }

  #finish(end) {
    this.#end ??= end;
    this.#isOpen = false;
    clearTimeout(this.#retry);
    clearInterval(this.#pinger);
    this.#drop();
    for (const made of this.#calls.values()) {
      if (!made.isDone) {
        made.fail(this.#end);
      }
    }
    for (const stream of this.#streams.values()) {
      [stream, ...stream.next].forEach((each) => each.end(this.#endOfStreams));
    }
    this.#streams.clear();
    this.#onFirst?.reject(this.#end);
  }

  /** The error with which streams end; null if the client was closed. */
  get #endOfStreams() {
    return this.#end instanceof ClosedError ? null : this.#end;
  }

  #throwIfEnded() {
    if (this.#end !== null) {
      throw this.#end;
    }
  }

  #send(made) {
    if (!made.isDone) {
      made.isSent = made.wasSent = true;
      this.#socket.send(made.text);
    }
  }

  /**
   * Asks for a sign of life where there was none, and for a later reply where one does not come.
   * Leaves a connection that gives no sign of life, or on which nobody signs in.
   */
  #ping() {
    if (this.#socket === null) {
      return;
    }
    const silence = (Date.now() - this.#lastFrame) / 1_000;
    const before = this.#unansweredBefore;
    this.#unansweredBefore = this.#unanswered();
    const late = new Set([...this.#unansweredBefore].filter((reqId) => before.has(reqId)));
    if (silence >= 2 * PING_EVERY) {
      this.#lost("The gateway does not answer");
    } else if (!this.#isOpen) {
      if (silence >= PING_EVERY) {
        this.#lost("The sign-in was not answered");
      }
    } else if (silence >= PING_EVERY || late.size > 0) {
      this.#probe = { id: (this.#ids += 1), late };
      this.#socket.send(textOf({ req_id: this.#probe.id, ping: 1 }));
    }
  }

  /** The ids of the requests of this connection that have no reply. */
  #unanswered() {
    const calls = [...this.#calls].filter(([, made]) => made.isSent && !made.isDone);
    const streams = [...this.#streams].filter(([, stream]) => stream.isOpening);
    return new Set([...calls, ...streams].map(([reqId]) => reqId));
  }

  #received(message) {
    this.#lastFrame = Date.now();
    const { req_id: reqId, error } = message;
    if (!this.#isOpen) {
      this.#signedIn(message);
      return;
    }
    const { id, late } = this.#probe;
    if (reqId === id && [...this.#unanswered()].some((each) => late.has(each))) {
      this.#lost("The gateway has answered a later request, and not this one");
      return;
    }
    late.delete(reqId); // it may be sent again, with the same id
    const made = this.#calls.get(reqId);
    const stream = this.#streams.get(reqId);
    const isOver =
      error !== undefined &&
      (FINAL.has(error.code) ||
        (this.#token !== null &&
          (error.code === "AuthorizationRequired" ||
            (stream !== undefined && error.code === "InvalidToken"))));
    if ((made !== undefined || stream !== undefined) && isOver) {
      if (made !== undefined) {
        made.isSent = made.wasSent = false; // it was refused
      }
      const hasEnded = error.code === "AuthorizationRequired";
      this.#finish(new AccessError(hasEnded ? { ...error, message: HAS_ENDED } : error));
    } else if (made !== undefined) {
      this.#answered(made, message);
    } else if (stream !== undefined) {
      this.#streamed(stream, message);
    }
  }

  #signedIn(message) {
    const { error } = message;
    if (error === undefined) {
      if (message.authorize === undefined) {
        throw new TypeError("the sign-in was not answered");
      }
      this.account = message.authorize;
      this.#connected();
    } else if (SIGN_IN_LATER.has(error.code)) {
      const wait = error.code === "RateLimit" ? LATER : 0;
      this.#lost(`The sign-in has failed, ${error.code}: ${error.message}`, { wait });
    } else {
      this.#finish(new AccessError(error));
    }
  }

  #answered(made, message) {
    const { error } = message;
    if (made.isDone) {
      return;
    }
    if (error === undefined) {
      made.succeed(message);
      if (made.name === "proposal") {
        this.#rememberQuote(made.message, message);
      }
      if (made.proposal !== undefined) {
        this.#bought(made.proposal);
      }
    } else if (UNKNOWN_PROPOSAL.has(error.code) && this.#buyByParameters(made)) {
      // It was a proposal of an earlier connection.
    } else if (error.code === "ServiceRestart" && made.mayRepeat) {
      // The connection ends next.
    } else if (error.code === "Timeout" && made.key !== "") {
      made.isSent = false; // it may still happen
      setTimeout(() => this.#isOpen && this.#send(made), 1_000 * AGAIN);
    } else {
      made.isRefused = true;
      made.fail(new CallError(error));
    }
  }

  /** Remembers what was asked for with the proposal of a reply. */
  #rememberQuote(request, { proposal }) {
    const key = this.#quoted.get(proposal.id)?.key ?? "";
    this.#quoted.delete(proposal.id);
    this.#quoted.set(proposal.id, { request, connection: this.connections, key });
    if (this.#quoted.size > MAX_QUOTED) {
      this.#quoted.delete(this.#quoted.keys().next().value);
    }
  }

  /** Notes the key under which a proposal was bought, or may have been. */
  #notePurchase(made) {
    const quoted = this.#quoted.get(made.proposal);
    if (quoted !== undefined && made.wasSent && !made.isRefused) {
      quoted.key ||= made.key;
    }
  }

  /**
   * Buys what a proposal of an earlier connection was about; whether it can be. A proposal is bought
   * once, so another purchase of it is one only under the same key.
   */
  #buyByParameters(made) {
    const quoted = this.#quoted.get(made.proposal);
    if (made.name !== "buy" || quoted === undefined || quoted.connection === this.connections) {
      return false;
    }
    const others = [...this.#calls.values()].filter(
      (each) => each.proposal === made.proposal && each.message.parameters !== undefined,
    );
    const keys = new Set([quoted.key || made.key, made.key, ...others.map((each) => each.key)]);
    if (made.message.parameters !== undefined || keys.size > 1) {
      return false;
    }
    const asked = Object.entries(quoted.request);
    const fields = asked.filter(([field]) => field !== "proposal" && !ANYWHERE.has(field));
    made.message = { ...made.message, buy: 1, parameters: Object.fromEntries(fields) };
    made.text = textOf(made.message);
    this.#send(made);
    return true;
  }

  #streamed(stream, message) {
    if (stream.name === "proposal" && message.error === undefined) {
      this.#rememberQuote(stream.request, message);
    }
    const wasOpening = stream.isOpening;
    const failed = stream.received(message);
    if (failed !== null) {
      const wait = failed.code === "RateLimit" ? LATER : AGAIN;
      setTimeout(() => {
        if (!stream.isClosed && !stream.isOpening && stream.id === null && this.#isOpen) {
          this.#openStream(stream);
        }
      }, 1_000 * wait);
    } else if (stream.isClosed && !stream.isOpening) {
      if (wasOpening) {
        this.#forget(stream); // it was closed before it had an id
      } else {
        this.#streams.delete(stream.reqId);
      }
    }
  }

  /** Ends the stream of a proposal that was bought: the gateway has. */
  #bought(proposal) {
    for (const stream of [...this.#streams.values()]) {
      if (stream.id === proposal) {
        stream.end(null);
        this.#streams.delete(stream.reqId);
      }
    }
  }
}

for (const [name, own] of Object.entries(METHODS)) {
  Client.prototype[name] = function (...given) {
    const [value, fields, options] = argumentsOf(own, given);
    return this._make(name, value, fields, options);
  };
}
for (const [method, { call, own }] of Object.entries(STREAMS)) {
  Client.prototype[method] = function (...given) {
    const [value, fields, options] = argumentsOf(own, given);
    return this._follow(call, value, fields, options);
  };
}

/** Splits arguments: the value of the call's own field if it has one, its fields, the options. */
function argumentsOf(own, given) {
  if (own === undefined || own === null) {
    return [1, given[0] ?? {}, given[1] ?? {}];
  }
  const [first] = given;
  if (typeof own === "string" && own !== "" && typeof first === "object") {
    return [own, first, given[1] ?? {}]; // its default
  }
  return [first, given[1] ?? {}, given[2] ?? {}];
}

/** The name of a call: the first key of its request. */
function nameOf(request) {
  const name = Object.keys(request).find((field) => !ANYWHERE.has(field));
  if (name === undefined) {
    throw new TypeError("A request begins with the name of its call.");
  }
  if (name === "authorize" || name === "logout") {
    throw new TypeError("A client signs in by itself: make one for each token.");
  }
  return name;
}

function requestOf(name, own, fields) {
  const message = { [name]: own };
  for (const [field, value] of Object.entries(fields)) {
    if (value !== undefined && value !== null) {
      message[field] = typeof value === "boolean" ? Number(value) : value;
    }
  }
  return message;
}

/** The loginid of the account that a message is about, if it names one. */
function loginidOf(message) {
  return bodyOf(message).loginid;
}

function bodyOf(message) {
  return message[message.msg_type];
}

function fieldsOf(message) {
  return Object.fromEntries(Object.entries(message).filter(([name]) => !ENVELOPE.has(name)));
}

function textOf(message) {
  const text = JSON.stringify(message);
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > MAX_REQUEST) {
    throw new RangeError(`The message has ${bytes} bytes; ${MAX_REQUEST} are allowed.`);
  }
  return text;
}

/** A random UUID; `randomUUID` is missing in pages that were loaded over http. */
function uuid() {
  const bytes = random.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
