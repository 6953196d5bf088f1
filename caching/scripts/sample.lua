-- Add one sample to the history, unless another process has added it.
--
-- KEYS[1]  what the last sample saw: its step, and the totals of then
-- KEYS[2]  the samples, the newest last
-- ARGV[1]  the step that KEYS[1] is expected to be of; empty if there was none
-- ARGV[2]  the step of now
-- ARGV[3]  the totals of now
-- ARGV[4]  the sample; empty if there is none yet
-- ARGV[5]  how many samples are kept
-- ARGV[6]  milliseconds after which nothing is left of a history that nobody goes on with
--
-- Returns 1 if it was added, 0 if another process was faster.
if (redis.call('HGET', KEYS[1], 'step') or '') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'step', ARGV[2], 'totals', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
if ARGV[4] ~= '' then
  redis.call('RPUSH', KEYS[2], ARGV[4])
  redis.call('LTRIM', KEYS[2], -tonumber(ARGV[5]), -1)
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
end
return 1
