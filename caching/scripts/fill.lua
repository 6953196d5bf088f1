-- Store a loaded entry, if the lease it was loaded under still stands; then give the lease back.
--
-- KEYS[1] the entry
-- KEYS[2] its lease
-- ARGV[1] the token the lease was granted under
-- ARGV[2] the entry's bytes
-- ARGV[3] the entry's physical life in milliseconds
--
-- Returns 1 if stored, 0 if the lease is gone: expired, or deleted by an invalidation that came after
-- the load began, so that the loaded value may be old.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
