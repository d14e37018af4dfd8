// Types of scopegate-client.js.

export class ClientError extends Error {}

/** The gateway answered a call, or a stream, with an error. The connection goes on. */
export class CallError extends ClientError {
  code: string;
  reason: string;
  details: Record<string, any>;
  subcode: string;
}

/** The gateway does not let the client in, or not any longer. The client has ended. */
export class AccessError extends CallError {}

/** The connection was lost before a call was answered, and the call cannot be repeated. */
export class ConnectionLost extends ClientError {
  call: string;
  reason: string;
  may_have_happened: boolean;
  /** If it is not empty, the same call with this key does not happen twice. */
  idempotency_key: string;
}

/** A call was not answered within its timeout, however often the client connected again. */
export class CallTimeout extends ConnectionLost {}

/** The client is closed, or was not opened. */
export class ClosedError extends ClientError {}

/** Events of a stream are missing. The stream goes on. */
export class GapError extends ClientError {
  stream: string;
  /** Events after this position are missing; null for a stream without positions. */
  after: number | null;
  /** Events up to this position are missing. */
  until: number | null;
}

/** Waits that grow with each failed attempt, in seconds, each shortened by chance. */
export class Backoff {
  constructor(options?: { first?: number; factor?: number; longest?: number });
  wait(failures: number): number;
}

/** The events of a subscription, as they arrive: `for await (const event of stream)`. */
export class Stream<T> implements AsyncIterableIterator<T> {
  /** The position of the last event; give it as `after` to continue from there. */
  position: number | null;
  [Symbol.asyncIterator](): this;
  next(): Promise<IteratorResult<T>>;
  return(value?: any): Promise<IteratorResult<T>>;
  /** Resolves once the stream is open; rejects if the gateway refuses it. */
  opened(): Promise<void>;
  /** Ends the stream, and its iteration. */
  close(): void;
}

export interface ClientOptions {
  /** The app that connects; 1089 by default. Not used if the address has one. */
  app_id?: number;
  /** How many seconds a call may take, with all its repetitions; 30 by default. */
  timeout?: number;
  backoff?: Backoff;
  /** The class of WebSockets, where there is no global one. */
  WebSocket?: any;
}

export interface CallOptions {
  /** How many seconds it may take, with all its repetitions. */
  timeout?: number;
}

export interface KeyedOptions extends CallOptions {
  /** The key of an earlier attempt, whose result is wanted. */
  idempotency_key?: string;
}

export interface StreamOptions {
  /** The position of an earlier stream, after which this one begins. */
  after?: number | null;
}

/** A client of a gateway, from `open` to `close`. */
export class Client {
  constructor(url: string, token?: string | null, options?: ClientOptions);
  /** Makes a client, and opens it. */
  static open(url: string, token?: string | null, options?: ClientOptions): Promise<Client>;
  /** The reply to the latest sign-in. */
  account: Record<string, any>;
  /** How many connections were opened and signed in. */
  connections: number;
  /** Whether there is a connection at this moment that is signed in. */
  readonly is_connected: boolean;
  /** Connects and signs in. Rejects with `AccessError` or `ConnectionLost`. */
  open(): Promise<void>;
  /** Closes the connection for good. Streams end, and calls under way fail. */
  close(): void;
  /** Makes any call, such as one of a plugin; the whole reply. */
  call(
    request: Record<string, any>,
    options?: CallOptions & { repeat?: boolean },
  ): Promise<Record<string, any>>;
  /** Opens any stream, such as one of a plugin; yields whole messages. */
  subscribe(request: Record<string, any>, options?: StreamOptions): Stream<Record<string, any>>;
}

// <generated> by `make docs` from the registry of calls; do not edit.

export interface AccountBalance {
  /** The balance in units of the currency. */
  balance: number;
  /** The balance in US dollars at the current rate, rounded down to cents. */
  converted_amount: number;
  /** The currency of the account. */
  currency: string;
  /** 1 if it is a demo account, else 0. */
  demo_account: number;
  /** 1 if the account is active, else 0; always 1 here. */
  status: number;
  /** The type of the account; always `deriv`. */
  type: string;
}

export interface AccountStatusBody {
  /** The proofs of identity and address. */
  authentication: Authentication;
  /** The state of deposits and withdrawals, by currency; only the currency of the account. */
  currency_config: Record<string, CashierState>;
  /** 1 if peer-to-peer trading requires a proof of address, else 0; always 0 here. */
  p2p_poa_required: number;
  /** The status in peer-to-peer trading; always `none`. */
  p2p_status: string;
  /** 1 if you have to prove your identity, else 0; always 0 here. */
  prompt_client_to_authenticate: number;
  /** The risk class of the account; always `low`. */
  risk_classification: string;
  /**
   * The flags of the account: `authenticated`, and `financial_assessment_not_complete` and
   * `no_trading` where they apply.
   */
  status: Array<string>;
}

export interface AccountSummary {
  /** The category of the account; always `trading`. */
  account_category: string;
  /** The type of the account; always `binary`. */
  account_type: string;
  /** The letters of the loginid: `VRTC` for a demo account, `CR` for a real-style one. */
  broker: string;
  /** The time at which the account was opened, in epoch seconds. */
  created_at: number;
  /** The currency of the account. */
  currency: string;
  /** The type of the currency, `fiat` or `crypto`; left out at present. */
  currency_type?: string;
  /** 1 if the account is disabled, else 0; always 0 here. */
  is_disabled: number;
  /** 1 if it is a demo account, else 0. */
  is_virtual: number;
  /** The short name of the landing company: `virtual` for a demo account, else `svg`. */
  landing_company_name: string;
  /** The accounts linked to this one; always empty. */
  linked_to: Array<LinkedAccount>;
  /** The loginid of the account. */
  loginid: string;
}

export interface ActiveSymbol {
  /** Always 1; `contracts_for` lists the contracts with a forward start. */
  allow_forward_starting: number;
  /** The delay of the prices: always 0; only with `full`. */
  delay_amount?: number;
  /** The name of the symbol for display. */
  display_name: string;
  /** The position of the symbol in lists, from 1 on. */
  display_order: number;
  /** 1 if the market is open now, else 0. */
  exchange_is_open: number;
  /** The name of the exchange, such as `FOREX` or `RANDOM`; only with `full`. */
  exchange_name?: string;
  /** The interval of intraday durations in minutes: always 1; only with `full`. */
  intraday_interval_minutes?: number;
  /** Always 0: trading is never suspended. */
  is_trading_suspended: number;
  /** The market of the symbol, such as `forex` or `synthetic_index`. */
  market: string;
  /** The name of the market for display. */
  market_display_name: string;
  /** The smallest change of the price, such as 0.01. */
  pip: number;
  /** The currency in which the symbol is quoted; only with `full`. */
  quoted_currency_symbol?: string;
  /** The latest price; only with `full`. */
  spot?: number;
  /** The seconds since the latest tick, as text; only with `full`. */
  spot_age?: string;
  /** The change of the price since 00:00 UTC in percent, as text; only with `full`. */
  spot_percentage_change?: string;
  /** The time of the latest tick in epoch seconds, as text; only with `full`. */
  spot_time?: string;
  /** The subgroup of the symbol: `synthetics`, `baskets` or `none`. */
  subgroup: string;
  /** The name of the subgroup for display. */
  subgroup_display_name: string;
  /** The submarket of the symbol, such as `major_pairs` or `random_index`. */
  submarket: string;
  /** The name of the submarket for display. */
  submarket_display_name: string;
  /** The name of the symbol in requests and replies. */
  symbol: string;
  /** The kind of symbol, such as `forex` or `stockindex`. */
  symbol_type: string;
}

export interface Amount {
  /** The amount in units of the currency. */
  amount: number;
  /** The currency of the amount. */
  currency: string;
}

export interface ApiTokenBody {
  /** Always 1; present if a token was deleted. */
  delete_token?: number;
  /** Always 1; present if a token was created. */
  new_token?: number;
  /** The tokens of the account, oldest first; for an app, only those that it created. */
  tokens: Array<TokenSummary>;
}

export interface AppBody {
  /** 1 if the app is active, 0 while the operator of the gateway has disabled it. */
  active: number;
  /** The id of the app. */
  app_id: number;
  /** The markup, in percent of a contract's payout. */
  app_markup_percentage: number;
  /** The URL of the app in the App Store; empty if not given. */
  appstore: string;
  /** The URL of its source on GitHub; empty if not given. */
  github: string;
  /** The URL of the app on Google Play; empty if not given. */
  googleplay: string;
  /** The URL of the app's home page; empty if not given. */
  homepage: string;
  /** The name of the app. */
  name: string;
  /** The URL that consent returns to; empty if not given. */
  redirect_uri: string;
  /** The scopes that the app is registered for. */
  scopes: Array<string>;
  /** The URL for links in e-mails; empty if not given. */
  verification_uri: string;
}

export interface AppOriginsBody {
  /** The origins whose pages may use the app; any origin may if empty. */
  allowed_origins: Array<string>;
  /** The id of the app. */
  app_id: number;
}

export interface AppSecretBody {
  /** Your apps, oldest first. */
  apps: Array<SecretOfApp>;
  /** The new client secret; it is not shown again. */
  client_secret?: string;
}

export interface AuditDetails {
  /** The ticks from the entry to the exit; only for contracts with a duration in ticks. */
  all_ticks?: Array<TickShown>;
  /** The exit tick. */
  contract_end?: Array<TickShown>;
  /** The entry tick; absent if the contract closed before it. */
  contract_start?: Array<TickShown>;
}

export interface Authentication {
  /** The proofs that you still have to give; always empty. */
  needs_verification: Array<string>;
}

export interface AvailableContract {
  /**
   * An example barrier, such as `+0.10` from the entry spot or, for days, a price; only with one
   * barrier.
   */
  barrier?: string;
  /**
   * The kind of barrier: `american`, `asian`, `euro_atm`, `euro_non_atm`, `lookback`,
   * `non_financial` or `reset`.
   */
  barrier_category: string;
  /** Suggested strikes or barriers, the highest first; only for vanillas and turbos. */
  barrier_choices?: Array<string>;
  /** The number of barriers that a request names: 0, 1 or 2; a digit does not count. */
  barriers: number;
  /**
   * The cancellation times to choose from, such as `5m`; only for multipliers with cancellation.
   */
  cancellation_range?: Array<string>;
  /** The category of the contract, such as `callput` or `digits`. */
  contract_category: string;
  /** The name of the category for display. */
  contract_category_display: string;
  /** The name of the contract type for display. */
  contract_display: string;
  /** The contract type, such as `CALL`. */
  contract_type: string;
  /** The suggested stake, or multiplier of a lookback, in units of the currency. */
  default_stake: number;
  /** The name of the exchange, such as `FOREX` or `RANDOM`. */
  exchange_name: string;
  /** The kind of duration: `tick`, `intraday`, `daily` or `no_expiry`. */
  expiry_type: string;
  /**
   * The sessions to start in: `date`, `open` and `close` in epoch seconds as text; only with
   * `forward`.
   */
  forward_starting_options?: Array<Record<string, any>>;
  /** The growth rates to choose from, as shares per tick; only for accumulators. */
  growth_rate_range?: Array<number>;
  /** An example of the higher barrier; only with two barriers. */
  high_barrier?: string;
  /** The digits to choose from; only for types that take a digit. */
  last_digit_range?: Array<number>;
  /** An example of the lower barrier; only with two barriers. */
  low_barrier?: string;
  /** The market of the symbol, such as `forex` or `synthetic_index`. */
  market: string;
  /** The longest duration, such as `10t` or `365d`; empty without a fixed end. */
  max_contract_duration: string;
  /** The largest stake, in units of the currency; only for vanillas and turbos. */
  max_stake?: number;
  /** The shortest duration, such as `1t` or `15s`; empty without a fixed end. */
  min_contract_duration: string;
  /** The smallest stake, in units of the currency; only for vanillas and turbos. */
  min_stake?: number;
  /** The multipliers to choose from; only for multipliers. */
  multiplier_range?: Array<number>;
  /** Suggested payouts per point, as text; only for turbos. */
  payout_choices?: Array<string>;
  /** The largest payout of a contract, in units of the currency. */
  payout_limit: number;
  /** The view of the market that the contract bets on, such as `up`, `down` or `low_vol`. */
  sentiment: string;
  /** The kind of start: `spot` for now, `forward` for later. */
  start_type: string;
  /** The submarket of the symbol, such as `major_pairs` or `random_index`. */
  submarket: string;
  /** The name of the symbol. */
  underlying_symbol: string;
}

export interface BalanceBody {
  /** The balances by loginid; present in the first reply to `account` `all`. */
  accounts?: Record<string, AccountBalance>;
  /** The balance of the account, in units of its currency. */
  balance: number;
  /** The currency of the account. */
  currency: string;
  /** The id of the stream; present if you subscribed. */
  id?: string;
  /** The account of the balance; in an update, the account that changed. */
  loginid: string;
  /** The totals of your accounts; present in the first reply to `account` `all`. */
  total?: Totals;
}

export interface BatchedTick {
  /** The ask price, one pip above the quote, as text with all decimals. */
  ask: string;
  /** The bid price, one pip below the quote, as text with all decimals. */
  bid: string;
  /** The change of the price since 00:00 UTC in percent, as text with two decimals. */
  change: string;
  /** The time of the tick, in epoch seconds. */
  epoch: number;
  /** The price, as text with all decimals. */
  quote: string;
  /** The name of the symbol. */
  symbol: string;
}

export interface BoughtForOne {
  /** The price paid, with any cancellation fee and markup, in units of the currency. */
  buy_price: number;
  /** The id of the contract. */
  contract_id: number;
  /** The description of the contract as a sentence. */
  longcode: string;
  /** The payout, in units of the currency; the maximum for a spread, 0 if none is fixed. */
  payout: number;
  /** The time of the purchase, in epoch seconds. */
  purchase_time: number;
  /** The terms of the contract as a code, which `sell_contract_for_multiple_accounts` takes. */
  shortcode: string;
  /** The start of the contract, in epoch seconds. */
  start_time: number;
  /** The token of the account, masked except for its last four characters. */
  token: string;
  /** The id of the purchase in the statement. */
  transaction_id: number;
}

export interface BuyBody {
  /** The balance of the account after the purchase, in units of the currency. */
  balance_after: number;
  /** The price paid, with any cancellation fee and markup, in units of the currency. */
  buy_price: number;
  /** The id of the contract. */
  contract_id: number;
  /** The description of the contract as a sentence. */
  longcode: string;
  /** The payout, in units of the currency; the maximum for a spread, 0 if none is fixed. */
  payout: number;
  /** The time of the purchase, in epoch seconds. */
  purchase_time: number;
  /** The terms of the contract as a compact code. */
  shortcode: string;
  /** The start of the contract, in epoch seconds. */
  start_time: number;
  /** The id of the purchase in the statement. */
  transaction_id: number;
}

export interface BuyForSeveralBody {
  /** The contract or the error of each token, in the order of `tokens`. */
  result: Array<BoughtForOne | FailedForOne>;
}

