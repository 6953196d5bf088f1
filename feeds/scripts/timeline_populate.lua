-- Make a timeline of what the database has, if the lease still stands; then give it back.
--
-- KEYS[1] the timeline
-- KEYS[2] the lease to populate it
-- ARGV[1] the token the lease was granted under
-- ARGV[2] how long the timeline may live, in milliseconds
-- ARGV[3] the id of the newest post that is left out, or nothing
-- ARGV[4] its milliseconds, or -1
-- ARGV[5..] milliseconds and id of each post in turn
--
-- Returns 1 if it is there now, 0 if the lease is gone: expired, of a server that has been started anew since, or
-- deleted by somebody who had a change and met no timeline, after the database may have been read.
local run = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), 1, 16)
if redis.call('GET', KEYS[2]) ~= run .. ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[3] .. '!' .. run)
if #ARGV > 4 then
  redis.call('ZADD', KEYS[1], unpack(ARGV, 5))
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
