-- Put a session, as its row has it, into Redis, if the lease still stands; then give the lease back.
--
-- KEYS[1] the session's hash
-- KEYS[2] the lease to restore it
-- ARGV[1] the token the lease was granted under
-- ARGV[2] how long the session may still live, in milliseconds
-- ARGV[3..] name and value in turn
--
-- Returns 1 if it is in Redis now, 0 if the lease is gone: expired, or deleted by a change or a revocation
-- that came after the row was read.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1], KEYS[2])
for i = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
