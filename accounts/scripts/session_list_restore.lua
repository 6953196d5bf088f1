-- Put the list of a user's sessions, as the table has it, into Redis, if the lease still stands; then give it back.
--
-- KEYS[1] the list
-- KEYS[2] the lease to restore it
-- ARGV[1] the token the lease was granted under
-- ARGV[2] how long the list may live, in milliseconds
-- ARGV[3..] the Unix second of its end and the digest of each session in turn
--
-- Returns 1 if it is in Redis now, 0 if the lease is gone: expired, or deleted by a login or a revocation that
-- came after the table was read.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZADD', KEYS[1], '+inf', '')
for i = 3, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
