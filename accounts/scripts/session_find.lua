-- Load a session and slide its idle limit; or, if Redis has none, ask for the lease to restore it.
--
-- KEYS[1] the session's hash
-- KEYS[2] the lease to restore it
-- ARGV[1] now, in Unix seconds
-- ARGV[2] a token: random, unique to this call; or nothing, to ask for no lease
-- ARGV[3] how long the lease holds, in milliseconds
-- ARGV[4] how often the table must hear that the session is in use, in seconds
--
-- Returns {1 if the table must hear now else 0, all fields}; or 1 if the lease was granted, else 0.
--
-- The limits are compared here, since a key expires by the server's clock and a little late. A session that is
-- past them is deleted, and answered as one that Redis does not have: the row knows better, or knows the same.
local now = tonumber(ARGV[1])
local seen, idle, ends, touched = unpack(redis.call('HMGET', KEYS[1], 'seen', 'idle', 'ends', 'touched'))
if not seen or now - seen >= tonumber(idle) or now >= tonumber(ends) then
  redis.call('DEL', KEYS[1])
  if ARGV[2] == '' then
    return 0
  end
  return redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) and 1 or 0
end
local due = now - touched >= tonumber(ARGV[4])
-- Clocks of several hosts differ a little; one that lags must not pull a limit back.
if now > tonumber(seen) then
  redis.call('HSET', KEYS[1], 'seen', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], math.ceil(1000 * math.min(idle, ends - now)))
end
if due then
  redis.call('HSET', KEYS[1], 'touched', ARGV[1])
end
return { due and 1 or 0, redis.call('HGETALL', KEYS[1]) }
