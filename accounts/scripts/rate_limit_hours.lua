-- Add calls to a bucket's numbers by the hour, and drop the hours of yesterday.
--
-- KEYS[1]   the numbers: a hash
-- ARGV[1]   this hour, in hours of Unix time
-- ARGV[2]   how many hours are kept
-- ARGV[3..] name and count in turn; a name is a letter and the hour
--
-- Returns nothing. Sent twice it counts twice, which is possible only where the answer to it was lost.
local first = false
for i = 3, #ARGV, 2 do
  local count = redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
  first = first or count == tonumber(ARGV[i + 1])
end
if first then
  for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
    if tonumber(name:sub(2)) <= ARGV[1] - ARGV[2] then
      redis.call('HDEL', KEYS[1], name)
    end
  end
  redis.call('EXPIRE', KEYS[1], 3600 * (ARGV[2] + 1))
end
