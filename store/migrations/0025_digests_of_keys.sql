-- removes what schema 24 needs
-- Idempotency keys are stored as digests (`exchange.keys`). A release that looks for the keys
-- themselves would not find them, and would buy and pay again for a request that is repeated.
UPDATE contracts
SET idempotency_key = encode(sha256(convert_to(loginid || ' ' || idempotency_key, 'UTF8')), 'hex')
WHERE idempotency_key IS NOT NULL;
UPDATE payments
SET idempotency_key =
    encode(sha256(convert_to(payer || ' ' || kind || ' ' || idempotency_key, 'UTF8')), 'hex')
WHERE idempotency_key IS NOT NULL;
