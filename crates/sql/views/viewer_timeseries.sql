-- How many watched each stream, each time that they were counted.
SELECT entity_id AS stream_id, event_time, viewers, chatters, followers, raiders
FROM viewer
