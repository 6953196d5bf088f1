-- Put places where the table has them, in the generation that is live and in the one that is being built.
--
-- KEYS[1] the marker of the live generation: the run id of the server, and behind it the generation
-- KEYS[2] the one that is being built, likewise
-- KEYS[3] the fences: who read which place's row last, as a HASH of tokens by id
-- KEYS[4] what the keys of all generations begin with
-- ARGV[1] the caller's token
-- ARGV[2] how long a generation lives, in milliseconds
-- ARGV[3..] id, longitude, latitude, cuisine of each place in turn; no longitude: it has no place in the index
--
-- Returns {the ids that somebody else has set up a fence for since, and not put yet; where the others were before,
-- as longitude, latitude and cuisine in turn, if there is a live generation}. A fence that is gone was its owner's,
-- who came after the caller, and so has put what is newer.
--
-- A generation is an index of all, <prefix><generation>:, one a cuisine, <prefix><generation>:<cuisine>, a HASH of the
-- cuisine by id, <prefix><generation>!, which tells what to take a place out of, and a SET of all these keys,
-- <prefix><generation>!keys.
local run = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), 1, 16)
local generations, live = {}, false
for at, key in ipairs({ KEYS[1], KEYS[2] }) do
  local value = redis.call('GET', key)
  if value and string.sub(value, 1, #run) == run then
    generations[#generations + 1] = KEYS[4] .. string.sub(value, #run + 1)
    live = live or at == 1
  end
end
local again, before, written = {}, {}, {}
local function add(generation, cuisine, longitude, latitude, id)
  redis.call('GEOADD', generation .. ':' .. cuisine, longitude, latitude, id)
  written[generation .. ':' .. cuisine] = generation
end
for i = 3, #ARGV, 4 do
  local id, longitude, latitude, cuisine = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local fence = redis.call('HGET', KEYS[3], id)
  if fence and fence ~= ARGV[1] then
    again[#again + 1] = id
  elseif fence then
    for at, generation in ipairs(generations) do
      local was = redis.call('HGET', generation .. '!', id)
      if was and live and at == 1 then
        local position = redis.call('GEOPOS', generation .. ':', id)[1]
        if position then
          before[#before + 1] = position[1]
          before[#before + 1] = position[2]
          before[#before + 1] = was
        end
      end
      if was and (was ~= cuisine or longitude == '') then
        redis.call('ZREM', generation .. ':' .. was, id)
      end
      if longitude == '' then
        redis.call('ZREM', generation .. ':', id)
        redis.call('HDEL', generation .. '!', id)
      else
        add(generation, '', longitude, latitude, id)
        if cuisine ~= '' then
          add(generation, cuisine, longitude, latitude, id)
        end
        if was ~= cuisine then
          redis.call('HSET', generation .. '!', id, cuisine)
          written[generation .. '!'] = generation
        end
      end
    end
    redis.call('HDEL', KEYS[3], id)
  end
end
for key, generation in pairs(written) do
  if redis.call('PTTL', key) < 0 then
    redis.call('PEXPIRE', key, ARGV[2])
    redis.call('SADD', generation .. '!keys', key)
    redis.call('PEXPIRE', generation .. '!keys', ARGV[2])
  end
end
return { again, before }
