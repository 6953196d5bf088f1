-- Delete entries with their leases, and tags, and tell every process: one step, so that nobody can read
-- the old entry after the message, nor miss the message after the deletion.
--
-- KEYS[1]   the bus's sequence number
-- KEYS[2]   the set of schema fingerprints that have leases or entries of this cache
-- KEYS[3..] tags to delete
-- ARGV[1]   the bus's channel
-- ARGV[2]   the message to publish behind the number
-- ARGV[3]   what entry keys start with, before the fingerprint
-- ARGV[4]   what lease keys start with, before the fingerprint
-- ARGV[5]   the caller's own fingerprint
-- ARGV[6]   what fence keys start with
-- ARGV[7]   how long a lease holds, in milliseconds
-- ARGV[8..] id and token in turn; a token names the fence its writer set up with the new value in hand
--
-- Deletes the fences of all writers. Where the caller's own still stood, nobody has written since, so it
-- becomes the lease: the caller may fill.
--
-- Entry keys are built here, because the fingerprints are known only here; they carry the same hash tag
-- as KEYS[1], so they live on this node. Returns the sequence number of the message.
--
-- Deletions come first: a Redis out of memory lets a script that began with a write go on to its end.
local schemas = redis.call('SMEMBERS', KEYS[2])
schemas[#schemas + 1] = ARGV[5]
for i = 8, #ARGV, 2 do
  local id, token = ARGV[i], ARGV[i + 1]
  local stands = token ~= '' and redis.call('GET', ARGV[6] .. id) == token
  for _, schema in ipairs(schemas) do
    redis.call('DEL', ARGV[3] .. schema .. ':' .. id, ARGV[4] .. schema .. ':' .. id, ARGV[6] .. id)
  end
  if stands then
    redis.call('SET', ARGV[4] .. ARGV[5] .. ':' .. id, token, 'PX', ARGV[7])
  end
end
for i = 3, #KEYS do
  redis.call('DEL', KEYS[i])
end
local sequence = redis.call('INCR', KEYS[1])
redis.call('PUBLISH', ARGV[1], sequence .. '\n' .. ARGV[2])
return sequence
