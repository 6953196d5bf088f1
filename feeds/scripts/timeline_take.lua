-- Take posts out of the timelines that exist; where there is none, take away the lease to populate it.
--
-- KEYS[1] what the keys of timelines start with
-- KEYS[2] what the keys of leases start with
-- ARGV[1] how many posts are too few for a timeline that does not go down to the first post
-- ARGV[2] how many of the following are users
-- ARGV[3..] the users; then the ids
--
-- Returns how many timelines there are.
--
-- The marker stays, so what is left is still complete above it. Where little is left, most pages would have to
-- go on in the database: such a timeline is deleted, and populated anew by the next read.
local users = tonumber(ARGV[2])
local ids = {}
for i = users + 3, #ARGV do
  ids[#ids + 1] = ARGV[i]
end
local found = 0
for i = 3, users + 2 do
  local key = KEYS[1] .. ARGV[i]
  local marker = redis.call('ZRANGE', key, 0, 0)[1]
  if not marker then
    redis.call('DEL', KEYS[2] .. ARGV[i])
  else
    found = found + 1
    local taken = redis.call('ZREM', key, unpack(ids))
    local cut = string.sub(marker, 1, 1) ~= '!'
    if taken > 0 and cut and redis.call('ZCARD', key) - 1 < tonumber(ARGV[1]) then
      redis.call('DEL', key)
    end
  end
end
return found
