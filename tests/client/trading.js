// A function that trades with the JavaScript client, and returns what it has seen. It is run in
// Node and in a browser, with connections that are cut meanwhile.
async ({ Client, Backoff, GapError }, { url, token, purchases, WebSocket }) => {
  const backoff = new Backoff({ first: 0.01, longest: 0.1 });
  const client = await Client.open(url, token, { backoff, timeout: 60, WebSocket });
  const seen = { entries: [], balances: [], closed: [], ticks: [], gaps: [], bought: [] };
  const contract = {
    contract_type: "CALL",
    symbol: "1HZ100V",
    duration: 1,
    duration_unit: "t",
    basis: "stake",
    amount: 1,
    currency: "USD",
  };

  /** Notes events until there are enough of them; gaps too. */
  async function note(stream, take, enough) {
    while (!enough()) {
      try {
        for await (const event of stream) {
          take(event);
          if (enough()) {
            break;
          }
        }
      } catch (problem) {
        if (!(problem instanceof GapError)) {
          throw problem;
        }
        seen.gaps.push(problem.message);
      }
    }
  }

  const streams = {
    transactions: client.transactions(),
    balances: client.balances(),
    contracts: client.open_contracts(),
    ticks: client.ticks("1HZ100V"),
  };
  await Promise.all(Object.values(streams).map((stream) => stream.opened()));
  const reading = [
    note(
      streams.transactions,
      (entry) => seen.entries.push(entry.transaction_id),
      () => seen.entries.length === 2 * purchases,
    ),
    note(
      streams.balances,
      ({ balance }) => seen.balances.push(balance),
      () => seen.balances.length === 2 * purchases + 1,
    ),
    note(
      streams.contracts,
      (each) => each.is_sold && seen.closed.push(each.contract_id),
      () => seen.closed.length === purchases,
    ),
    note(
      streams.ticks,
      ({ epoch }) => seen.ticks.push(epoch),
      () => seen.closed.length === purchases && seen.ticks.length > 10,
    ),
  ];
  for (let number = 0; number < purchases; number += 1) {
    const bought = await client.buy({ price: 1, parameters: contract });
    seen.bought.push(bought.contract_id);
  }
  await Promise.all(reading);
  const { connections } = client;
  client.close();
  return { ...seen, connections };
}
