-- Bring a session up to a change that its row has taken.
--
-- KEYS[1] the session's hash
-- KEYS[2] the lease to restore it
-- ARGV[1] the row's version before the change
-- ARGV[2] and after it
-- ARGV[3] how many of the following are names of fields to delete
-- ARGV[4..] these names; then name and value in turn, to set
--
-- Returns 1 if the hash has the change now, else 0: it was of another version, and is gone.
--
-- Whoever holds the lease may have read the row before the change. A hash that has missed a change, because
-- two came the other way round, is deleted: the next load restores it. None is brought back here.
redis.call('DEL', KEYS[2])
local version = redis.call('HGET', KEYS[1], 'version')
if not version then
  return 0
end
if tonumber(version) >= tonumber(ARGV[2]) then
  return 1
end
if version ~= ARGV[1] then
  redis.call('DEL', KEYS[1])
  return 0
end
local first = 4 + ARGV[3]
for i = 4, first - 1 do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
for i = first, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[1], 'version', ARGV[2])
return 1