export interface BuyParameters {
  /** The type of the contract; `contracts_for` lists the types that are offered. */
  contract_type: "ACCU" | "ASIAND" | "ASIANU" | "CALL" | "CALLE" | "CALLSPREAD" | "DIGITDIFF" | "DIGITEVEN" | "DIGITMATCH" | "DIGITODD" | "DIGITOVER" | "DIGITUNDER" | "EXPIRYMISS" | "EXPIRYMISSE" | "EXPIRYRANGE" | "EXPIRYRANGEE" | "LBFLOATCALL" | "LBFLOATPUT" | "LBHIGHLOW" | "MULTDOWN" | "MULTUP" | "NOTOUCH" | "ONETOUCH" | "PUT" | "PUTE" | "PUTSPREAD" | "RANGE" | "RESETCALL" | "RESETPUT" | "RUNHIGH" | "RUNLOW" | "SNOWDOWN" | "SNOWUP" | "TICKHIGH" | "TICKLOW" | "TURBOSLONG" | "TURBOSSHORT" | "UPORDOWN" | "VANILLALONGCALL" | "VANILLALONGPUT";
  /** The currency of the account that buys. */
  currency: string;
  /** The symbol of the contract. */
  symbol: string;
  /**
   * The stake or the payout, as `basis` says, in units of the currency; for a lookback, the
   * multiplier.
   */
  amount?: number;
  /**
   * The barrier, or the higher of two: `+0.10` from the entry spot, or `2400.10` as a price. For a
   * contract on digits, the digit.
   */
  barrier?: string;
  /** The meaning of `amount`; a lookback takes only `multiplier`. */
  basis?: "payout" | "stake" | "multiplier";
  /** The start, in epoch seconds, up to 24 hours ahead; the contract starts now by default. */
  date_start?: number;
  /** The duration, in units of `duration_unit`. */
  duration?: number;
  /** The factor of a multiplier, or the amount that a lookback pays for each 1.00 of price. */
  multiplier?: number;
  /** The tick of five that must be the highest or the lowest: 1 to 5. */
  selected_tick?: number;
  /** The lower of two barriers. */
  barrier2?: string;
  /** The distance of both barriers of a spread from the entry spot, instead of the barriers. */
  barrier_range?: "tight" | "middle" | "wide";
  /** The time in which a multiplier can be cancelled: `5m`, `10m`, `15m`, `30m` or `60m`. */
  cancellation?: string;
  /** The growth of an accumulator with each tick: 0.01, 0.02, 0.03, 0.04 or 0.05. */
  growth_rate?: number;
  /** Orders that close a multiplier or an accumulator automatically. */
  limit_order?: LimitOrder;
  /** The amount that a turbo pays for each point, instead of `barrier`. */
  payout_per_point?: number;
  /** Accepted, but has no effect. */
  product_type?: "basic";
  /** Only for contract types that are not offered here. */
  trade_risk_profile?: "low" | "medium" | "high";
  /** Accepted, but has no effect. */
  app_markup_percentage?: number;
  /** The end, in epoch seconds, instead of `duration`. */
  date_expiry?: number;
  /**
   * The unit of `duration`: `d` days, `h` hours, `m` minutes, `s` seconds (the default) or `t`
   * ticks.
   */
  duration_unit?: "d" | "m" | "s" | "h" | "t";
  /** Only for contract types that are not offered here. */
  trading_period_start?: number;
}

export interface CallLimit {
  /** The names of the calls that are counted, or a phrase for them. */
  applies_to: string;
  /** The number of calls that are allowed in a minute. */
  minutely: number;
  /** The number of calls that are allowed in an hour. */
  hourly: number;
}

export interface CallLimits {
  /** The limit on `proposal` streams of one connection. */
  max_proposal_subscription: StreamLimit;
  /** The limit on all other calls; spelt like this on the wire. */
  max_requestes_general: CallLimit;
  /** The limit on calls that report on trading, such as `statement`. */
  max_requests_outcome: CallLimit;
  /** The limit on calls that price contracts, such as `proposal`. */
  max_requests_pricing: CallLimit;
}

export interface CancellationShown {
  /** The fee for the right to cancel, in units of the currency. */
  ask_price: number;
  /** The last moment at which the contract can be cancelled, in epoch seconds. */
  date_expiry: number;
}

export interface Candle {
  /** The last price; of the latest candle, the last one so far. */
  close: number;
  /** The start of the candle, in epoch seconds. */
  epoch: number;
  /** The highest price. */
  high: number;
  /** The lowest price. */
  low: number;
  /** The first price. */
  open: number;
}

export interface CashierState {
  /** 1 if deposits are suspended, else 0; always 0 here. */
  is_deposit_suspended: number;
  /** 1 if withdrawals are suspended, else 0; always 0 here. */
  is_withdrawal_suspended: number;
}

export interface ChangedOrder {
  /** The loss at which a multiplier closes, in units of the currency; `null` for none. */
  stop_loss?: number | null;
  /** The profit at which the contract closes, in units of the currency; `null` for none. */
  take_profit?: number | null;
}

export interface ClosedContract {
  /** The id of the app through which the contract was bought; null without an app or for a copy. */
  app_id: number | null;
  /** The price paid, with any cancellation fee and markup, in units of the currency. */
  buy_price: number;
  /** The id of the contract. */
  contract_id: number;
  /** The contract type, such as `CALL`; only with `description`. */
  contract_type?: string;
  /**
   * The cancellation time, such as `60m`; only for multipliers bought with it, and with
   * `description`.
   */
  deal_cancellation_duration?: string;
  /**
   * The unit of the duration, `ticks`, `seconds` or `days`; null for multipliers; only with
   * `description`.
   */
  duration_type?: string | null;
  /**
   * The growth with each tick, as text such as `0.03`; only for accumulators, with `description`.
   */
  growth_rate?: string;
  /** The description of the contract as a sentence; only with `description`. */
  longcode?: string;
  /** The factor of a multiplier, as text; only for multipliers, with `description`. */
  multiplier?: string;
  /** The payout, in units of the currency; the maximum for a spread, 0 if none is fixed. */
  payout: number;
  /** The time of the purchase, in epoch seconds. */
  purchase_time: number;
  /** The amount paid when the contract was closed, in units of the currency. */
  sell_price: number;
  /** The time at which the contract was closed, in epoch seconds. */
  sell_time: number;
  /** The terms of the contract as a compact code; only with `description`. */
  shortcode?: string;
  /** The id of the purchase in the statement. */
  transaction_id: number;
  /** The name of the symbol; only with `description`. */
  underlying_symbol?: string;
}

export interface CompaniesOfCountry {
  /** The short name of the company for all markets; always `svg`. */
  all_company: string;
  /** The company for financial markets. */
  financial_company: Company;
  /** The company for synthetic markets; the same as for financial markets. */
  gaming_company: Company;
  /** The two-letter code of the country. */
  id: string;
  /** The minimum age of users in years; always 18, and not checked. */
  minimum_age: number;
  /** The name of the country. */
  name: string;
  /** 1 if the gateway has no states or provinces for the country, else 0. */
  no_province: number;
  /** 1 if a postal code is required, else 0; always 0 here. */
  require_address_postcode: number;
  /** 1 if a proof of identity is required, else 0; always 0 here. */
  require_poi: number;
  /** The short name of the company for demo accounts; always `virtual`. */
  virtual_company: string;
}

export interface Company {
  /** The address of the company; always null. */
  address: Array<string> | null;
  /** The personal details that can be changed; always empty. */
  changeable_fields: Record<string, any>;
  /** The country of the company; always empty. */
  country: string;
  /** The settings by market and currency; always empty. */
  currency_config: Record<string, any>;
  /** 1 if the company requires reality checks, else 0; always 0 here. */
  has_reality_check: number;
  /** The categories of contracts, sorted by name. */
  legal_allowed_contract_categories: Array<string>;
  /** The currencies of accounts. */
  legal_allowed_currencies: Array<string>;
  /** The names of the markets, sorted. */
  legal_allowed_markets: Array<string>;
  /** The currency of accounts by default; always `USD`. */
  legal_default_currency: string;
  /** The full name of the company. */
  name: string;
  /** The fields required from users. */
  requirements: Requirements;
  /** The short name of the company: `svg` or `virtual`. */
  shortcode: string;
  /** 1 if there are accounts for professionals, else 0; always 0 here. */
  support_professional_client: number;
  /** 1 if a tax number is optional, else 0; always 1 here. */
  tin_not_mandatory: number;
}

export interface ConnectedApp {
  /** The id of the app. */
  app_id: number;
  /** The markup, in percent of a contract's payout. */
  app_markup_percentage: number;
  /**
   * The time of the app's last call for you (UTC), `yyyy-mm-dd hh:mm:ss`; null if there was none.
   */
  last_used: string | null;
  /** The name of the app. */
  name: string;
  /** 1 if it is the gateway's own test app (1089), else 0. */
  official: number;
  /** The scopes that you granted the app. */
  scopes: Array<string>;
}

export interface ContractDetails {
  /** The single barrier as a price in text, or the chosen digit; absent if there is none or two. */
  barrier?: string;
  /** The higher of two barriers, as a price in text. */
  high_barrier?: string;
  /** The lower of two barriers, as a price in text. */
  low_barrier?: string;
  /** The app's markup in the price, as text with all decimals; absent without a markup. */
  app_markup_amount?: string;
  /** The distance of both barriers from the spot, as text; only for accumulators. */
  barrier_spot_distance?: string;
  /** The time of the latest tick, in epoch seconds; only for accumulators. */
  last_tick_epoch?: number;
  /** The largest payout, in units of the currency; only for accumulators. */
  maximum_payout?: number;
  /** The largest stake, as text with all decimals; only for accumulators. */
  maximum_stake?: string;
  /** The number of ticks after which the contract ends; only for accumulators. */
  maximum_ticks?: number;
  /** The smallest stake, as text with all decimals; only for accumulators. */
  minimum_stake?: string;
  /** The distance of both barriers as a share of the spot; only for accumulators. */
  tick_size_barrier?: number;
  /** The same distance in percent, as text such as `0.06186%`; only for accumulators. */
  tick_size_barrier_percentage?: string;
  /**
   * The lengths of up to 100 recent runs of ticks within the barriers, current last; only for
   * accumulators.
   */
  ticks_stayed_in?: Array<number>;
}

export interface ContractsForBody {
  /** The contracts: a row for each type, kind of duration, barrier category and start type. */
  available: Array<AvailableContract>;
  /** The last second of the present trading session, or of the next one, in epoch seconds. */
  close: number;
  /** The licence of the prices: always `realtime`. */
  feed_license: string;
  /** The number of rows in `available`. */
  hit_count: number;
  /** The start of the present trading session, or of the next one, in epoch seconds. */
  open: number;
  /** The latest price of the symbol. */
  spot: number;
}

export interface ContractsForCompanyBody {
  /** The contract types, each once for each barrier category. */
  available: Array<OfferedType>;
  /** The number of rows in `available`. */
  hit_count: number;
}

export interface CopiedParameters {
  /** The type of the contract; `contracts_for` lists the types that are offered. */
  contract_type: "ACCU" | "ASIAND" | "ASIANU" | "CALL" | "CALLE" | "CALLSPREAD" | "DIGITDIFF" | "DIGITEVEN" | "DIGITMATCH" | "DIGITODD" | "DIGITOVER" | "DIGITUNDER" | "EXPIRYMISS" | "EXPIRYMISSE" | "EXPIRYRANGE" | "EXPIRYRANGEE" | "LBFLOATCALL" | "LBFLOATPUT" | "LBHIGHLOW" | "MULTDOWN" | "MULTUP" | "NOTOUCH" | "ONETOUCH" | "PUT" | "PUTE" | "PUTSPREAD" | "RANGE" | "RESETCALL" | "RESETPUT" | "RUNHIGH" | "RUNLOW" | "SNOWDOWN" | "SNOWUP" | "TICKHIGH" | "TICKLOW" | "TURBOSLONG" | "TURBOSSHORT" | "UPORDOWN" | "VANILLALONGCALL" | "VANILLALONGPUT";
  /** The currency of the account that buys. */
  currency: string;
  /** The symbol of the contract. */
  symbol: string;
  /**
   * The stake or the payout, as `basis` says, in units of the currency; for a lookback, the
   * multiplier.
   */
  amount?: number;
  /**
   * The barrier, or the higher of two: `+0.10` from the entry spot, or `2400.10` as a price. For a
   * contract on digits, the digit.
   */
  barrier?: string;
  /** The meaning of `amount`; a lookback takes only `multiplier`. */
  basis?: "payout" | "stake" | "multiplier";
  /** The start, in epoch seconds, up to 24 hours ahead; the contract starts now by default. */
  date_start?: number;
  /** The duration, in units of `duration_unit`. */
  duration?: number;
  /** The factor of a multiplier, or the amount that a lookback pays for each 1.00 of price. */
  multiplier?: number;
  /** The tick of five that must be the highest or the lowest: 1 to 5. */
  selected_tick?: number;
  /** Accepted, but has no effect. */
  app_markup_percentage?: number;
  /** The lower of two barriers. */
  barrier2?: string;
  /** The end, in epoch seconds, instead of `duration`. */
  date_expiry?: number;
  /**
   * The unit of `duration`: `d` days, `h` hours, `m` minutes, `s` seconds (the default) or `t`
   * ticks.
   */
  duration_unit?: "d" | "m" | "s" | "h" | "t";
}

export interface CopierShown {
  /** The loginid of an account that copies this one. */
  loginid: string;
}

export interface CopyReportBody {
  /** The copied and the refused trades, latest first. */
  copies: Array<CopyShown>;
  /** The id of the stream; absent without a subscription. */
  id?: string;
  /** The loginid of the copying account. */
  loginid: string;
}

export interface CopyShown {
  /** The action of the trader: `buy`, `sell` or `cancel`. */
  action: string;
  /** The error code if the copy was refused; absent if it was made. */
  code?: string;
  /** The id of the copy; null if its purchase was refused. */
  contract_id: number | null;
  /** The error message if the copy was refused; absent if it was made. */
  message?: string;
  /** The time of the copy or refusal, in epoch seconds. */
  time: number;
  /** The loginid of the trader's account. */
  trader: string;
  /** The id of the trader's contract. */
  trader_contract_id: number;
}

export interface CopytradingListBody {
  /** The accounts that copy this one, in the order of their start. */
  copiers: Array<CopierShown>;
  /** The traders whom this account copies, in the order of the start. */
  traders: Array<TraderShown>;
}

export interface CopytradingStatisticsBody {
  /**
   * The time when the first closed contract was bought, in epoch seconds; else of the account's
   * opening.
   */
  active_since: number;
  /** The average time that a contract was open, in seconds. */
  avg_duration: number;
  /** The average result of a losing contract in percent of its price, 0 or below. */
  avg_loss: number;
  /** The average profit of a winning contract in percent of its price; 0 if there is none. */
  avg_profit: number;
  /** The number of accounts that copy the trader. */
  copiers: number;
  /** The share of profitable contracts closed in the last 365 days, in percent. */
  last_12months_profitable_trades: number;
  /** The share of profitable contracts by month of closing (`yyyy-mm`, UTC), in percent. */
  monthly_profitable_trades: Record<string, number>;
  /**
   * The probability (0 to 1) that chance alone earns less than the settled contracts; 0.5 without
   * any.
   */
  performance_probability: number;
  /** The number of all closed contracts. */
  total_trades: number;
  /** The share of contracts in each market, in percent. */
  trades_breakdown: Record<string, number>;
  /** The share of profitable contracts, in percent. */
  trades_profitable: number;
  /** The share of profitable contracts by year of closing (`yyyy`, UTC), in percent. */
  yearly_profitable_trades: Record<string, number>;
}

export interface CurrencyBounds {
  /** The largest amount of one payment, in units of the currency. */
  max: number;
  /** The smallest amount of one payment, in units of the currency. */
  min: number;
}

export interface CurrencyConfig {
  /** The number of decimals of the currency. */
  fractional_digits: number;
  /** 1 if deposits are suspended, else 0; always 0 here. */
  is_deposit_suspended: number;
  /** 1 if the currency is suspended, else 0; always 0 here. */
  is_suspended: number;
  /** 1 if withdrawals are suspended, else 0; always 0 here. */
  is_withdrawal_suspended: number;
  /** The full name of the currency. */
  name: string;
  /** The stake that a client may suggest at first, in units of the currency. */
  stake_default: number;
  /** The rules for transfers between your accounts. */
  transfer_between_accounts: TransferRules;
  /** The type of the currency: `fiat` or `crypto`. */
  type: string;
}

export interface DetailsBody {
  /** The agent's number in an affiliate programme; empty if not given, left out for non-agents. */
  affiliate_id?: string | null;
  /** 1 if `paymentagent_create` would accept this account, else 0. */
  can_apply: number;
  /** Always 1; left out if the account is not an agent. */
  code_of_conduct_approval?: number;
  /** The agent's commission on deposits, in percent; left out if the account is not an agent. */
  commission_deposit?: number;
  /** The agent's commission on withdrawals, in percent; left out if the account is not an agent. */
  commission_withdrawal?: number;
  /** The currency of the agent's account; left out if the account is not an agent. */
  currency_code?: string;
  /** The error codes that explain `can_apply` 0, else left out; spelt like this on the wire. */
  eligibilty_validation?: Array<string>;
  /** The agent's public e-mail address; left out if the account is not an agent. */
  email?: string;
  /** The agent's description of the service; left out if the account is not an agent. */
  information?: string;
  /** The largest payment through the agent, in units of the currency; left out for non-agents. */
  max_withdrawal?: number;
  /** The smallest payment through the agent, in units of the currency; left out for non-agents. */
  min_withdrawal?: number;
  /** The public name of the agent; left out if the account is not an agent. */
  payment_agent_name?: string;
  /** The agent's telephone numbers; left out if the account is not an agent. */
  phone_numbers?: Array<PhoneNumberShown>;
  /** The status as an agent: `authorized`, or null if the account is not an agent. */
  status: "authorized" | null;
  /** The agent's payment methods; left out if the account is not an agent. */
  supported_payment_methods?: Array<MethodShown>;
  /** The two-letter code of the agent's country; left out if the account is not an agent. */
  target_country?: string;
  /** The agent's web pages; left out if the account is not an agent. */
  urls?: Array<UrlShown>;
}

