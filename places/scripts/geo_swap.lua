-- Have the generation that was built be the live one, and delete all others: the one before, and what was forgotten.
--
-- KEYS[1] the marker of the live generation
-- KEYS[2] the one that is being built
-- KEYS[3] the lease of whoever builds it
-- KEYS[4] how far the building is
-- KEYS[5] what the keys of all generations begin with
-- KEYS[6] the names of all generations that may have keys
-- ARGV[1] the builder's token
-- ARGV[2] how long the marker lives, in milliseconds
-- ARGV[3] how long the generation lives: longer
--
-- Returns 1; 0 if the lease was lost, or what was built is void, since a write did not reach it or the server was
-- started anew.
local run = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), 1, 16)
local built = redis.call('GET', KEYS[2])
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
  return 0
end
if not built or string.sub(built, 1, #run) ~= run then
  redis.call('DEL', KEYS[3])
  return 0
end
local name = string.sub(built, #run + 1)
for _, key in ipairs(redis.call('SMEMBERS', KEYS[5] .. name .. '!keys')) do
  redis.call('PEXPIRE', key, ARGV[3])
end
redis.call('SET', KEYS[1], built, 'PX', ARGV[2])
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
for _, other in ipairs(redis.call('SMEMBERS', KEYS[6])) do
  if other ~= name then
    for _, key in ipairs(redis.call('SMEMBERS', KEYS[5] .. other .. '!keys')) do
      redis.call('UNLINK', key)
    end
    redis.call('UNLINK', KEYS[5] .. other .. '!keys')
    redis.call('SREM', KEYS[6], other)
  end
end
return 1
