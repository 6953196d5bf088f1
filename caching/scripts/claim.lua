-- Ask for the lease on one entry, and look at the entry and its tags at that very moment. A writer asks for
-- the fence in the same way: a lease that keeps no reader waiting.
--
-- KEYS[1]   the entry
-- KEYS[2]   its lease, or its fence
-- KEYS[3]   the set of schema fingerprints that have leases or entries of this cache
-- KEYS[4..] its tags
-- ARGV[1]   the token: random, unique to this claim
-- ARGV[2]   how long the lease holds, in milliseconds
-- ARGV[3]   how long a tag must live, in milliseconds: longer than any entry that carries it
-- ARGV[4]   this schema's fingerprint
--
-- Returns {1 if granted else 0, the entry or nil, the version of each tag}.
--
-- The versions are read before the load begins. An invalidation in between deletes the lease, or the tag:
-- then the fill is refused, or stamps a version that no longer matches. Either way nothing old lands.
-- A claim that comes twice, because its first answer was lost, is granted twice.
local granted = redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2])
  or redis.call('GET', KEYS[2]) == ARGV[1]
local answer = { granted and 1 or 0, redis.call('GET', KEYS[1]) }
-- From here on an invalidation by any release, old or new, deletes this lease and what is filled under it.
redis.call('SADD', KEYS[3], ARGV[4])
if redis.call('PTTL', KEYS[3]) < tonumber(ARGV[3]) then
  redis.call('PEXPIRE', KEYS[3], ARGV[3])
end
for i = 4, #KEYS do
  local version = redis.call('GET', KEYS[i])
  if version then
    redis.call('PEXPIRE', KEYS[i], ARGV[3])
  else
    version = ARGV[1]
    redis.call('SET', KEYS[i], version, 'PX', ARGV[3])
  end
  answer[i - 1] = version
end
return answer
