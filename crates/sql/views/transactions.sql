-- Payments on streams, without the names of who paid.
SELECT transaction_id, entity_id AS stream_id, event_time, "type", amount, currency, quantity
FROM "transaction"
