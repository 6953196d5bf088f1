-- The members of an index in a box in metres around a point; or that they are too many.
--
-- KEYS[1] the marker: the run id of the server, and behind it the generation that is live
-- KEYS[2] what the keys of all generations begin with
-- ARGV[1], ARGV[2] longitude and latitude of the middle
-- ARGV[3], ARGV[4] width and height, in metres
-- ARGV[5] how many are too many
-- ARGV[6] the cuisine, or nothing for all
--
-- Returns members, in no order: ARGV[5] of them if there are that many. 0 if there is no index.
local run = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), 1, 16)
local live = redis.call('GET', KEYS[1])
if not live or string.sub(live, 1, #run) ~= run then
  return 0
end
local index = KEYS[2] .. string.sub(live, #run + 1) .. ':' .. ARGV[6]
return redis.call('GEOSEARCH', index, 'FROMLONLAT', ARGV[1], ARGV[2], 'BYBOX', ARGV[3], ARGV[4], 'm',
  'COUNT', ARGV[5], 'ANY')
