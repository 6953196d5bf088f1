-- Give a lease back without a fill, at once or a little later.
--
-- KEYS[1] the lease
-- ARGV[1] the token it was granted under
-- ARGV[2] milliseconds it shall still stand (0: none), to keep a failing loader from being stormed
--
-- Returns 1 if the lease was ours, else 0.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