export interface DisplayValue {
  /** The value in percent, as text such as `2.5%`. */
  display_value: string;
}

export interface DurationBounds {
  /** The unit for display: `Ticks`, `Seconds` or `Days`. */
  display_name: string;
  /** The longest duration, in this unit. */
  max: number;
  /** The shortest duration, in this unit. */
  min: number;
  /** The unit: `t` for ticks, `s` for seconds, `d` for days. */
  name: string;
}

export interface EconomicEvent {
  /** The released value; absent before `release_date`. */
  actual?: DisplayValue;
  /** The currency that the figure belongs to. */
  currency: string;
  /** The name of the figure. */
  event_name: string;
  /** The expected value. */
  forecast: DisplayValue;
  /** The importance of the figure, from 1 (low) to 5 (high). */
  impact: number;
  /** The value of the month before; absent until it is released. */
  previous?: DisplayValue;
  /** The time of the release, in epoch seconds. */
  release_date: number;
}

export interface EconomicEvents {
  /** The releases of the span, in order of time. */
  events: Array<EconomicEvent>;
}

export interface FailedForOne {
  /** The error code. */
  code: string;
  /** The error message. */
  message_to_client: string;
  /** The token of the account, masked except for its last four characters. */
  token: string;
}

export interface FaultInForce {
  /** The app whose connections have it; null for a fault of a token. */
  app_id: number | null;
  /** The kind of the fault. */
  kind: string;
  /** The name of the token or of the app. */
  name: string;
  /** Its number, for `fault_end`. */
  number: number;
  /** The options that were given. */
  options: Record<string, any>;
  /** How often it has struck since the gateway started. */
  strikes: number;
  /** The token, masked; empty for a fault of an app. */
  token: string;
}

export interface FaultKind {
  /** The name by which the fault is asked for. */
  name: string;
  /** What happens. */
  words: string;
  /** What can be chosen about it. */
  options: Array<FaultOption>;
}

export interface FaultOption {
  /** The name of the option. */
  name: string;
  /** What it means. */
  words: string;
  /** Its value if it is left out; null if there is none, or if it must be given. */
  default: any;
  /** 1 if it must be given, else 0. */
  required: number;
}

export interface FeatureFlags {
  /** 1 to use wallets, else 0; only stored. */
  wallet?: boolean;
}

export interface FinancedDay {
  /** The time of the first tick of the market day, in epoch seconds. */
  first_tick: number;
  /** The growth of the logarithm of the forward price with each tick of the day. */
  growth_per_tick: number;
  /** The seconds from one tick to the next. */
  step: number;
  /** The number of ticks of the day. */
  ticks: number;
}

export interface Financing {
  /** The name of the symbol. */
  symbol: string;
  /** The market days of the span, earliest first. */
  days: Array<FinancedDay>;
}

export interface FlowOfApp {
  /** The id of the app. */
  app_id: number;
  /** 1 if programs without a browser can ask users for consent to the app, else 0. */
  device_flow: number;
  /** The OAuth flow of the app: `tokens`, `code` or `both`. */
  flow: string;
}

export interface HeldContract {
  /** The id of the app through which the contract was bought; null without an app or for a copy. */
  app_id: number | null;
  /** The price paid, with any cancellation fee and markup, in units of the currency. */
  buy_price: number;
  /** The id of the contract. */
  contract_id: number;
  /** The contract type, such as `CALL`. */
  contract_type: string;
  /** The currency of the contract. */
  currency: string;
  /** The start of the contract, in epoch seconds. */
  date_start: number;
  /** The end of the contract, in epoch seconds: its expiry, or its last possible tick. */
  expiry_time: number;
  /** The description of the contract as a sentence. */
  longcode: string;
  /** The payout, in units of the currency; the maximum for a spread, 0 if none is fixed. */
  payout: number;
  /** The time of the purchase, in epoch seconds. */
  purchase_time: number;
  /** The terms of the contract as a compact code. */
  shortcode: string;
  /** The name of the symbol. */
  symbol: string;
  /** The id of the purchase in the statement. */
  transaction_id: number;
}

export interface History {
  /** The prices, earliest first. */
  prices: Array<number>;
  /** The times of the prices in epoch seconds, in the same order. */
  times: Array<number>;
}

export interface LimitInForce {
  /** The name of the limit. */
  name: string;
  /** The value of the limit, in its unit. */
  value: number;
  /** The unit of the value, such as `messages a minute`. */
  unit: string;
  /**
   * The unit that is counted for: `message`, `connection`, `address`, `token`, `client`, `user`,
   * `account` or `gateway`.
   */
  per: string;
}

export interface LimitOrder {
  /** The loss at which a multiplier closes, in units of the currency. */
  stop_loss?: number;
  /** The profit at which the contract closes, in units of the currency. */
  take_profit?: number;
}

export interface LimitsBody {
  /** The largest balance allowed; always null, since there is no limit. */
  account_balance: number | null;
  /** The number of contracts that may be open at once. */
  open_positions: number;
  /** The most that all open contracts may pay together, in units of the account's currency. */
  payout: number;
}

export interface LinkedAccount {
  /** The loginid of the linked account. */
  loginid: string;
  /** The platform of the linked account. */
  platform: string;
}

export interface ListedAgent {
  /** The currency of the agent's account. */
  currencies: string;
  /** The agent's commission on deposits, in percent, as a decimal string. */
  deposit_commission: string;
  /** The public e-mail address of the agent. */
  email: string;
  /** The agent's description of the service. */
  further_information: string;
  /** The largest payment through the agent, in units of the currency, as a decimal string. */
  max_withdrawal: string;
  /** The smallest payment through the agent, in units of the currency, as a decimal string. */
  min_withdrawal: string;
  /** The public name of the agent. */
  name: string;
  /** The loginid of the agent's account. */
  paymentagent_loginid: string;
  /** The telephone numbers of the agent. */
  phone_numbers: Array<PhoneNumberShown>;
  /** The names of the agent's payment methods, separated by commas. */
  summary: string;
  /** The payment methods of the agent. */
  supported_payment_methods: Array<MethodShown>;
  /** The web pages of the agent. */
  urls: Array<UrlShown>;
  /** The agent's commission on withdrawals, in percent, as a decimal string. */
  withdrawal_commission: string;
}

export interface MarketDurations {
  /** The durations in each submarket of the market. */
  data: Array<SubmarketDurations>;
  /** The market of the symbols. */
  market: Named;
  /** The first submarket of the market; `data` has all of them. */
  submarket: Named;
}

export interface MarketTimes {
  /** The name of the market for display. */
  name: string;
  /** The submarkets of the market. */
  submarkets: Array<SubmarketTimes>;
}

export interface MarkupOfApp {
  /** The id of the app. */
  app_id: number;
  /** The sum of the markups in US dollars, each at the rate of its purchase. */
  app_markup_usd: number;
  /** The sum of the markups, in units of `dev_currcode`. */
  app_markup_value: number;
  /** The currency of the markups. */
  dev_currcode: string;
  /** The number of contracts with a markup. */
  transactions_count: number;
}

export interface MarkupOfContract {
  /** The id of the app through which the contract was bought. */
  app_id: number;
  /** The markup, in units of the buyer's currency. */
  app_markup: number;
  /** The markup in US dollars, at the rate of the purchase. */
  app_markup_usd: number;
  /** The markup, in units of the owner's currency; equal to `app_markup`. */
  app_markup_value: number;
  /** The currency of the buyer's account. */
  client_currcode: string;
  /** The loginid of the buyer's account. */
  client_loginid: string;
  /** The currency of the owner's account, the same as the buyer's. */
  dev_currcode: string;
  /** The loginid of the owner's account that received the markup. */
  dev_loginid: string;
  /** The id of the purchase in the buyer's statement. */
  transaction_id: number;
  /** The time of the purchase in epoch seconds, as text. */
  transaction_time: string;
}

export interface MarkupsOfApps {
  /** The sums by app and currency, in this order. */
  breakdown: Array<MarkupOfApp>;
  /** The sum of all markups in US dollars, each at the rate of its purchase. */
  total_app_markup_usd: number;
  /** The number of all contracts with a markup. */
  total_transactions_count: number;
}

export interface MarkupsOfContracts {
  /** The markups, in the requested order. */
  transactions: Array<MarkupOfContract>;
}

export interface MethodShown {
  /** The name of the payment method. */
  payment_method: string;
}

export interface Named {
  /** The name for display. */
  display_name: string;
  /** The name in requests and replies. */
  name: string;
}

export interface NewDemoAccount {
  /** The opening balance, in units of the currency. */
  balance: number;
  /** The loginid of the new account. */
  client_id: string;
  /** The currency of the account; always `USD`. */
  currency: string;
  /** The type of the currency: `fiat` or `crypto`; always `fiat` here. */
  currency_type: string;
  /** The e-mail address of the user. */
  email: string;
  /** The text of a token for the new account, shown this once only. */
  oauth_token: string;
  /** The type of the account; always `trading`. */
  type: string;
}

export interface NewRealAccount {
  /** The loginid of the new account. */
  client_id: string;
  /** The currency of the account; left out if the request named none. */
  currency?: string;
  /** The type of the currency, `fiat` or `crypto`; left out if the request named no currency. */
  currency_type?: string;
  /** The full name of the landing company. */
  landing_company: string;
  /** The short name of the landing company; always `svg`. */
  landing_company_short: string;
  /** The same short name; always `svg`. */
  landing_company_shortcode: string;
  /** The text of a token for the new account, shown this once only. */
  oauth_token: string;
}

export interface OfferedType {
  /**
   * The kind of barrier: `american`, `asian`, `euro_atm`, `euro_non_atm`, `lookback`,
   * `non_financial` or `reset`.
   */
  barrier_category: string;
  /** The category of the contract, such as `callput` or `digits`. */
  contract_category: string;
  /** The name of the category for display. */
  contract_category_display: string;
  /** The name of the contract type for display. */
  contract_display: string;
  /** The contract type, such as `CALL`. */
  contract_type: string;
  /** The suggested stake: always 10. */
  default_stake: number;
  /** The view of the market that the contract bets on, such as `up`, `down` or `low_vol`. */
  sentiment: string;
}

export interface Ohlc {
  /** The latest price of the candle, as text with all decimals. */
  close: string;
  /** The time of the latest tick, in epoch seconds. */
  epoch: number;
  /** The length of the candle, in seconds. */
  granularity: number;
  /** The highest price of the candle so far, as text with all decimals. */
  high: string;
  /** The id of the stream. */
  id?: string;
  /** The lowest price of the candle so far, as text with all decimals. */
  low: string;
  /** The first price of the candle, as text with all decimals. */
  open: string;
  /** The start of the candle, in epoch seconds. */
  open_time: number;
  /** The number of decimals of the prices. */
  pip_size: number;
  /** The name of the symbol. */
  symbol: string;
}

export interface OpenAndClose {
  /** The opening time (UTC), as `hh:mm:ss`, or `--` on a day without trading. */
  open: Array<string>;
  /** The closing time (UTC), as `hh:mm:ss`, or `--` on a day without trading. */
  close: Array<string>;
  /** The settlement time (UTC), which is the closing time, or `--` on a day without trading. */
  settlement: string;
}

export interface OpenContract {
  /** The digits of the account's loginid, as a number. */
  account_id?: number;
  /** The app's markup in the price, as text with all decimals; absent without a markup. */
  app_markup_amount?: string;
  /** The ticks that decided the contract; null while it is open. */
  audit_details?: AuditDetails | null;
  /**
   * The barrier or digit as text; for an Asian contract the final average, for a lookback the
   * extreme so far.
   */
  barrier?: string | null;
  /** The number of barriers; 2 for an accumulator. */
  barrier_count?: number;
  /** The distance of both barriers from the spot, as text; only for accumulators. */
  barrier_spot_distance?: string;
  /**
   * The price for selling the contract now, in units of the currency; once closed, the amount paid.
   */
  bid_price?: number;
  /** The price paid, with any cancellation fee and markup, in units of the currency. */
  buy_price?: number;
  /** The right to cancel; only for multipliers bought with it. */
  cancellation?: CancellationShown;
  /** The commission plus the financing so far, in units of the currency; only for multipliers. */
  commission?: number | null;
  /** The id of the contract. */
  contract_id?: number;
  /** The contract type, such as `CALL`. */
  contract_type?: string;
  /** The currency of the contract. */
  currency?: string;
  /** The latest price or, once the contract is closed, the price at its exit tick. */
  current_spot?: number;
  /** The value of `current_spot`, as text with all decimals. */
  current_spot_display_value?: string;
  /** The higher barrier for the next tick, as a price in text; only for accumulators. */
  current_spot_high_barrier?: string;
  /** The lower barrier for the next tick, as a price in text; only for accumulators. */
  current_spot_low_barrier?: string;
  /** The time of `current_spot`, in epoch seconds. */
  current_spot_time?: number;
  /** The end of the contract, in epoch seconds: its expiry, or its last possible tick. */
  date_expiry?: number;
  /** The same as `date_expiry`. */
  date_settlement?: number;
  /** The start of the contract, in epoch seconds. */
  date_start?: number;
  /** The name of the symbol for display. */
  display_name?: string;
  /** The amount paid for each point, as text; only for vanillas and turbos. */
  display_number_of_contracts?: string;
  /** The value of `bid_price`, as text with all decimals. */
  display_value?: string;
  /** The price at the entry tick; absent before it. */
  entry_spot?: number;
  /** The price at the entry tick, as text with all decimals; absent before it. */
  entry_spot_display_value?: string;
  /** The same as `entry_spot`. */
  entry_tick?: number;
  /** The same as `entry_spot_display_value`. */
  entry_tick_display_value?: string;
  /** The time of the entry tick, in epoch seconds; absent before it. */
  entry_tick_time?: number;
  /** The price at the exit tick; absent while the contract is open. */
  exit_tick?: number;
  /** The price at the exit tick, as text with all decimals; absent while the contract is open. */
  exit_tick_display_value?: string;
  /** The time of the exit tick, in epoch seconds; absent while the contract is open. */
  exit_tick_time?: number;
  /** The same as `date_expiry`. */
  expiry_time?: number;
  /** The growth with each tick, such as 0.03; only for accumulators. */
  growth_rate?: number;
  /**
   * The higher barrier as text; for an accumulator that of the current tick, for a lookback the
   * highest price.
   */
  high_barrier?: string;
  /** The id of the stream; absent without a subscription. */
  id?: string;
  /** 1 if the contract has ended or is closed, else 0. */
  is_expired?: number;
  /** 1 if the start was later than the purchase, else 0. */
  is_forward_starting?: number;
  /** 1 if the contract ends at most 24 hours after its start, else 0. */
  is_intraday?: number;
  /** 1 if ticks between the entry and the exit can decide the contract, else 0. */
  is_path_dependent?: number;
  /** 1 if the contract has ended or is closed, else 0; the same as `is_expired`. */
  is_settleable?: number;
  /** 1 if the contract is closed (settled, sold or cancelled), else 0. */
  is_sold?: number;
  /** 1 if the contract can be cancelled now, else 0. */
  is_valid_to_cancel?: number;
  /** 1 if the contract can be sold now, else 0. */
  is_valid_to_sell?: number;
  /** The orders that can be changed; only for open multipliers and accumulators. */
  is_valid_to_update?: ValidToUpdate;
  /** The orders of the contract; only for multipliers and accumulators. */
  limit_order?: OrdersShown;
  /** The description of the contract as a sentence. */
  longcode?: string;
  /**
   * The lower barrier as text; for an accumulator that of the current tick, for a lookback the
   * lowest price.
   */
  low_barrier?: string;
  /** The factor of a multiplier, or what a lookback pays for each 1.00 of price; else absent. */
  multiplier?: number;
  /** The payout, in units of the currency; the maximum for a spread, 0 if none is fixed. */
  payout?: number;
  /** The value of `bid_price` less `buy_price`, in units of the currency; negative for a loss. */
  profit?: number;
  /** The profit in percent of `buy_price`, with two decimals. */
  profit_percentage?: number;
  /** The time of the purchase, in epoch seconds. */
  purchase_time?: number;
  /**
   * The barrier after the reset, as a price in text; only for reset contracts, from the reset on.
   */
  reset_barrier?: string;
  /** The time of the reset tick, in epoch seconds; only for reset contracts, from the reset on. */
  reset_time?: number;
  /** The price of the selected tick; only for high and low ticks, once it is known. */
  selected_spot?: number;
  /** The number of the selected tick, from 1 to 5; only for high and low ticks. */
  selected_tick?: number;
  /** The amount paid, in units of the currency; absent while the contract is open. */
  sell_price?: number;
  /** The same as `exit_tick`. */
  sell_spot?: number;
  /** The same as `exit_tick_display_value`. */
  sell_spot_display_value?: string;
  /** The same as `exit_tick_time`. */
  sell_spot_time?: number;
  /** The time at which the contract was closed, in epoch seconds; absent while it is open. */
  sell_time?: number;
  /** The terms of the contract as a compact code. */
  shortcode?: string;
  /** The status of the contract: `open`, `won`, `lost`, `sold` or `cancelled`. */
  status?: string;
  /** The duration in ticks, or the maximum for an accumulator; absent for other durations. */
  tick_count?: number;
  /** The number of ticks after the entry tick; only for accumulators. */
  tick_passed?: number;
  /**
   * The ticks since the entry, at most the latest 11; only for open contracts that last for ticks.
   */
  tick_stream?: Array<TickShown>;
  /** The ids of the purchase and the payment in the statement. */
  transaction_ids?: TransactionIds;
  /** The name of the symbol. */
  underlying?: string;
  /** The reason why the open contract cannot be sold now; absent if it can. */
  validation_error?: string;
  /** The error code of that reason. */
  validation_error_code?: string;
  /** The bounds of stake and orders; only for open multipliers and accumulators. */
  validation_params?: ValidationParams;
}

