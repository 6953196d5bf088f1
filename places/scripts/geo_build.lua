-- Begin to build a generation, or go on with one that was begun; and keep the lease while building.
--
-- KEYS[1] the generation that is being built: the run id of the server, and behind it the generation
-- KEYS[2] the lease of whoever builds it
-- KEYS[3] how far the building is: the id of the last place that was put
-- KEYS[4] the names of all generations that may have keys
-- ARGV[1] the builder's token, which names a new generation too
-- ARGV[2] how long the lease holds, in milliseconds
-- ARGV[3] how long a generation lives
-- ARGV[4] the id of the last place that was put; or '' to begin or go on
-- ARGV[5] '1' to begin, whatever was begun before
--
-- Returns the id to go on behind, '' for the very first; 0 if somebody else has the lease; 1 if what was being built
-- is void: begin again.
local run = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), 1, 16)
local held = redis.call('GET', KEYS[2])
if held and held ~= ARGV[1] or not held and ARGV[4] ~= '' then
  return 0
end
local built = redis.call('GET', KEYS[1])
local void = not built or string.sub(built, 1, #run) ~= run
if ARGV[4] ~= '' then
  if void then
    -- Whoever begins again need not wait for the lease to end.
    redis.call('DEL', KEYS[2])
    return 1
  end
  redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[3])
elseif void or ARGV[5] == '1' then
  redis.call('SET', KEYS[1], run .. ARGV[1], 'PX', ARGV[3])
  redis.call('DEL', KEYS[3])
  redis.call('SADD', KEYS[4], ARGV[1])
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return redis.call('GET', KEYS[3]) or ''
