-- The nearest members of an index around a point, in a ring that grows until it has enough of them.
--
-- KEYS[1] the marker: the run id of the server, and behind it the generation that is live
-- KEYS[2] what the keys of all generations begin with
-- ARGV[1], ARGV[2] longitude and latitude of the centre
-- ARGV[3] the first radius, in metres
-- ARGV[4] the last one: it is doubled up to there
-- ARGV[5] how many members are enough
-- ARGV[6] how many to return at most, the nearest
-- ARGV[7] the cuisine, or nothing for all
--
-- Returns {the last radius looked at, members, nearest first, and, if they are as many as are wanted, where the
-- last of them is}; 0 if there is no index, as after a restart of the server, which may have forgotten what it
-- was told last. One position costs less than the distances of all, each formatted and parsed.
local run = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), 1, 16)
local live = redis.call('GET', KEYS[1])
if not live or string.sub(live, 1, #run) ~= run then
  return 0
end
local index = KEYS[2] .. string.sub(live, #run + 1) .. ':' .. ARGV[7]
local radius, last, enough = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local found
repeat
  found = redis.call('GEOSEARCH', index, 'FROMLONLAT', ARGV[1], ARGV[2], 'BYRADIUS', radius, 'm',
    'ASC', 'COUNT', ARGV[6])
  if #found >= enough or radius >= last then
    break
  end
  radius = math.min(2 * radius, last)
until false
local edge
if #found > 0 and #found == tonumber(ARGV[6]) then
  edge = redis.call('GEOPOS', index, found[#found])[1]
end
return { string.format('%.17g', radius), found, edge }
