-- Put posts into the timelines that exist; where there is none, take away the lease to populate it.
--
-- KEYS[1] what the keys of timelines start with
-- KEYS[2] what the keys of leases start with
-- ARGV[1] how many posts a timeline keeps
-- ARGV[2] how many more it may have, so that not every post that comes makes it lose one
-- ARGV[3] how many of the following are users
-- ARGV[4..] the users; then milliseconds and id of each post in turn, the oldest last
--
-- Returns how many timelines there are.
--
-- Whoever holds a lease may have read the database before these posts were there. Posts below the marker belong
-- to no timeline; a timeline that grows beyond its limit loses its tail, and its marker moves up to there.
-- The keys are built here: a thousand of them would take longer to send. They all carry the hash tag of KEYS[1].
local most, room, users = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local posts = {}
for i = users + 4, #ARGV do
  posts[#posts + 1] = ARGV[i]
end
local oldest = tonumber(posts[#posts - 1])
local found = 0
for i = 4, users + 3 do
  local key = KEYS[1] .. ARGV[i]
  local marker = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if not marker[1] then
    redis.call('DEL', KEYS[2] .. ARGV[i])
  else
    found = found + 1
    redis.call('ZADD', key, unpack(posts))
    if oldest <= tonumber(marker[2]) then
      local below = redis.call('ZRANK', key, marker[1])
      if below > 0 then
        redis.call('ZREMRANGEBYRANK', key, 0, below - 1)
      end
    end
    local over = redis.call('ZCARD', key) - 1 - most
    if over > room then
      local cut = redis.call('ZRANGE', key, over, over, 'WITHSCORES')
      redis.call('ZREMRANGEBYRANK', key, 0, over)
      redis.call('ZADD', key, cut[2], cut[1] .. string.match(marker[1], '!.*'))
    end
  end
end
return found