export interface OrderRecord {
  /** The name of the order for display: `Stop loss` or `Take profit`. */
  display_name: string;
  /**
   * The profit or loss of the order, as positive text with all decimals; `0.00` if it was removed.
   */
  order_amount: string;
  /** The time of the change, in epoch seconds. */
  order_date: number;
  /** The type of the order: `stop_loss` or `take_profit`. */
  order_type: string;
  /**
   * The price at which the order closes the contract, as text; null for an accumulator or a
   * removal.
   */
  value: string | null;
}

export interface OrderShown {
  /** The name of the order for display: `Stop loss`, `Stop out` or `Take profit`. */
  display_name: string;
  /** The amount as text with all decimals, negative for a loss; absent in `contract_update`. */
  display_order_amount?: string | null;
  /**
   * The profit or (negative) loss at which the contract closes, in units of the currency; null
   * without an order.
   */
  order_amount: number | null;
  /** The time of the order, in epoch seconds; absent if no order is placed. */
  order_date?: number;
  /**
   * The price at which the order closes the contract, as text; null for an accumulator or no order.
   */
  value: string | null;
}

export interface OrdersShown {
  /** The stop-loss order; absent if none is placed. */
  stop_loss?: OrderShown;
  /**
   * The stop-out, which closes a multiplier when its whole stake is lost; absent for accumulators.
   */
  stop_out?: OrderShown;
  /** The take-profit order; absent if none is placed. */
  take_profit?: OrderShown;
}

export interface Party {
  /** The loginid of the account. */
  loginid: string;
}

export interface PaymentAgentConfig {
  /** The deposit needed to become a payment agent, by country; only `default`, which is 0. */
  initial_deposit_per_country: Record<string, number>;
}

export interface PaymentMethod {
  /** The bounds of one deposit by currency, where there are any and they are whole numbers. */
  deposit_limits: Record<string, CurrencyBounds>;
  /** The time that a deposit takes; always `instant`. */
  deposit_time: string;
  /** The description of the method. */
  description: string;
  /** The display name of the method. */
  display_name: string;
  /** The id of the method: `paper` or `payment_agent`. */
  id: string;
  /** The processor of the payments; always `Scopegate`. */
  payment_processor: string;
  /** The amounts to choose from; always empty. */
  predefined_amounts: Array<number>;
  /** The URL to sign up for the method; always empty. */
  signup_link: string;
  /** The currencies that the method accepts. */
  supported_currencies: Array<string>;
  /** The type of the method; the same as its id. */
  type: string;
  /** The display name of the type; the same as that of the method. */
  type_display_name: string;
  /** The bounds of one withdrawal by currency; the same as those of deposits. */
  withdraw_limits: Record<string, CurrencyBounds>;
  /** The time that a withdrawal takes; always `instant`. */
  withdrawal_time: string;
}

export interface PaymentagentListBody {
  /** The countries with an agent, each as its two-letter code and name; the name may be null. */
  available_countries: Array<Array<string | null>>;
  /** The payment agents of the country, the first approved first; at most 500. */
  list: Array<ListedAgent>;
}

export interface PhoneNumber {
  /** Digits and hyphens, with an optional plus before the country code. */
  phone_number: string;
}

export interface PhoneNumberShown {
  /** The telephone number. */
  phone_number: string;
}

export interface PortfolioBody {
  /** The open contracts, in the order of purchase. */
  contracts: Array<HeldContract>;
}

export interface ProfitTableBody {
  /** The number of contracts in this reply. */
  count: number;
  /** The closed contracts, in the requested order. */
  transactions: Array<ClosedContract>;
}

export interface ProposalBody {
  /** The price of the contract, with any cancellation fee and markup, in units of the currency. */
  ask_price: number;
  /** Suggested strikes or barriers, the highest first; only for vanillas and turbos. */
  barrier_choices?: Array<string>;
  /** The barrier as a signed distance from the spot, as text; only for turbos. */
  barrier_spot_distance?: string;
  /** The right to cancel; only for multipliers that request it. */
  cancellation?: CancellationShown;
  /** The commission, in units of the currency; only for multipliers. */
  commission?: number | null;
  /** Further details, such as barriers; absent if there are none. */
  contract_details?: ContractDetails;
  /** The end of the contract, in epoch seconds: its expiry, or its last possible tick. */
  date_expiry: number;
  /** The start of the contract, in epoch seconds. */
  date_start: number;
  /** The amount paid for each point, as text; only for vanillas and turbos. */
  display_number_of_contracts?: string;
  /** The price of the contract, as text with all decimals. */
  display_value: string;
  /** The id of the proposal, which `buy` takes for a minute, or as long as its stream is open. */
  id: string;
  /** The orders of the contract; for accumulators, absent without a take-profit order. */
  limit_order?: OrdersShown;
  /** The description of the contract as a sentence. */
  longcode: string;
  /** The largest stake at this barrier, in units of the currency; only for vanillas and turbos. */
  max_stake?: number;
  /** The smallest stake, in units of the currency; only for vanillas and turbos. */
  min_stake?: number;
  /** The factor of a multiplier, or what a lookback pays for each 1.00 of price; else absent. */
  multiplier?: number;
  /** The payout, in units of the currency; the maximum for a spread, 0 if none is fixed. */
  payout: number;
  /** The payout per point at each of `barrier_choices`, as text; only for turbos. */
  payout_choices?: Array<string>;
  /** The latest price of the symbol. */
  spot: number;
  /** The time of the latest price, in epoch seconds. */
  spot_time: number;
  /** The bounds of the stake, the payout and the orders. */
  validation_params?: ValidationParams;
}

export interface Range {
  /** The largest amount, as text with all decimals. */
  max: string;
  /** The smallest amount, as text with all decimals; absent for payouts. */
  min?: string;
}

export interface RatesBody {
  /** The currency of which one unit is valued. */
  base_currency: string;
  /** The time of the rates, in epoch seconds. */
  date: number;
  /**
   * The value of one unit of `base_currency` by target currency: a number, or an object with
   * `include_spread`.
   */
  rates: Record<string, number | Spread>;
}

export interface RealityCheckBody {
  /** The total price of the contracts bought since `start_time`, in units of the currency. */
  buy_amount: number;
  /** The number of contracts that the account bought since `start_time`. */
  buy_count: number;
  /** The currency of the account. */
  currency: string;
  /** The loginid of the account. */
  loginid: string;
  /** The number of contracts that are open now. */
  open_contract_count: number;
  /**
   * The profit if all open contracts were sold now, in units of the currency; negative for a loss.
   */
  potential_profit: number;
  /**
   * The total amount paid for the contracts closed since `start_time`, in units of the currency.
   */
  sell_amount: number;
  /** The number of contracts of the account that were closed since `start_time`. */
  sell_count: number;
  /** The time of the sign-in on this connection, in epoch seconds. */
  start_time: number;
}

export interface Requirements {
  /** The fields required to open an account; always empty. */
  signup: Array<string>;
  /** The fields required for a withdrawal; always empty. */
  withdrawal: Array<string>;
}

export interface Residence {
  /**
   * The telephone prefix without a plus sign, or null without one; left out if `query` omits it.
   */
  phone_idd?: string | null;
  /** The name of the country; left out if `query` omits it. */
  text?: string;
  /** The two-letter code of the country; left out if `query` omits it. */
  value?: string;
}

export interface RestrictedToken {
  /** The time at which the token expires, in epoch seconds; null if it does not. */
  expires_at: number | null;
  /**
   * All restrictions that the token is under: its own first, then those of its parents or of its
   * app's authorization. Empty if there are none.
   */
  in_force: Array<RestrictionSet>;
  /** The name of the token. */
  name: string;
  /** The token with all but its last four characters masked; a new token is whole. */
  token: string;
}

export interface RestrictionKind {
  /** The name of the field. */
  name: string;
  /** Its name in words, as forms show it. */
  label: string;
  /** What it restricts, in words. */
  words: string;
  /**
   * The value: an amount of money in the currency of the account, an integer, a list, or a text.
   */
  input: "amount" | "integer" | "list" | "text";
  /** A value, or some values of a list with commas between them; empty if there is none. */
  example: string;
}

export interface RestrictionSet {
  /** The token, or the app, that these restrictions were set for; empty if it has been deleted. */
  name: string;
  /**
   * `token` if they are the token's own, `parent` if they are those of a token that it was created
   * with, and `app` if they are those of your authorization of an app.
   */
  set_for: "token" | "parent" | "app";
  /** The restrictions, by name; only those that are set. */
  restrictions: Record<string, any>;
  /** What of the caps is used at present, by name, in the same units. */
  use: Record<string, any>;
}

export interface Scores {
  /** The number of answers about trading experience to questions that begin with `cfd_`. */
  cfd_score: number;
  /** The number of answers about financial means. */
  financial_information_score: number;
  /** The number of all answers. */
  total_score: number;
  /** The number of all answers about trading experience. */
  trading_score: number;
}

export interface SecretOfApp {
  /** The id of the app. */
  app_id: number;
  /** When its client secret was created (UTC), `yyyy-mm-dd hh:mm:ss`; null if it has none. */
  created: string | null;
}

export interface SelfExclusionBody {
  /** The day (UTC), `yyyy-mm-dd`, on which the exclusion ends at 00:00; absent without one. */
  exclude_until?: string;
  /** The limit on payments into the account in 30 days, in units of the currency. */
  max_30day_deposit?: number;
  /** The limit on losses in 30 days, in units of the currency. */
  max_30day_losses?: number;
  /** The limit on the total price of contracts in 30 days, in units of the currency. */
  max_30day_turnover?: number;
  /** The limit on payments into the account in seven days, in units of the currency. */
  max_7day_deposit?: number;
  /** The limit on losses in seven days, in units of the currency. */
  max_7day_losses?: number;
  /** The limit on the total price of contracts in seven days, in units of the currency. */
  max_7day_turnover?: number;
  /** The balance above which nothing is bought or paid in, in units of the currency. */
  max_balance?: number;
  /** The limit on payments into the account in a day (UTC), in units of the currency. */
  max_deposit?: number;
  /** The limit on losses in a day (UTC), in units of the currency. */
  max_losses?: number;
  /** The limit on contracts that are open at once. */
  max_open_bets?: number;
  /** The limit on the total price of contracts in a day (UTC), in units of the currency. */
  max_turnover?: number;
  /** The minutes after sign-in from which nothing is bought on the connection. */
  session_duration_limit?: number;
  /** The end of the timeout, in epoch seconds; absent without one. */
  timeout_until?: number;
}

export interface SellBody {
  /** The balance of the account after the sale, in units of the currency. */
  balance_after: number;
  /** The id of the contract. */
  contract_id: number;
  /** The id of the contract's purchase in the statement. */
  reference_id: number;
  /** The amount paid for the contract, in units of the currency. */
  sold_for: number;
  /** The id of the sale in the statement. */
  transaction_id: number;
}

export interface SellExpiredBody {
  /** The number of contracts that had ended. */
  count: number;
}

export interface SellForSeveralBody {
  /** The sale or the error of each token, in the order of `tokens`. */
  result: Array<SoldForOne | FailedForOne>;
}

export interface SettingsBody {
  /** The purpose of your accounts; left out if not set. */
  account_opening_reason?: string;
  /** The city of your address; left out if not set. */
  address_city?: string;
  /** The first line of your address; left out if not set. */
  address_line_1?: string;
  /** The second line of your address; left out if not set. */
  address_line_2?: string;
  /** The postal code of your address; left out if not set. */
  address_postcode?: string;
  /** The state or province of your address; left out if not set. */
  address_state?: string;
  /** 1 if others may copy your trades with a token of yours, else 0. */
  allow_copiers: number;
  /** The country code of your telephone number; left out if not set. */
  calling_country_code?: string;
  /** The two-letter code of your country of citizenship; left out if not set. */
  citizen?: string;
  /** The version of the terms that you accepted; null if you accepted none. */
  client_tnc_status: string | null;
  /** The two-letter code of your residence, or of the country that your user was created with. */
  country: string;
  /** The same two-letter code as `country`. */
  country_code: string;
  /** The midnight (UTC) at which your day of birth began, in epoch seconds; left out if not set. */
  date_of_birth?: number;
  /** Your e-mail address. */
  email: string;
  /** 1 if you agreed to receive news by e-mail, else 0. */
  email_consent: number;
  /** Your employment status; left out if not set. */
  employment_status?: string;
  /** The features of web apps by name, each 1 for on or 0 for off. */
  feature_flag: Record<string, number>;
  /** Your first name; left out if not set. */
  first_name?: string;
  /** 1 if a secret answer is set, else 0. */
  has_secret_answer: number;
  /** The fields that cannot be changed; always empty. */
  immutable_fields: Array<string>;
  /** 1 if this account is a payment agent, else 0. */
  is_authenticated_payment_agent: number;
  /** Your last name; left out if not set. */
  last_name?: string;
  /** The number of your identity card; left out if not set. */
  national_id_number?: string;
  /** The reason why you have no tax number; left out if not set. */
  no_tin_justification?: string;
  /** 1 if you declared that you hold no public office, else 0. */
  non_pep_declaration: number;
  /** Your telephone number; left out if not set. */
  phone?: string;
  /** The two-letter code of your country of birth; left out if not set. */
  place_of_birth?: string;
  /** Your preferred language; `EN` if not set. */
  preferred_language: string;
  /** 1 if you asked for the status of a professional, else 0. */
  request_professional_status: number;
  /** The two-letter code of the country that you live in; left out if not set. */
  residence?: string;
  /** Your title: `Miss`, `Mr`, `Mrs` or `Ms`; left out if not set. */
  salutation?: string;
  /** Your tax number; left out if not set. */
  tax_identification_number?: string;
  /**
   * The two-letter codes of the countries that tax you, separated by commas; left out if not set.
   */
  tax_residence?: string;
  /** The reason for your tax residence; left out if not set. */
  tax_residence_justification?: string;
  /** 1 if you skipped the tax number, else 0; left out if not set. */
  tin_skipped?: number;
  /** 1 if the trading hub is on, else 0. */
  trading_hub: number;
  /** A hash of the user; always empty. */
  user_hash: string;
}

export interface SignInRecord {
  /** The event; always `login`. */
  action: string;
  /** The name of the browser or program, from its user agent; empty if unknown. */
  browser: string;
  /** The country of the IP address; always empty. */
  country: string;
  /** The time of the event (UTC), `yyyy-mm-ddThh:mm:ssZ`. */
  datetime: string;
  /** The type of device: `mobile` or `desktop`. */
  device: string;
  /** The IP address, user agent and language as one text. */
  environment: string;
  /** The IP address. */
  ip: string;
  /** The language that the client named when it connected, such as `EN`. */
  language: string;
  /** The operating system, from the user agent; empty if unknown. */
  os: string;
  /** 1 if the sign-in succeeded, else 0. */
  status: number;
  /** The time of the event, in epoch seconds. */
  time: number;
  /** The version of the browser or program; empty if unknown. */
  version: string;
}

