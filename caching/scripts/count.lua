-- Add what a process has counted to the totals, once, however often it is sent.
--
-- KEYS[1]   the totals of one cache
-- KEYS[2]   the number of this process's last flush
-- ARGV[1]   the number of this flush
-- ARGV[2]   how long that number must be remembered, in milliseconds
-- ARGV[3..] name and count in turn
--
-- Returns 1 if they were added, 0 if they were before: the answer to that was lost or late.
if redis.call('GET', KEYS[2]) == ARGV[1] then
  return 0
end
for i = 3, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
