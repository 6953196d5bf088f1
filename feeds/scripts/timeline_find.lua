-- Read a slice of a timeline, and whose posts its owner is shown; of what is absent, ask for the lease to make it.
--
-- KEYS[1] the timeline: a ZSET of ids by their milliseconds, and at its lower end the marker
-- KEYS[2] the lease to populate it
-- KEYS[3] whose posts are shown, behind the run id of the server
-- KEYS[4] the lease to restore that
-- ARGV[1] a token: random, unique to this call; or nothing, to ask for no lease
-- ARGV[2] how long a lease holds, in milliseconds
-- ARGV[3] how many posts
-- ARGV[4] the id that all of these are older than, or nothing
-- ARGV[5] its milliseconds
--
-- Returns {relations, marker, ids, newest first}; in the place of either of the first two 1 if its lease was
-- granted, else 0, and no ids without a marker. Ids of the same millisecond may be newer than ARGV[4].
--
-- What was there before the server was started may lack what the server then forgot, so it counts as absent; and
-- a lease of before is none. The marker is the id that the timeline is complete above, or nothing; then a '!'
-- and the run id, of which 16 digits are enough: with them a short timeline still is a listpack.
local run = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), 1, 16)
local function lease(key)
  if ARGV[1] == '' then
    return 0
  end
  local held = redis.call('GET', key)
  if held and string.sub(held, 1, #run) == run then
    return 0
  end
  redis.call('SET', key, run .. ARGV[1], 'PX', ARGV[2])
  return 1
end
local relations = redis.call('GET', KEYS[3])
if relations and string.sub(relations, 1, #run) == run then
  relations = string.sub(relations, #run + 1)
else
  relations = lease(KEYS[4])
end
local marker = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
if not marker or string.sub(marker, -#run) ~= run then
  redis.call('DEL', KEYS[1])
  return { relations, lease(KEYS[2]), {} }
end
local start = 0
if ARGV[4] ~= '' then
  local rank = redis.call('ZREVRANK', KEYS[1], ARGV[4])
  start = rank and rank + 1 or redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[5], '+inf')
end
local ids = redis.call('ZREVRANGE', KEYS[1], start, start + ARGV[3] - 1)
if ids[#ids] == marker then
  ids[#ids] = nil
end
return { relations, string.sub(marker, 1, -#run - 2), ids }