export interface SoldForOne {
  /** The balance of the account after the sale, in units of the currency. */
  balance_after: number;
  /** The id of the contract. */
  contract_id: number;
  /** The id of the contract's purchase in the statement. */
  reference_id: number;
  /** The amount paid for the contract, in units of the currency. */
  sell_price: number;
  /** The time of the sale (UTC), as `yyyy-mm-dd hh:mm:ss`. */
  sell_time: string;
  /** The id of the sale in the statement. */
  transaction_id: number;
}

export interface Spread {
  /** The units of the target currency paid to buy one unit of the base currency. */
  ask_rate: number;
  /** The units of the target currency received for selling one unit of the base currency. */
  bid_rate: number;
  /** The units of the target currency that one unit of the base currency is worth. */
  spot_rate: number;
}

export interface State {
  /** The name of the state or province. */
  text: string;
  /** The code of the state or province (ISO 3166-2, without the country). */
  value: string;
}

export interface StatementBody {
  /** The number of entries in this reply. */
  count: number;
  /** The entries of the ledger, newest first. */
  transactions: Array<StatementEntry>;
}

export interface StatementEntry {
  /**
   * The account that paid; left out unless the entry is a payment between accounts, and for an
   * account that the app may not use.
   */
  from?: Party;
  /** The account that received the money; left out like `from`. */
  to?: Party;
  /**
   * The kind of entry: `adjustment`, `buy`, `deposit`, `sell`, `transfer`, `virtual_credit` or
   * `withdrawal`.
   */
  action_type: string;
  /** The change of the balance in units of the currency; negative if money left the account. */
  amount: number;
  /** The app through which the entry was made; null if there was none. */
  app_id: number | null;
  /** The balance after the entry, in units of the currency. */
  balance_after: number;
  /** The contract that was bought or sold; null for other entries. */
  contract_id: number | null;
  /** The entry in words; present if `description` is 1. */
  longcode?: string;
  /**
   * The payout of the contract in units of the currency, 0 if not fixed; null without a contract.
   */
  payout: number | null;
  /** The time at which the contract was bought, in epoch seconds; present in `sell` entries. */
  purchase_time?: number;
  /** The id of the `buy` entry of the contract in a `sell` entry; null for other entries. */
  reference_id: number | null;
  /** The shortcode of the contract, or null without one; present if `description` is 1. */
  shortcode?: string | null;
  /** The id of the entry. */
  transaction_id: number;
  /** The time of the entry, in epoch seconds. */
  transaction_time: number;
}

export interface StreamLimit {
  /** The streams that are counted, in words. */
  applies_to: string;
  /** The number of streams that may be open at once. */
  max: number;
}

export interface SubmarketDurations {
  /** The market of the symbols. */
  market: Named;
  /** The submarket of the symbols. */
  submarket: Named;
  /** The symbols of the submarket. */
  symbol: Array<Named>;
  /** The durations of each contract type that has a duration. */
  trade_durations: Array<TradeDurations>;
}

export interface SubmarketTimes {
  /** The name of the submarket for display. */
  name: string;
  /** The symbols of the submarket. */
  symbols: Array<SymbolTimes>;
}

export interface SupportedMethod {
  /** The name of the payment method. */
  payment_method: string;
}

export interface SymbolTimes {
  /**
   * The weekdays with an early close, each with `dates` (the weekday) and `descrip` (the change).
   */
  events: Array<Record<string, string>>;
  /** The name of the symbol for display. */
  name: string;
  /** The name of the symbol in requests and replies. */
  symbol: string;
  /** The trading hours on the requested day. */
  times: OpenAndClose;
  /** The weekdays on which the market opens, as `Mon`, Sunday first. */
  trading_days: Array<string>;
}

export interface Tick {
  /** The ask price: one pip above the quote. */
  ask: number;
  /** The bid price: one pip below the quote. */
  bid: number;
  /** The time of the tick, in epoch seconds. */
  epoch: number;
  /** The id of the stream; absent without a subscription. */
  id?: string;
  /** The number of decimals of the price. */
  pip_size: number;
  /** The price of the symbol. */
  quote: number;
  /** The name of the symbol. */
  symbol: string;
}

export interface TickShown {
  /** The time of the tick, in epoch seconds. */
  epoch: number;
  /** Always `highlight_tick`; only on the entry and exit ticks of `audit_details`. */
  flag?: string | null;
  /** The name `Entry Spot` or `Exit Spot`; only on those ticks of `audit_details`. */
  name?: string | null;
  /** The price of the tick. */
  tick: number;
  /** The price, as text with all decimals. */
  tick_display_value: string;
}

export interface TokenSummary {
  /** The name of the token. */
  display_name: string;
  /** The time of the last use (UTC), `yyyy-mm-dd hh:mm:ss`; empty if it was never used. */
  last_used: string;
  /** The scopes of the token. */
  scopes: Array<string>;
  /** The token with all but its last four characters masked; a new token is whole. */
  token: string;
  /** The only IP address that the token works from; empty if it works from any. */
  valid_for_ip: string;
}

export interface Totals {
  /** The total of your real-style accounts in US dollars; left out if there are none. */
  deriv?: Amount;
  /** The total of your demo accounts in US dollars; left out if there are none. */
  deriv_demo?: Amount;
}

export interface TradeDurations {
  /** The shortest and the longest duration in each unit that is offered. */
  durations: Array<DurationBounds>;
  /** The contract type. */
  trade_type: Named;
}

export interface TraderShown {
  /** The symbols that are copied; `*` alone for all. */
  assets: Array<string>;
  /** The loginid of the trader's account. */
  loginid: string;
  /** The highest price that is copied, in units of the currency; null without a limit. */
  max_trade_stake: number | null;
  /** The lowest price that is copied, in units of the currency; null without a limit. */
  min_trade_stake: number | null;
  /** A word that `copy_stop` takes instead of the trader's token; it gives no other access. */
  token: string;
  /** The contract types that are copied; `*` alone for all. */
  trade_types: Array<string>;
}

export interface TradingTimesBody {
  /** The markets with their trading hours. */
  markets: Array<MarketTimes>;
}

export interface TransactionBody {
  /** The kind of entry, as `action_type` of `statement`; left out of the first reply. */
  action?: string;
  /** The change of the balance in units of the currency; left out of the first reply. */
  amount?: number;
  /** The balance after the entry, in units of the currency; left out of the first reply. */
  balance?: number;
  /** The barrier of the contract as requested, or its digit; left out if there is none. */
  barrier?: string | null;
  /** The contract bought or sold, null for other entries; left out of the first reply. */
  contract_id?: number | null;
  /** The currency of the account; left out of the first reply. */
  currency?: string;
  /** The time at which the contract ends, in epoch seconds; left out without a contract. */
  date_expiry?: number;
  /** The display name of the contract's symbol; left out without a contract. */
  display_name?: string;
  /** The id of the stream. */
  id?: string;
  /** The contract in words; left out without a contract. */
  longcode?: string;
  /** The time at which the contract was bought, in epoch seconds; present if `action` is `sell`. */
  purchase_time?: number;
  /** The symbol of the contract; left out without a contract. */
  symbol?: string;
  /** The id of the entry; left out of the first reply. */
  transaction_id?: number;
  /** The time of the entry, in epoch seconds; left out of the first reply. */
  transaction_time?: number;
}

export interface TransactionIds {
  /** The id of the purchase in the statement. */
  buy: number;
  /** The id of the payment in the statement; absent while the contract is open. */
  sell?: number;
}

export interface TransferAccount {
  /** The category of the account; always `trading`. */
  account_category: string;
  /** The type of the account; always `binary`. */
  account_type: string;
  /** The balance in units of the currency, as a decimal string. */
  balance: string;
  /** The currency of the account. */
  currency: string;
  /** 1 if it is a demo account, else 0. */
  demo_account: number;
  /** The short name of the landing company: `virtual` for a demo account, else `svg`. */
  landing_company_short: string;
  /** The loginid of the account. */
  loginid: string;
  /** The markets of the account; always `all`. */
  market_type: string;
  /** The transfers possible with it: `none` for the account in use, else `all`. */
  transfers: string;
}

export interface TransferLimits {
  /** The smallest amount of one transfer, in units of the currency. */
  min: number;
}

export interface TransferRules {
  /** The transfer fees by target currency; always empty, since transfers are free. */
  fees: Record<string, number>;
  /** The bounds of one transfer. */
  limits: TransferLimits;
}

export interface UpdatedOrders {
  /** The stop-loss order, with null amount and value if none is placed; absent for accumulators. */
  stop_loss?: OrderShown;
  /** The take-profit order, with null amount and value if none is placed. */
  take_profit?: OrderShown;
}

export interface Url {
  /** The URL of the page, http or https. */
  url: string;
}

export interface UrlShown {
  /** The URL of the page. */
  url: string;
}

export interface ValidToUpdate {
  /** Always 1: the stop-loss order can be changed; absent for accumulators. */
  stop_loss?: number;
  /** Always 1: the take-profit order can be changed. */
  take_profit?: number;
}

export interface ValidationParams {
  /** The largest payout, as text with all decimals; only for accumulators. */
  max_payout?: string;
  /** The number of ticks after which the contract ends; only for accumulators. */
  max_ticks?: number;
  /** The bounds of the payout; only for contracts with a fixed payout. */
  payout?: Range;
  /** The bounds of the stake. */
  stake?: Range;
  /** The bounds of a stop-loss order; only for multipliers. */
  stop_loss?: Range;
  /** The bounds of a take-profit order; only for multipliers and accumulators. */
  take_profit?: Range;
}

export interface WebsiteConfigBody {
  /** The currencies of the gateway, by code. */
  currencies_config: Record<string, CurrencyConfig>;
  /** The features that are switched on; always empty. */
  feature_flags: Array<string>;
  /** The conditions for payment agents. */
  payment_agents: PaymentAgentConfig;
  /** The languages of the gateway; only `EN`. */
  supported_languages: Array<string>;
  /** The current version of the terms. */
  terms_conditions_version: string;
}

export interface WebsiteStatusBody {
  /** The limits on calls and on `proposal` streams. */
  api_call_limits: CallLimits;
  /** The two-letter country code that the operator set for all visitors. */
  clients_country: string;
  /** The currencies of the gateway, by code. */
  currencies_config: Record<string, CurrencyConfig>;
  /** A message about the state of the site; left out at present. */
  message?: string;
  /** The state of the site; always `up`. */
  site_status: string;
  /** The languages of the gateway; only `EN`. */
  supported_languages: Array<string>;
  /** The current version of the terms. */
  terms_conditions_version: string;
}

export interface CandlesReply {
  /** The candles of the requested span, earliest first; the latest may still be growing. */
  candles: Array<Candle>;
  /** The number of decimals of the prices. */
  pip_size: number;
}

export interface HistoryReply {
  /** The ticks of the requested span. */
  history: History;
  /** The number of decimals of the prices. */
  pip_size: number;
}

export interface OhlcReply {
  /** The growing candle after a tick. */
  ohlc: Ohlc;
}

export interface PaymentagentTransferReply {
  /** 1 if the client was paid, 2 for a dry run. */
  paymentagent_transfer: number;
  /** The client's account. */
  client_to_loginid: string;
  /** The id of the agent's ledger entry; left out for a dry run. */
  transaction_id?: number;
}

export interface PaymentagentWithdrawReply {
  /** 1 if the agent was paid, 2 for a dry run. */
  paymentagent_withdraw: number;
  /** The name of the payment agent. */
  paymentagent_name: string;
  /** The id of your account's ledger entry; left out for a dry run. */
  transaction_id?: number;
}

export interface TickReply {
  /** A tick of a symbol. */
  tick: Tick;
}

export interface TransferBetweenAccountsReply {
  /** 1 if money was transferred, 0 if accounts were only listed. */
  transfer_between_accounts: number;
  /** The two accounts after the transfer, or the accounts that you may transfer between. */
  accounts: Array<TransferAccount>;
  /** The account that received the money; present after a transfer. */
  client_to_loginid?: string;
  /** The id of the paying account's ledger entry; present after a transfer. */
  transaction_id?: number;
}

export interface ActiveSymbolsFields {
  /** Accepted, but has no effect. */
  barrier_category?: Array<"american" | "asian" | "euro_atm" | "euro_non_atm" | "lookback" | "non_financial" | "reset">;
  /** Only symbols with contracts of at least one of these types. */
  contract_type?: Array<string>;
  /** Accepted, but has no effect. */
  landing_company?: "iom" | "malta" | "maltainvest" | "svg" | "virtual" | "vanuatu";
  /** Accepted, but has no effect. */
  landing_company_short?: "iom" | "malta" | "maltainvest" | "svg" | "virtual" | "vanuatu";
  /** Accepted, but has no effect. */
  product_type?: "basic";
}

export interface ApiTokenFields {
  /** The token to delete, whole or masked as in the list. */
  delete_token?: string;
  /** The name of a token to create. */
  new_token?: string;
  /** The scopes of the new token. */
  new_token_scopes?: Array<"read" | "trade" | "payments" | "admin" | "trading_information">;
  /** 1 to let the new token work only from your current IP address. */
  valid_for_current_ip_only?: boolean;
}

export interface AppFlowFields {
  /** The app to set the flow of; needs `flow` or `device_flow`. */
  app_id?: number;
  /**
   * `tokens`: tokens in the URL, for Deriv v3 web apps. `code`: only a code with PKCE. `both`: the
   * link decides.
   */
  flow?: "tokens" | "code" | "both";
  /**
   * 1: programs without a browser can ask users for consent to the app, with a code that the user
   * enters. 0: they cannot.
   */
  device_flow?: boolean;
}

export interface AppMarkupDetailsFields {
  /** Only markups of this app of the user. */
  app_id?: number;
  /** Only markups that this account paid. */
  client_loginid?: string;
  /** The first moment: epoch seconds, or `yyyy-mm-dd hh:mm:ss` (UTC). */
  date_from: string;
  /** The last moment, inclusive, in the same formats as `date_from`. */
  date_to: string;
  /** Accepted, but has no effect. */
  description?: boolean;
  /** The maximum number of markups. */
  limit?: number;
  /** The number of markups to skip. */
  offset?: number;
  /** `DESC` sorts times from latest to earliest, `ASC` the other way. */
  sort?: "ASC" | "DESC";
  /** The fields to sort by; `transaction_time` by default. */
  sort_fields?: Array<"app_id" | "client_loginid" | "transaction_time">;
}

export interface AppMarkupStatisticsFields {
  /** The first moment: epoch seconds, or `yyyy-mm-dd hh:mm:ss` (UTC). */
  date_from: string;
  /** The last moment, inclusive, in the same formats as `date_from`. */
  date_to: string;
}

export interface AppOriginsFields {
  /** The new list of allowed origins; if empty, pages of any origin may use the app. */
  allowed_origins?: Array<string>;
}

export interface AppRegisterFields {
  /** The name shown to users: letters of any script, digits, spaces, `_` and `-`. */
  name: string;
  /** The scopes that the app can ask users for. */
  scopes: Array<"read" | "trade" | "payments" | "admin" | "trading_information">;
  /** The URL that consent returns to: https, or http on localhost. */
  redirect_uri?: string;
  /** The URL for links in e-mails; only stored. */
  verification_uri?: string;
  /** The URL of the app's home page. */
  homepage?: string;
  /** The URL of the app's source on GitHub. */
  github?: string;
  /** The URL of the app in the App Store. */
  appstore?: string;
  /** The URL of the app on Google Play. */
  googleplay?: string;
  /** The markup: the percentage of a contract's payout that is added to its price. */
  app_markup_percentage?: number;
}

export interface AppSecretFields {
  /** The app to change; needs `action`. */
  app_id?: number;
  /**
   * `create`: a new secret, instead of the one that the app has. `delete`: the app is known by its
   * id alone again.
   */
  action?: "create" | "delete";
}

export interface AppUpdateFields {
  /** The name shown to users: letters of any script, digits, spaces, `_` and `-`. */
  name: string;
  /** The scopes that the app can ask users for. */
  scopes: Array<"read" | "trade" | "payments" | "admin" | "trading_information">;
  /** The URL that consent returns to: https, or http on localhost. */
  redirect_uri?: string;
  /** The URL for links in e-mails; only stored. */
  verification_uri?: string;
  /** The URL of the app's home page. */
  homepage?: string;
  /** The URL of the app's source on GitHub. */
  github?: string;
  /** The URL of the app in the App Store. */
  appstore?: string;
  /** The URL of the app on Google Play. */
  googleplay?: string;
  /** The markup: the percentage of a contract's payout that is added to its price. */
  app_markup_percentage?: number;
}

export interface AssetIndexFields {
  /** Accepted, but has no effect. */
  landing_company?: "iom" | "malta" | "maltainvest" | "svg" | "virtual" | "vanuatu";
  /** Accepted, but has no effect. */
  landing_company_short?: "iom" | "malta" | "maltainvest" | "svg" | "virtual" | "vanuatu";
}

