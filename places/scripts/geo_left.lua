-- How long the index lives still.
--
-- KEYS[1] the marker: the run id of the server, and behind it the generation that is live
--
-- Returns milliseconds; 0 if there is no index, as after a restart of the server.
local run = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), 1, 16)
local live = redis.call('GET', KEYS[1])
if not live or string.sub(live, 1, #run) ~= run then
  return 0
end
return redis.call('PTTL', KEYS[1])
