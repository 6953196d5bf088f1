-- Send the caller a heartbeat along the path its invalidations take.
--
-- KEYS[1] the bus's sequence number
-- ARGV[1] the caller's own channel
-- ARGV[2] what the caller wants to read again in the heartbeat
--
-- The number is that of the last invalidation published before. Messages to one subscriber keep their
-- order, so a heartbeat with the number the subscriber has reached proves that it missed none.
-- Returns how many subscribers took it (0: the caller's subscription is gone).
--
-- A replica would publish too, and prove nothing: PERSIST changes nothing, but is a write, which it refuses.
redis.call('PERSIST', KEYS[1])
local sequence = redis.call('GET', KEYS[1]) or '0'
return redis.call('PUBLISH', ARGV[1], sequence .. '\n' .. ARGV[2])