export interface BalanceFields {
  /** `current`, `all`, or the loginid of one of your accounts. */
  account?: string;
}

export interface BalancesFields {
  /** `current`, `all`, or the loginid of one of your accounts. */
  account?: string;
}

export interface BuyFields {
  /** The highest price to pay, in units of the currency. */
  price: number;
  /**
   * The contract to buy when `buy` is 1, in the fields of `proposal`: `contract_type`, `symbol` and
   * `currency` are required; `amount`, `barrier`, `barrier2`, `barrier_range`, `basis`,
   * `cancellation`, `date_expiry`, `date_start`, `duration`, `duration_unit`, `growth_rate`,
   * `limit_order`, `multiplier`, `payout_per_point` and `selected_tick` depend on the type.
   */
  parameters?: BuyParameters;
}

export interface BuyContractForMultipleAccountsFields {
  /** The highest price to pay for each, in units of the currency. */
  price: number;
  /** A token with the `trade` scope for each account. */
  tokens: Array<string>;
  /**
   * The contract to buy when `buy_contract_for_multiple_accounts` is 1, in the fields of
   * `proposal`: `contract_type`, `symbol` and `currency` are required; `amount`, `barrier`,
   * `barrier2`, `basis`, `date_expiry`, `date_start`, `duration`, `duration_unit`, `multiplier` and
   * `selected_tick` depend on the type.
   */
  parameters?: CopiedParameters;
}

export interface CashierFields {
  /** No effect: there is no blockchain behind paper money. */
  address?: string;
  /** No effect: there is no blockchain behind paper money. */
  amount?: number;
  /** No effect: there is no blockchain behind paper money. */
  dry_run?: boolean;
  /** No effect: there is no blockchain behind paper money. */
  estimated_fee_unique_id?: string;
  /** `crypto` is refused: there is no blockchain behind paper money. */
  provider?: "doughflow" | "crypto";
  /** No effect: there are no one-time passwords here. */
  totp?: string;
  /** `api` is refused: there is no blockchain behind paper money. */
  type?: "url" | "api";
  /** The code that `verify_email` sent for `payment_withdraw`; required for `withdraw`. */
  verification_code?: string;
}

export interface ContractUpdateFields {
  /** The `contract_id` of the contract. */
  contract_id: number;
  /** The orders to change: `null` removes an order, an absent one is unchanged. */
  limit_order: ChangedOrder;
}

export interface ContractUpdateHistoryFields {
  /** The `contract_id` of the contract. */
  contract_id: number;
  /** The maximum number of orders. */
  limit?: number;
}

export interface ContractsForFields {
  /** The currency in which the contracts are paid, and of all amounts. */
  currency?: string;
  /** Accepted, but has no effect. */
  landing_company?: "iom" | "malta" | "maltainvest" | "svg" | "virtual" | "vanuatu";
  /** Accepted, but has no effect. */
  landing_company_short?: "iom" | "malta" | "maltainvest" | "svg" | "virtual" | "vanuatu";
  /** Accepted, but has no effect. */
  product_type?: "basic";
}

export interface ContractsForCompanyFields {
  /** Accepted, but has no effect. */
  landing_company?: "iom" | "malta" | "maltainvest" | "svg" | "virtual" | "vanuatu";
}

export interface CopyReportFields {
  /** The maximum number of trades. */
  limit?: number;
}

export interface CopyReportsFields {
  /** The maximum number of trades. */
  limit?: number;
}

export interface CopyStartFields {
  /** Only contracts on these symbols: one, or a list; all by default. */
  assets?: string | Array<string>;
  /** The highest price of the trader's contract that is copied, in units of the currency. */
  max_trade_stake?: number;
  /** The lowest price of the trader's contract that is copied, in units of the currency. */
  min_trade_stake?: number;
  /** Only contracts of these types: one, or a list; all by default. */
  trade_types?: string | Array<string>;
}

export interface CopytradingStatisticsFields {
  /** The loginid of the trader's account. */
  trader_id: string;
}

export interface EconomicCalendarFields {
  /** Only figures of this currency. */
  currency?: string;
  /** The end of the span, in epoch seconds; a week after its start by default. */
  end_date?: number;
  /**
   * The start of the span, in epoch seconds; now by default, or a week before an `end_date` in the
   * past.
   */
  start_date?: number;
}

export interface ExchangeRatesFields {
  /** The currency of which one unit is valued. */
  base_currency: string;
  /** 1 to add the bid and the ask rate; needs `target_currency`. */
  include_spread?: 1;
  /** The currency of the rate; all others if it is absent. `subscribe` needs it. */
  target_currency?: string;
}

export interface ExchangeRateUpdatesFields {
  /** The currency of which one unit is valued. */
  base_currency: string;
  /** 1 to add the bid and the ask rate; needs `target_currency`. */
  include_spread?: 1;
  /** The currency of the rate; all others if it is absent. `subscribe` needs it. */
  target_currency?: string;
}

export interface FaultStartFields {
  /** An object with options of the kind, by the names that `fault_kinds` lists. */
  options?: Record<string, any>;
  /**
   * The token of the connections, whole or masked as in lists; by default that of this connection.
   */
  token?: string;
  /** The app whose connections have it, instead of a token: only those of you. */
  app_id?: number;
}

export interface LandingCompanyDetailsFields {
  /** No effect: no country requires a tax number here. */
  country?: string;
}

export interface LoginHistoryFields {
  /** The maximum number of entries. */
  limit?: number;
}

export interface MultiplierFinancingFields {
  /** The start of the span, in epoch seconds; by default only the market day of `end` is listed. */
  start?: number;
  /** The end of the span, in epoch seconds; now by default. */
  end?: number;
}

export interface NewAccountRealFields {
  /** The purpose of your accounts. */
  account_opening_reason?: "Additional revenue" | "Hedging" | "Income Earning" | "Peer-to-peer exchange" | "Savings" | "Speculative";
  /** The city of the address. */
  address_city?: string;
  /** The first line of the address. */
  address_line_1?: string;
  /** The postal code of the address. */
  address_postcode?: string;
  /** The state or province of the address. */
  address_state?: string;
  /** The country code of the phone number. */
  calling_country_code?: string | null;
  /** The two-letter code of your country of citizenship. */
  citizen?: string | null;
  /** The date of birth, `yyyy-mm-dd`. */
  date_of_birth?: string;
  /** Your employment status. */
  employment_status?: string;
  /** Stored, but has no effect. */
  financial_information_version?: string;
  /** Your first name. */
  first_name?: string;
  /** Your last name. */
  last_name?: string;
  /** Your phone number. */
  phone?: string | null;
  /** The two-letter code of your country of birth. */
  place_of_birth?: string;
  /** Your title. */
  salutation?: "Miss" | "Mr" | "Mrs" | "Ms";
  /** The answer to the secret question. Only the fact that there is one is stored. */
  secret_answer?: string;
  /** Your tax number. */
  tax_identification_number?: string;
  /** The two-letter codes of the countries that tax you, separated by commas. */
  tax_residence?: string;
  /** 1 if you skipped the tax number, else 0. */
  tin_skipped?: boolean;
  /** Accepted, but has no effect. */
  account_turnover?: "Less than $25,000" | "$25,000 - $50,000" | "$50,001 - $100,000" | "$100,001 - $500,000" | "Over $500,000";
  /** The second line of the address. */
  address_line_2?: string;
  /** Accepted, but has no effect. */
  affiliate_token?: string;
  /** Accepted, but has no effect. */
  client_type?: "professional" | "retail";
  /** The account's currency. Without it, the balance is 0 until `set_account_currency`. */
  currency?: string;
  /** Accepted, but has no effect. */
  fatca_declaration?: boolean;
  /** 1 to declare that you hold no public office. */
  non_pep_declaration?: boolean;
  /** The two-letter code of the country that you live in. */
  residence?: string;
  /** The question of the secret answer. */
  secret_question?: "Mother's maiden name" | "Name of your pet" | "Name of first love" | "Memorable town/city" | "Memorable date" | "Favourite dish" | "Brand of first car" | "Favourite artist";
  /** 1 to accept the terms, as `tnc_approval` does. */
  tnc_acceptance?: boolean;
}

export interface NewAccountVirtualFields {
  /** Accepted, but has no effect. */
  ad_platform_cookies?: Record<string, string>;
  /** Accepted, but has no effect. */
  affiliate_token?: string;
  /** Accepted, but has no effect. */
  affiliate_token_type?: "client" | "partner";
  /** The new user's password for the gateway's pages. */
  client_password?: string;
  /** Accepted, but has no effect. */
  date_first_contact?: string;
  /** The address that the code was sent to; optional, since the code identifies it. */
  email?: string;
  /** 1 to agree to news by e-mail; none is ever sent. */
  email_consent?: boolean;
  /** Accepted, but has no effect. */
  gclid_url?: string;
  /** The two-letter code of the country that the new user lives in. */
  residence?: string;
  /** Accepted, but has no effect. */
  signup_device?: "desktop" | "mobile";
  /** Must be `trading`; other types are refused. */
  type?: "trading" | "wallet" | "dynamic";
  /** Accepted, but has no effect. */
  utm_ad_id?: string;
  /** Accepted, but has no effect. */
  utm_adgroup_id?: string;
  /** Accepted, but has no effect. */
  utm_adrollclk_id?: string;
  /** Accepted, but has no effect. */
  utm_campaign?: string;
  /** Accepted, but has no effect. */
  utm_campaign_id?: string;
  /** Accepted, but has no effect. */
  utm_content?: string;
  /** Accepted, but has no effect. */
  utm_fbcl_id?: string;
  /** Accepted, but has no effect. */
  utm_gl_client_id?: string;
  /** Accepted, but has no effect. */
  utm_medium?: string;
  /** Accepted, but has no effect. */
  utm_msclk_id?: string;
  /** Accepted, but has no effect. */
  utm_sccid?: string;
  /** Accepted, but has no effect. */
  utm_source?: string;
  /** Accepted, but has no effect. */
  utm_term?: string;
  /** Accepted, but has no effect. */
  utm_ttclid?: string;
  /** The code that `verify_email` sent for `account_opening`; required for a new user. */
  verification_code?: string;
}

export interface PaymentMethodsFields {
  /** No effect: the methods are the same in every country. */
  country?: string;
}

export interface PaymentagentCreateFields {
  /** The agent's number in an affiliate programme; only stored and returned. */
  affiliate_id?: string;
  /** Always 1, to agree to the code of conduct. */
  code_of_conduct_approval: 1;
  /** Commission on deposits in percent; shown to clients, never charged by the gateway. */
  commission_deposit: number;
  /** Commission on withdrawals in percent; shown to clients, never charged by the gateway. */
  commission_withdrawal: number;
  /** The e-mail address for clients; it is public. */
  email: string;
  /** The description of the agent's service. */
  information: string;
  /** The public name of the agent. */
  payment_agent_name: string;
  /** The telephone numbers for clients. */
  phone_numbers?: Array<PhoneNumber>;
  /** The methods by which clients pay the agent and are paid. */
  supported_payment_methods: Array<SupportedMethod>;
  /** The web pages of the agent. */
  urls: Array<Url>;
}

export interface PaymentagentListFields {
  /** The currency of the agents; any if left out. */
  currency?: string;
}

export interface PaymentagentTransferFields {
  /** The amount in units of the currency of both accounts. */
  amount: number;
  /** The currency of both accounts. */
  currency: string;
  /** A note that both statements show. */
  description?: string;
  /** 1 to check only your side, without a payment. */
  dry_run?: boolean;
  /** The client's account. */
  transfer_to: string;
}

export interface PaymentagentWithdrawFields {
  /** The amount in units of the currency of both accounts. */
  amount: number;
  /** The currency of both accounts. */
  currency: string;
  /** A note that both statements show. */
  description?: string;
  /** 1 to check the payment without making it; the code stays valid. */
  dry_run?: boolean;
  /** The agent's account. */
  paymentagent_loginid: string;
  /** The code that `verify_email` sent for `paymentagent_withdraw`. */
  verification_code: string;
}

export interface PaymentagentWithdrawJustificationFields {
  /** The reason; it replaces an earlier one. */
  message?: string;
}

export interface PortfolioFields {
  /** Only contracts of these types. */
  contract_type?: Array<"ACCU" | "ASIAND" | "ASIANU" | "CALL" | "CALLE" | "CALLSPREAD" | "DIGITDIFF" | "DIGITEVEN" | "DIGITMATCH" | "DIGITODD" | "DIGITOVER" | "DIGITUNDER" | "EXPIRYMISS" | "EXPIRYMISSE" | "EXPIRYRANGE" | "EXPIRYRANGEE" | "LBFLOATCALL" | "LBFLOATPUT" | "LBHIGHLOW" | "MULTDOWN" | "MULTUP" | "NOTOUCH" | "ONETOUCH" | "PUT" | "PUTE" | "PUTSPREAD" | "RANGE" | "RESETCALL" | "RESETPUT" | "RUNHIGH" | "RUNLOW" | "SNOWDOWN" | "SNOWUP" | "TICKHIGH" | "TICKLOW" | "TURBOSLONG" | "TURBOSSHORT" | "UPORDOWN" | "VANILLALONGCALL" | "VANILLALONGPUT">;
}

export interface ProfitTableFields {
  /** Only contracts of these types. */
  contract_type?: Array<"ACCU" | "ASIAND" | "ASIANU" | "CALL" | "CALLE" | "CALLSPREAD" | "DIGITDIFF" | "DIGITEVEN" | "DIGITMATCH" | "DIGITODD" | "DIGITOVER" | "DIGITUNDER" | "EXPIRYMISS" | "EXPIRYMISSE" | "EXPIRYRANGE" | "EXPIRYRANGEE" | "LBFLOATCALL" | "LBFLOATPUT" | "LBHIGHLOW" | "MULTDOWN" | "MULTUP" | "NOTOUCH" | "ONETOUCH" | "PUT" | "PUTE" | "PUTSPREAD" | "RANGE" | "RESETCALL" | "RESETPUT" | "RUNHIGH" | "RUNLOW" | "SNOWDOWN" | "SNOWUP" | "TICKHIGH" | "TICKLOW" | "TURBOSLONG" | "TURBOSSHORT" | "UPORDOWN" | "VANILLALONGCALL" | "VANILLALONGPUT">;
  /**
   * Only contracts bought at or after this moment: epoch seconds, or the start of a day
   * `yyyy-mm-dd` (UTC).
   */
  date_from?: string;
  /**
   * Only contracts bought at or before this moment: epoch seconds, or the end of a day `yyyy-mm-dd`
   * (UTC).
   */
  date_to?: string;
  /** 1 to describe each contract by type, longcode, shortcode and further fields, else 0. */
  description?: boolean;
  /** The maximum number of contracts. */
  limit?: number;
  /** The number of contracts to skip. */
  offset?: number;
  /** `DESC` lists the latest sale first, `ASC` the earliest. */
  sort?: "ASC" | "DESC";
}

