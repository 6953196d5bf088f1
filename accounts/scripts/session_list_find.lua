-- List a user's sessions, pruned of those past their end; or, if Redis has no list, ask for the lease to make it.
--
-- KEYS[1] the list: a ZSET of digests by the Unix second at which each session ends for good
-- KEYS[2] the lease to restore it
-- ARGV[1] now, in Unix seconds
-- ARGV[2] a token: random, unique to this call; or nothing, to ask for no lease
-- ARGV[3] how long the lease holds, in milliseconds
--
-- Returns the digests, the one that ends last first; or 1 if the lease was granted, else 0.
--
-- A list that is there is complete: it has the member '' at its upper end, also when it has no other.
if not redis.call('ZSCORE', KEYS[1], '') then
  if ARGV[2] == '' then
    return 0
  end
  return redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) and 1 or 0
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
return redis.call('ZREVRANGE', KEYS[1], 1, -1)
