-- The chat of each stream by the minute. Chatters are counted, and never named. A message is positive from 0.05 on,
-- and negative up to -0.05; shares are of the messages with a text.
WITH words AS (
  SELECT entity_id, date_bin(INTERVAL '1 minute', event_time) AS minute,
         unnest(string_to_array(emotes, ' ')) AS emote
  FROM chat
  WHERE emotes IS NOT NULL
),
counted AS (
  SELECT entity_id, minute, emote, count(*) AS times
  FROM words
  WHERE emote <> ''
  GROUP BY entity_id, minute, emote
),
placed AS (
  SELECT entity_id, minute, emote, times,
         row_number() OVER (PARTITION BY entity_id, minute ORDER BY times DESC, emote) AS place
  FROM counted
),
emotes AS (
  SELECT entity_id, minute,
         string_agg(emote || ' ' || CAST(times AS VARCHAR), ', ' ORDER BY times DESC, emote) AS top_emotes
  FROM placed
  WHERE place <= 5
  GROUP BY entity_id, minute
),
messages AS (
  SELECT entity_id, date_bin(INTERVAL '1 minute', event_time) AS minute, count(*) AS messages,
         count(DISTINCT "user") AS unique_chatters, avg(sentiment) AS avg_sentiment,
         avg(CASE WHEN sentiment >= 0.05 THEN 1.0 WHEN sentiment < 0.05 THEN 0.0 END) AS positive_share,
         avg(CASE WHEN sentiment > -0.05 AND sentiment < 0.05 THEN 1.0 WHEN sentiment IS NOT NULL THEN 0.0 END)
           AS neutral_share,
         avg(CASE WHEN sentiment <= -0.05 THEN 1.0 WHEN sentiment > -0.05 THEN 0.0 END) AS negative_share,
         sum(bits) AS bits
  FROM chat
  GROUP BY entity_id, date_bin(INTERVAL '1 minute', event_time)
)
SELECT m.entity_id AS stream_id, m.minute, m.messages, m.unique_chatters, m.avg_sentiment, m.positive_share,
       m.neutral_share, m.negative_share, m.bits, e.top_emotes
FROM messages AS m
LEFT JOIN emotes AS e ON e.entity_id = m.entity_id AND e.minute = m.minute