export interface ProposalFields {
  /** The type of the contract; `contracts_for` lists the types that are offered. */
  contract_type: "ACCU" | "ASIAND" | "ASIANU" | "CALL" | "CALLE" | "CALLSPREAD" | "DIGITDIFF" | "DIGITEVEN" | "DIGITMATCH" | "DIGITODD" | "DIGITOVER" | "DIGITUNDER" | "EXPIRYMISS" | "EXPIRYMISSE" | "EXPIRYRANGE" | "EXPIRYRANGEE" | "LBFLOATCALL" | "LBFLOATPUT" | "LBHIGHLOW" | "MULTDOWN" | "MULTUP" | "NOTOUCH" | "ONETOUCH" | "PUT" | "PUTE" | "PUTSPREAD" | "RANGE" | "RESETCALL" | "RESETPUT" | "RUNHIGH" | "RUNLOW" | "SNOWDOWN" | "SNOWUP" | "TICKHIGH" | "TICKLOW" | "TURBOSLONG" | "TURBOSSHORT" | "UPORDOWN" | "VANILLALONGCALL" | "VANILLALONGPUT";
  /** The currency of the account that buys. */
  currency: string;
  /** The symbol of the contract. */
  symbol: string;
  /**
   * The stake or the payout, as `basis` says, in units of the currency; for a lookback, the
   * multiplier.
   */
  amount?: number;
  /**
   * The barrier, or the higher of two: `+0.10` from the entry spot, or `2400.10` as a price. For a
   * contract on digits, the digit.
   */
  barrier?: string;
  /** The meaning of `amount`; a lookback takes only `multiplier`. */
  basis?: "payout" | "stake" | "multiplier";
  /** The start, in epoch seconds, up to 24 hours ahead; the contract starts now by default. */
  date_start?: number;
  /** The duration, in units of `duration_unit`. */
  duration?: number;
  /** The factor of a multiplier, or the amount that a lookback pays for each 1.00 of price. */
  multiplier?: number;
  /** The tick of five that must be the highest or the lowest: 1 to 5. */
  selected_tick?: number;
  /** The lower of two barriers. */
  barrier2?: string;
  /** The distance of both barriers of a spread from the entry spot, instead of the barriers. */
  barrier_range?: "tight" | "middle" | "wide";
  /** The time in which a multiplier can be cancelled: `5m`, `10m`, `15m`, `30m` or `60m`. */
  cancellation?: string;
  /** The growth of an accumulator with each tick: 0.01, 0.02, 0.03, 0.04 or 0.05. */
  growth_rate?: number;
  /** Orders that close a multiplier or an accumulator automatically. */
  limit_order?: LimitOrder;
  /** The amount that a turbo pays for each point, instead of `barrier`. */
  payout_per_point?: number;
  /** Accepted, but has no effect. */
  product_type?: "basic";
  /** Only for contract types that are not offered here. */
  trade_risk_profile?: "low" | "medium" | "high";
  /** The end, in epoch seconds, instead of `duration`. */
  date_expiry?: number;
  /**
   * The unit of `duration`: `d` days, `h` hours, `m` minutes, `s` seconds (the default) or `t`
   * ticks.
   */
  duration_unit?: "d" | "m" | "s" | "h" | "t";
  /** Only for contract types that are not offered here. */
  trading_period_start?: number;
}

export interface ProposalsFields {
  /** The type of the contract; `contracts_for` lists the types that are offered. */
  contract_type: "ACCU" | "ASIAND" | "ASIANU" | "CALL" | "CALLE" | "CALLSPREAD" | "DIGITDIFF" | "DIGITEVEN" | "DIGITMATCH" | "DIGITODD" | "DIGITOVER" | "DIGITUNDER" | "EXPIRYMISS" | "EXPIRYMISSE" | "EXPIRYRANGE" | "EXPIRYRANGEE" | "LBFLOATCALL" | "LBFLOATPUT" | "LBHIGHLOW" | "MULTDOWN" | "MULTUP" | "NOTOUCH" | "ONETOUCH" | "PUT" | "PUTE" | "PUTSPREAD" | "RANGE" | "RESETCALL" | "RESETPUT" | "RUNHIGH" | "RUNLOW" | "SNOWDOWN" | "SNOWUP" | "TICKHIGH" | "TICKLOW" | "TURBOSLONG" | "TURBOSSHORT" | "UPORDOWN" | "VANILLALONGCALL" | "VANILLALONGPUT";
  /** The currency of the account that buys. */
  currency: string;
  /** The symbol of the contract. */
  symbol: string;
  /**
   * The stake or the payout, as `basis` says, in units of the currency; for a lookback, the
   * multiplier.
   */
  amount?: number;
  /**
   * The barrier, or the higher of two: `+0.10` from the entry spot, or `2400.10` as a price. For a
   * contract on digits, the digit.
   */
  barrier?: string;
  /** The meaning of `amount`; a lookback takes only `multiplier`. */
  basis?: "payout" | "stake" | "multiplier";
  /** The start, in epoch seconds, up to 24 hours ahead; the contract starts now by default. */
  date_start?: number;
  /** The duration, in units of `duration_unit`. */
  duration?: number;
  /** The factor of a multiplier, or the amount that a lookback pays for each 1.00 of price. */
  multiplier?: number;
  /** The tick of five that must be the highest or the lowest: 1 to 5. */
  selected_tick?: number;
  /** The lower of two barriers. */
  barrier2?: string;
  /** The distance of both barriers of a spread from the entry spot, instead of the barriers. */
  barrier_range?: "tight" | "middle" | "wide";
  /** The time in which a multiplier can be cancelled: `5m`, `10m`, `15m`, `30m` or `60m`. */
  cancellation?: string;
  /** The growth of an accumulator with each tick: 0.01, 0.02, 0.03, 0.04 or 0.05. */
  growth_rate?: number;
  /** Orders that close a multiplier or an accumulator automatically. */
  limit_order?: LimitOrder;
  /** The amount that a turbo pays for each point, instead of `barrier`. */
  payout_per_point?: number;
  /** Accepted, but has no effect. */
  product_type?: "basic";
  /** Only for contract types that are not offered here. */
  trade_risk_profile?: "low" | "medium" | "high";
  /** The end, in epoch seconds, instead of `duration`. */
  date_expiry?: number;
  /**
   * The unit of `duration`: `d` days, `h` hours, `m` minutes, `s` seconds (the default) or `t`
   * ticks.
   */
  duration_unit?: "d" | "m" | "s" | "h" | "t";
  /** Only for contract types that are not offered here. */
  trading_period_start?: number;
}

export interface ProposalOpenContractFields {
  /** The id of one contract, open or closed; without it, all open contracts. */
  contract_id: number;
}

export interface OpenContractsFields {
  /** The id of one contract, open or closed; without it, all open contracts. */
  contract_id?: number;
}

export interface ResidenceListFields {
  /** The fields to list for each country; only `phone_idd`, `text` and `value` exist here. */
  query?: Array<"account_opening_self_declaration_required" | "common_reporting_standard" | "disabled" | "identity" | "jurisdiction_risk_assessment" | "phone_idd" | "selected" | "text" | "tin_format" | "value" | "wallet_signup">;
}

export interface SellFields {
  /** The lowest price to accept, in units of the currency; 0 accepts any price. */
  price: number;
}

export interface SellContractForMultipleAccountsFields {
  /** The lowest price to accept for each, in units of the currency; 0 accepts any price. */
  price: number;
  /** The `shortcode` in the reply of `buy_contract_for_multiple_accounts`. */
  shortcode: string;
  /** A token with the `trade` scope for each account. */
  tokens: Array<string>;
}

export interface SetFinancialAssessmentFields {
  /** Answers about financial means, by question. */
  financial_information?: Record<string, string>;
  /** Accepted, but has no effect. */
  financial_information_version?: string;
  /** Answers about trading experience, by question. */
  trading_experience?: Record<string, string>;
  /** Answers about experience with leveraged trading, by question. */
  trading_experience_regulated?: Record<string, string>;
}

export interface SetSelfExclusionFields {
  /**
   * The day (UTC), `yyyy-mm-dd`, until which purchases and deposits are refused: six months to five
   * years ahead.
   */
  exclude_until?: string | null;
  /** The limit on payments into the account in 30 days, in units of the currency. */
  max_30day_deposit?: number | null;
  /** The limit on losses in 30 days, in units of the currency. */
  max_30day_losses?: number | null;
  /** The limit on the total price of contracts in 30 days, in units of the currency. */
  max_30day_turnover?: number | null;
  /** The limit on payments into the account in seven days, in units of the currency. */
  max_7day_deposit?: number | null;
  /** The limit on losses in seven days, in units of the currency. */
  max_7day_losses?: number | null;
  /** The limit on the total price of contracts in seven days, in units of the currency. */
  max_7day_turnover?: number | null;
  /** The balance above which purchases and deposits are refused, in units of the currency. */
  max_balance?: number | null;
  /** The limit on payments into the account in a day (UTC), in units of the currency. */
  max_deposit?: number | null;
  /** The limit on losses in a day (UTC), in units of the currency. */
  max_losses?: number | null;
  /** The limit on contracts that are open at once. */
  max_open_bets?: number | null;
  /** The limit on the total price of contracts in a day (UTC), in units of the currency. */
  max_turnover?: number | null;
  /** The minutes after sign-in from which purchases on the connection are refused. */
  session_duration_limit?: number | null;
  /**
   * The moment, in epoch seconds, until which purchases and deposits are refused: up to six weeks
   * ahead.
   */
  timeout_until?: number | null;
}

export interface SetSettingsFields {
  /** The purpose of your accounts. */
  account_opening_reason?: "Additional revenue" | "Hedging" | "Income Earning" | "Peer-to-peer exchange" | "Savings" | "Speculative";
  /** The city of the address. */
  address_city?: string;
  /** The first line of the address. */
  address_line_1?: string;
  /** The postal code of the address. */
  address_postcode?: string;
  /** The state or province of the address. */
  address_state?: string;
  /** The country code of the phone number. */
  calling_country_code?: string | null;
  /** The two-letter code of your country of citizenship. */
  citizen?: string | null;
  /** The date of birth, `yyyy-mm-dd`. */
  date_of_birth?: string;
  /** Your employment status. */
  employment_status?: string;
  /** Stored, but has no effect. */
  financial_information_version?: string;
  /** Your first name. */
  first_name?: string;
  /** Your last name. */
  last_name?: string;
  /** Your phone number. */
  phone?: string | null;
  /** The two-letter code of your country of birth. */
  place_of_birth?: string;
  /** Your title. */
  salutation?: "Miss" | "Mr" | "Mrs" | "Ms";
  /** The answer to the secret question. Only the fact that there is one is stored. */
  secret_answer?: string;
  /** Your tax number. */
  tax_identification_number?: string;
  /** The two-letter codes of the countries that tax you, separated by commas. */
  tax_residence?: string;
  /** 1 if you skipped the tax number, else 0. */
  tin_skipped?: boolean;
  /** The second line of the address. */
  address_line_2?: string | null;
  /** 1 to let anyone with a token of yours copy your trades; 0 ends all copying. */
  allow_copiers?: boolean;
  /** Stored, but has no effect. */
  dxtrade_user_exception?: boolean;
  /** 1 to agree to news by e-mail; none is ever sent. */
  email_consent?: boolean;
  /** Features of web apps, each 1 for on or 0 for off. */
  feature_flag?: FeatureFlags;
  /** The number of your identity card. */
  national_id_number?: string;
  /** The reason why you have no tax number. */
  no_tin_justification?: string;
  /** 1 to declare that you hold no public office. */
  non_pep_declaration?: 1;
  /** Your preferred language, such as `EN`. */
  preferred_language?: string | null;
  /** 1 to ask for the status of a professional; only stored. */
  request_professional_status?: 1;
  /** The two-letter code of the country that you live in. */
  residence?: string | null;
  /** The question of the secret answer. */
  secret_question?: string;
  /** The reason for your tax residence. */
  tax_residence_justification?: string;
  /** 1 to use the trading hub, else 0; only stored. */
  trading_hub?: boolean;
}

export interface StatementFields {
  /** The kind of entries to list; all if left out. */
  action_type?: "adjustment" | "buy" | "deposit" | "escrow" | "sell" | "transfer" | "virtual_credit" | "withdrawal";
  /** The earliest time to list, inclusive, in epoch seconds. */
  date_from?: number;
  /** The latest time to list, inclusive, in epoch seconds. */
  date_to?: number;
  /** 1 to add `longcode` and `shortcode` to each entry. */
  description?: boolean;
  /** The maximum number of entries. */
  limit?: number;
  /** The number of newest entries to skip. */
  offset?: number;
}

export interface TicksBatchFields {
  /** The market, by its name in `active_symbols`. */
  market: "commodities" | "cryptocurrency" | "forex" | "indices" | "own" | "stocks" | "synthetic_index";
}

export interface TickBatchesFields {
  /** The market, by its name in `active_symbols`. */
  market: "commodities" | "cryptocurrency" | "forex" | "indices" | "own" | "stocks" | "synthetic_index";
}

export interface TicksHistoryFields {
  /** 1 to shift the span back to the last tick if the market is closed at `end`; needs `start`. */
  adjust_start_time?: boolean;
  /** The maximum number of ticks or candles: 1000 by default; more than 5000 counts as 5000. */
  count?: number;
  /** The end of the span: epoch seconds, or `latest`. */
  end: string;
  /** The length of a candle, in seconds; 60 by default. */
  granularity?: 60 | 120 | 180 | 300 | 600 | 900 | 1800 | 3600 | 7200 | 14400 | 28800 | 86400;
  /** The start of the span, in epoch seconds; by default, as far back as `count` reaches. */
  start?: number;
  /** `ticks` for single prices, `candles` for candles. */
  style?: "ticks" | "candles";
}

export interface LiveHistoryFields {
  /** 1 to shift the span back to the last tick if the market is closed at `end`; needs `start`. */
  adjust_start_time?: boolean;
  /** The maximum number of ticks or candles: 1000 by default; more than 5000 counts as 5000. */
  count?: number;
  /** The end of the span: epoch seconds, or `latest`. */
  end: string;
  /** The length of a candle, in seconds; 60 by default. */
  granularity?: 60 | 120 | 180 | 300 | 600 | 900 | 1800 | 3600 | 7200 | 14400 | 28800 | 86400;
  /** The start of the span, in epoch seconds; by default, as far back as `count` reaches. */
  start?: number;
  /** `ticks` for single prices, `candles` for candles. */
  style?: "ticks" | "candles";
}

export interface TokenCreateFields {
  /** The name of the token. */
  name: string;
  /** The scopes of the token. */
  scopes: Array<"read" | "trade" | "payments" | "admin" | "trading_information">;
  /** 1 to let the token work only from the IP address of this connection. */
  valid_for_current_ip_only?: boolean;
  /** The time at which the token expires. */
  expires_at?: number;
  /**
   * What the token is restricted to: an object with the fields that `restriction_kinds` lists. What
   * is left out is not restricted.
   */
  restrictions?: Record<string, any>;
}

export interface TokenRestrictFields {
  /**
   * What the token is restricted to: an object with the fields that `restriction_kinds` lists. What
   * is left out is not restricted.
   */
  restrictions: Record<string, any>;
  /** The time at which it expires; 0 for never. By default, it stays. */
  expires_at?: number;
}

export interface TokenRotateFields {
  /** The seconds for which the old secret works as well. */
  overlap?: number;
}

export interface TradingDurationsFields {
  /** Accepted, but has no effect. */
  landing_company?: "iom" | "malta" | "maltainvest" | "svg" | "virtual" | "vanuatu";
  /** Accepted, but has no effect. */
  landing_company_short?: "iom" | "malta" | "maltainvest" | "svg" | "virtual" | "vanuatu";
}

export interface TransferBetweenAccountsFields {
  /** The account to take from: the one that you are signed in to. */
  account_from?: string;
  /** The account to pay to: another one of the user. */
  account_to?: string;
  /** No effect: both values list the same accounts. */
  accounts?: "all" | "brief";
  /** The amount in units of the currency of `account_from`. */
  amount?: number;
  /** The currency of `account_from`. */
  currency?: string;
}

export interface VerifyEmailFields {
  /**
   * The purpose of the code: `account_opening`, `paymentagent_withdraw` or `payment_withdraw`; the
   * others are refused.
   */
  type: "account_opening" | "account_verification" | "paymentagent_withdraw" | "payment_withdraw" | "phone_number_verification" | "request_email" | "reset_password" | "trading_platform_dxtrade_password_reset" | "trading_platform_investor_password_reset" | "trading_platform_mt5_password_reset";
  /** Accepted, but has no effect. */
  ad_platform_cookies?: Record<string, string>;
  /** Accepted, but has no effect. */
  url_parameters?: Record<string, string>;
}

