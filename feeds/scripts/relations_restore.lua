-- Keep whose posts a user is shown, if the lease still stands; then give it back.
--
-- KEYS[1] whose posts are shown
-- KEYS[2] the lease to restore that
-- ARGV[1] the token the lease was granted under
-- ARGV[2] the authors
-- ARGV[3] how long it may live, in milliseconds
--
-- Returns 1 if it is there now, 0 if the lease is gone: expired, of a server that has been started anew since, or
-- deleted with a change of relations that came after the table was read.
local run = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), 1, 16)
if redis.call('GET', KEYS[2]) ~= run .. ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], run .. ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