export interface Client {
  /** List all accounts of the user, real-style accounts first. */
  account_list(fields?: Record<string, never>, options?: CallOptions): Promise<Array<AccountSummary>>;
  /** List the symbols; `full` adds the latest price of each and its change since 00:00 UTC. */
  active_symbols(own: "brief" | "full", fields?: ActiveSymbolsFields, options?: CallOptions): Promise<Array<ActiveSymbol>>;
  /** List the account's tokens; `new_token` creates one first, and `delete_token` deletes one. */
  api_token(fields?: ApiTokenFields, options?: KeyedOptions): Promise<ApiTokenBody>;
  /** Delete an app and all authorizations that users gave it. */
  app_delete(own: number, fields?: Record<string, never>, options?: KeyedOptions): Promise<number>;
  /** List the OAuth flows of each of the user's apps; with `app_id`, set them first. */
  app_flow(fields?: AppFlowFields, options?: KeyedOptions): Promise<Array<FlowOfApp>>;
  /** Return one of the user's apps. */
  app_get(own: number, fields?: Record<string, never>, options?: CallOptions): Promise<AppBody>;
  /** List the user's apps; with an app's token, only those that this app registered. */
  app_list(fields?: Record<string, never>, options?: CallOptions): Promise<Array<AppBody>>;
  /** List the markup of each contract that was bought through the user's apps. */
  app_markup_details(fields: AppMarkupDetailsFields, options?: CallOptions): Promise<MarkupsOfContracts>;
  /** Return the user's markup through each app in each currency, and the total in US dollars. */
  app_markup_statistics(fields: AppMarkupStatisticsFields, options?: CallOptions): Promise<MarkupsOfApps>;
  /** Return the origins whose pages may use an app; with `allowed_origins`, set them first. */
  app_origins(own: number, fields?: AppOriginsFields, options?: KeyedOptions): Promise<AppOriginsBody>;
  /** Register an app. Users can then authorize it to act for them. */
  app_register(fields: AppRegisterFields, options?: KeyedOptions): Promise<AppBody>;
  /** List which of the user's apps have a client secret; with `action`, change one first. */
  app_secret(fields?: AppSecretFields, options?: KeyedOptions): Promise<AppSecretBody>;
  /** Change an app. If users have not agreed to the change, the app is suspended for them. */
  app_update(own: number, fields: AppUpdateFields, options?: KeyedOptions): Promise<AppBody>;
  /** List each symbol with the categories of contracts offered for it and their durations. */
  asset_index(fields?: AssetIndexFields, options?: CallOptions): Promise<Array<Array<any>>>;
  /** Return the balance of the account, of another account of the user, or of all of them. */
  balance(fields?: BalanceFields, options?: CallOptions): Promise<BalanceBody>;
  /**
   * Stream of `balance`. Return the balance of the account, of another account of the user, or of
   * all of them.
   */
  balances(fields?: BalancesFields, options?: StreamOptions): Stream<BalanceBody>;
  /** Buy a contract for at most `price`. */
  buy(fields: BuyFields, options?: KeyedOptions): Promise<BuyBody>;
  buy(own: string, fields: BuyFields, options?: KeyedOptions): Promise<BuyBody>;
  /** Buy a contract for several accounts, each named by its own token. */
  buy_contract_for_multiple_accounts(fields: BuyContractForMultipleAccountsFields, options?: KeyedOptions): Promise<BuyForSeveralBody>;
  buy_contract_for_multiple_accounts(own: string, fields: BuyContractForMultipleAccountsFields, options?: KeyedOptions): Promise<BuyForSeveralBody>;
  /** Cancel a multiplier that was bought with `cancellation`, and refund the stake. */
  cancel(own: number, fields?: Record<string, never>, options?: KeyedOptions): Promise<SellBody>;
  /** Return the URL of the account's page here; no real money is deposited or withdrawn. */
  cashier(own: "deposit" | "withdraw", fields?: CashierFields, options?: KeyedOptions): Promise<string>;
  /** Change the take profit or the stop loss of an open multiplier or accumulator. */
  contract_update(fields: ContractUpdateFields, options?: KeyedOptions): Promise<UpdatedOrders>;
  /** List the orders that were placed for a contract, and those cancelled, latest first. */
  contract_update_history(fields: ContractUpdateHistoryFields, options?: CallOptions): Promise<Array<OrderRecord>>;
  /** List the contracts that are offered for a symbol, with their durations and barriers. */
  contracts_for(own: string, fields?: ContractsForFields, options?: CallOptions): Promise<ContractsForBody>;
  /** List the types of contracts that are offered. */
  contracts_for_company(fields?: ContractsForCompanyFields, options?: CallOptions): Promise<ContractsForCompanyBody>;
  /** List the latest trades that were copied for the account or refused, newest first. */
  copy_report(fields?: CopyReportFields, options?: CallOptions): Promise<CopyReportBody>;
  /**
   * Stream of `copy_report`. List the latest trades that were copied for the account or refused,
   * newest first.
   */
  copy_reports(fields?: CopyReportsFields): Stream<CopyReportBody>;
  /** Copy from now on what the trader who gave you this token buys and sells. */
  copy_start(own: string, fields?: CopyStartFields, options?: KeyedOptions): Promise<number>;
  /** Stop copying a trader, named by their token or by what `copytrading_list` shows. */
  copy_stop(own: string, fields?: Record<string, never>, options?: KeyedOptions): Promise<number>;
  /** List the accounts that copy this one, and the traders that this one copies. */
  copytrading_list(fields?: Record<string, never>, options?: CallOptions): Promise<CopytradingListBody>;
  /** Return the trading results of a trader who lets others copy. */
  copytrading_statistics(fields: CopytradingStatisticsFields, options?: CallOptions): Promise<CopytradingStatisticsBody>;
  /** List simulated economic figures for the next seven days, or for a span of up to a year. */
  economic_calendar(fields?: EconomicCalendarFields, options?: CallOptions): Promise<EconomicEvents>;
  /** Return what one unit of a currency buys of another, or of all others, at the latest tick. */
  exchange_rates(fields: ExchangeRatesFields, options?: CallOptions): Promise<RatesBody>;
  /**
   * Stream of `exchange_rates`. Return what one unit of a currency buys of another, or of all
   * others, at the latest tick.
   */
  exchange_rate_updates(fields: ExchangeRateUpdatesFields): Stream<RatesBody>;
  /** End a fault, at once on live connections too. */
  fault_end(own: number, fields?: Record<string, never>, options?: KeyedOptions): Promise<number>;
  /** List the faults that connections can have, and their options. */
  fault_kinds(fields?: Record<string, never>, options?: CallOptions): Promise<Array<FaultKind>>;
  /** List the faults of the account's tokens, and of the apps that you use. */
  fault_list(fields?: Record<string, never>, options?: CallOptions): Promise<Array<FaultInForce>>;
  /** Begin a fault of the connections of a token, or of those of an app that you use. */
  fault_start(own: string, fields?: FaultStartFields, options?: KeyedOptions): Promise<FaultInForce>;
  /** Return what the account may do and what it still lacks: paper money needs no proofs. */
  get_account_status(fields?: Record<string, never>, options?: CallOptions): Promise<AccountStatusBody>;
  /** Return all answers, keyed by question; unanswered questions are left out. */
  get_financial_assessment(fields?: Record<string, never>, options?: CallOptions): Promise<Record<string, string>>;
  /** Return how many contracts, and how much payout, the account may have open at once. */
  get_limits(fields?: Record<string, never>, options?: CallOptions): Promise<LimitsBody>;
  /** Return the limits and pauses in force; pauses that are over are left out. */
  get_self_exclusion(fields?: Record<string, never>, options?: CallOptions): Promise<SelfExclusionBody>;
  /** Return the user's settings and personal details, and their e-mail address. */
  get_settings(fields?: Record<string, never>, options?: CallOptions): Promise<SettingsBody>;
  /** Return the company that keeps accounts for a country's residents: the same everywhere. */
  landing_company(own: string, fields?: Record<string, never>, options?: CallOptions): Promise<CompaniesOfCountry>;
  /** Return what a company that keeps accounts offers, and the details it requires: none. */
  landing_company_details(own: "bvi" | "dml" | "dsl" | "iom" | "labuan" | "malta" | "maltainvest" | "samoa" | "samoa-virtual" | "svg" | "vanuatu" | "virtual", fields?: LandingCompanyDetailsFields, options?: CallOptions): Promise<Company>;
  /** List every limit in force: its name, value and unit, and what it is counted per. */
  limits(fields?: Record<string, never>, options?: CallOptions): Promise<Array<LimitInForce>>;
  /** List when and from where the user signed in, newest first. */
  login_history(fields?: LoginHistoryFields, options?: CallOptions): Promise<Array<SignInRecord>>;
  /** List the growth of the forward price of a symbol's multipliers, by market day. */
  multiplier_financing(own: string, fields?: MultiplierFinancingFields, options?: CallOptions): Promise<Financing>;
  /** Open another real-style account for the user, with paper money, in a currency. */
  new_account_real(fields?: NewAccountRealFields, options?: KeyedOptions): Promise<NewRealAccount>;
  /** Open a demo account: as a new user with a code from `verify_email`, or for yourself. */
  new_account_virtual(fields?: NewAccountVirtualFields, options?: KeyedOptions): Promise<NewDemoAccount>;
  /** List the apps that are connected to the user, with their scopes. */
  oauth_apps(fields?: Record<string, never>, options?: CallOptions): Promise<Array<ConnectedApp>>;
  /** List the ways to deposit and withdraw paper money; they are the same in every country. */
  payment_methods(fields?: PaymentMethodsFields, options?: CallOptions): Promise<Array<PaymentMethod>>;
  /** Make the account a payment agent at once, or replace the agent's details. */
  paymentagent_create(fields: PaymentagentCreateFields, options?: KeyedOptions): Promise<number>;
  /** Return the account's details as a payment agent, and the reasons why it cannot be one. */
  paymentagent_details(fields?: Record<string, never>, options?: CallOptions): Promise<DetailsBody>;
  /** List the payment agents of a country, and the countries that have any. */
  paymentagent_list(own: string, fields?: PaymentagentListFields, options?: CallOptions): Promise<PaymentagentListBody>;
  /** Pay a client from the account of a payment agent; with `dry_run`, only check the payment. */
  paymentagent_transfer(fields: PaymentagentTransferFields, options?: KeyedOptions): Promise<PaymentagentTransferReply>;
  /** Withdraw to a payment agent, with a code by e-mail; with `dry_run`, only check it. */
  paymentagent_withdraw(fields: PaymentagentWithdrawFields, options?: KeyedOptions): Promise<PaymentagentWithdrawReply>;
  /** Store why you withdraw through an agent, for the operator; no withdrawal waits for it. */
  paymentagent_withdraw_justification(fields?: PaymentagentWithdrawJustificationFields, options?: KeyedOptions): Promise<number>;
  /** List the currencies of accounts; after sign-in, only that of the account. */
  payout_currencies(fields?: Record<string, never>, options?: CallOptions): Promise<Array<string>>;
  /** Reply `pong`; the request keeps the connection from being idle. */
  ping(fields?: Record<string, never>, options?: CallOptions): Promise<string>;
  /** List the open contracts, in the order of purchase. */
  portfolio(fields?: PortfolioFields, options?: CallOptions): Promise<PortfolioBody>;
  /** List the closed contracts with what each cost and paid, latest sale first. */
  profit_table(fields?: ProfitTableFields, options?: CallOptions): Promise<ProfitTableBody>;
  /** Return the price and the payout of a contract. */
  proposal(fields: ProposalFields, options?: CallOptions): Promise<ProposalBody>;
  /** Stream of `proposal`. Return the price and the payout of a contract. */
  proposals(fields: ProposalsFields): Stream<ProposalBody>;
  /** Return the state of one contract, open or closed, or of all open ones, a reply for each. */
  proposal_open_contract(fields: ProposalOpenContractFields, options?: CallOptions): Promise<OpenContract>;
  /**
   * Stream of `proposal_open_contract`. Return the state of one contract, open or closed, or of all
   * open ones, a reply for each.
   */
  open_contracts(fields?: OpenContractsFields, options?: StreamOptions): Stream<OpenContract>;
  /** Add up what was bought and sold since the connection signed in. */
  reality_check(fields?: Record<string, never>, options?: CallOptions): Promise<RealityCheckBody>;
  /** List all countries with their telephone prefixes. */
  residence_list(fields?: ResidenceListFields, options?: CallOptions): Promise<Array<Residence>>;
  /** List what tokens and apps can be restricted to. */
  restriction_kinds(fields?: Record<string, never>, options?: CallOptions): Promise<Array<RestrictionKind>>;
  /** Disconnect an app: its tokens end at once, on live connections too. */
  revoke_oauth_app(own: number, fields?: Record<string, never>, options?: KeyedOptions): Promise<number>;
  /** Sell an open contract back at its current value, but not below `price`. */
  sell(own: number, fields: SellFields, options?: KeyedOptions): Promise<SellBody>;
  /** Sell, for each of several accounts, its open contract with this shortcode. */
  sell_contract_for_multiple_accounts(fields: SellContractForMultipleAccountsFields, options?: KeyedOptions): Promise<SellForSeveralBody>;
  /** Settle ended contracts; the gateway also does so by itself, at the deciding tick. */
  sell_expired(fields?: Record<string, never>, options?: KeyedOptions): Promise<SellExpiredBody>;
  /** Set the currency of an account that has no ledger entries yet, and fund the account. */
  set_account_currency(own: string, fields?: Record<string, never>, options?: KeyedOptions): Promise<number>;
  /** Store the user's answers; questions that are left out do not change. */
  set_financial_assessment(fields?: SetFinancialAssessmentFields, options?: KeyedOptions): Promise<Scores>;
  /** Set limits for the account's purchases and for payments into it, or pauses of trading. */
  set_self_exclusion(fields?: SetSelfExclusionFields, options?: KeyedOptions): Promise<number>;
  /** Store the user's settings and personal details; fields that are left out do not change. */
  set_settings(fields?: SetSettingsFields, options?: KeyedOptions): Promise<number>;
  /** List the entries of the account's ledger, newest first. */
  statement(fields?: StatementFields, options?: CallOptions): Promise<StatementBody>;
  /** List the states or provinces of a country; empty if this gateway does not have them. */
  states_list(own: string, fields?: Record<string, never>, options?: CallOptions): Promise<Array<State>>;
  /** Stream the ticks of each symbol, starting with the latest. */
  ticks(own: string, fields?: Record<string, never>, options?: StreamOptions): Stream<Tick>;
  /** Return the latest tick of every symbol of a market, open or closed. */
  ticks_batch(fields: TicksBatchFields, options?: CallOptions): Promise<Array<BatchedTick>>;
  /**
   * Stream of `ticks_batch`. Return the latest tick of every symbol of a market, open or closed.
   */
  tick_batches(fields: TickBatchesFields): Stream<Array<BatchedTick>>;
  /** Return past ticks or candles, the latest ones if there are more than `count`. */
  ticks_history(own: string, fields: TicksHistoryFields, options?: CallOptions): Promise<HistoryReply | CandlesReply>;
  /**
   * Stream of `ticks_history`. Return past ticks or candles, the latest ones if there are more than
   * `count`.
   */
  live_history(own: string, fields: LiveHistoryFields): Stream<HistoryReply | CandlesReply | TickReply | OhlcReply>;
  /** Return the market's time, in seconds since 1970-01-01 00:00 UTC. */
  time(fields?: Record<string, never>, options?: CallOptions): Promise<number>;
  /** Accept the current terms; `get_settings` returns the accepted version. */
  tnc_approval(fields?: Record<string, never>, options?: KeyedOptions): Promise<number>;
  /** Create a token for the account; `restrictions` limit what it may do. */
  token_create(fields: TokenCreateFields, options?: KeyedOptions): Promise<RestrictedToken>;
  /** Replace the restrictions of a token, at once on live connections too. */
  token_restrict(own: string, fields: TokenRestrictFields, options?: KeyedOptions): Promise<RestrictedToken>;
  /** Show what the token of this connection is restricted to, and what of its caps is used. */
  token_restrictions(fields?: Record<string, never>, options?: CallOptions): Promise<RestrictedToken>;
  /** Replace the secret of a token. The old one works for `overlap` further seconds. */
  token_rotate(own: string, fields?: TokenRotateFields, options?: KeyedOptions): Promise<RestrictedToken>;
  /** Top up a demo account to its opening balance, if it holds less. */
  topup_virtual(fields?: Record<string, never>, options?: KeyedOptions): Promise<Amount>;
  /** List how long contracts may last, by market and type; for types that have a duration. */
  trading_durations(fields?: TradingDurationsFields, options?: CallOptions): Promise<Array<MarketDurations>>;
  /** List the times at which each symbol's market is open on a day. */
  trading_times(own: string, fields?: Record<string, never>, options?: CallOptions): Promise<TradingTimesBody>;
  /** Stream of `transaction`. Stream every entry of the account's ledger as it is booked. */
  transactions(fields?: Record<string, never>, options?: StreamOptions): Stream<TransactionBody>;
  /** Move money to another account of the user; without both accounts, list the accounts. */
  transfer_between_accounts(fields?: TransferBetweenAccountsFields, options?: KeyedOptions): Promise<TransferBetweenAccountsReply>;
  /** Send a code by e-mail, with which another call checks that you read mail at the address. */
  verify_email(own: string, fields: VerifyEmailFields, options?: CallOptions): Promise<number>;
  /** Return the currencies and languages that this gateway supports. */
  website_config(fields?: Record<string, never>, options?: CallOptions): Promise<WebsiteConfigBody>;
  /** Return whether the gateway is up, and the limits in force. */
  website_status(fields?: Record<string, never>, options?: CallOptions): Promise<WebsiteStatusBody>;
  /** Stream of `website_status`. Return whether the gateway is up, and the limits in force. */
  website_status_updates(fields?: Record<string, never>): Stream<WebsiteStatusBody>;
}
// </generated>
