-- Decide a call by all windows of a bucket at once, on this server's clock; record it if all have room.
--
-- KEYS[1]   the bucket's log
-- ARGV[1]   the cost: how many units the call takes, at most the smallest limit
-- ARGV[2]   1 to spend them, 0 to look: it fails where spending would, on a server that takes no writes
-- ARGV[3]   nothing; in tests the moment, in Unix milliseconds
-- ARGV[4..] limit and period (milliseconds, below 2^32) of each window in turn, 16 windows at most
--
-- Returns {which window refuses longest, or 0; ms until none would refuse; then of each window: units left, and
-- ms until there is one more, or 0 if it is empty}. Milliseconds are rounded up.
--
-- The log is one string for all windows, for they have accepted the same calls. Its header: the newest moment (a
-- double), the next slot, how many slots, how many windows, and of each window its period and how many units it
-- holds: the newest so many of the log. Then a ring of slots with the moments of units, in ms modulo 2^32; they
-- are made whole by their distance from the newest.
--
-- A unit's moment is rounded up, and none is before the one it follows; it leaves when now, with its fraction, is
-- a period later. The string only grows by SET: SETRANGE past its end would take up to twice the memory.
local key, cost, now = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + time[2] / 1000
end
local last, head, slots, known, held, lives = -math.huge, 0, 1, 0, 0, {}
local header = redis.call('GETRANGE', key, 0, 144)
if header ~= '' then
  last, head, slots, known = struct.unpack('<dI4I4B', header)
  for i = 1, known do
    local period, live = struct.unpack('<I4I4', header, 10 + 8 * i)
    lives[period], held = live, math.max(held, live)
  end
end
local start, windows = 17 + 8 * known, (#ARGV - 3) / 2

local function read(slot, count)
  return redis.call('GETRANGE', key, start + 4 * slot, start + 4 * (slot + count) - 1)
end

-- The moment of the unit that is followed by `age` others.
local function moment(age)
  return last - (last - struct.unpack('<I4', read((head - 1 - age) % slots, 1))) % 4294967296
end

-- How many of the newest `live` units are within the period, and the oldest one's moment. It looks at the oldest
-- first, goes on in steps that double, and then by halves: mostly none or one has left.
local function within(live, period)
  if now - last >= period then
    return 0, last
  end
  local inside, outside, oldest, step = 0, live, last, 1
  while outside - inside > 1 do
    local age = math.max(outside - step, math.floor((inside + outside) / 2))
    local found = moment(age)
    if now - found < period then
      inside, oldest = age, found
    else
      outside, step = age, 2 * step
    end
  end
  return outside, oldest
end

local answer, changed, kept, longest, most = { 0, 0 }, known ~= windows, 0, 0, 0
for i = 1, windows do
  local limit, period, oldest = tonumber(ARGV[2 * i + 2]), tonumber(ARGV[2 * i + 3])
  changed = changed or not lives[period]
  lives[period], oldest = within(lives[period] or held, period)
  local live, age = lives[period], limit - cost
  kept = math.max(kept, live)
  if live > age then
    local wait = math.ceil((age == live - 1 and oldest or moment(age)) + period - now)
    if wait > answer[2] then
      answer[1], answer[2] = i, wait
    end
  end
  answer[2 * i + 1] = math.max(0, limit - live)
  -- Of a limit that was lowered, more have to leave than the oldest.
  local leaving = live > limit and moment(limit - 1) or oldest
  answer[2 * i + 2] = live > 0 and math.ceil(leaving + period - now) or 0
  if period > longest then
    longest, most = period, limit
  end
end

if answer[1] == 0 and ARGV[2] == '0' then
  -- Writes nothing, and is refused as a write.
  redis.call('SETRANGE', key, 0, '')
elseif answer[1] == 0 then
  last = math.max(math.ceil(now), last)
  if changed or kept + cost > slots then
    local first = (head - kept) % slots
    local straight = math.min(kept, slots - first)
    local log = read(first, straight) .. read(0, kept - straight)
    head, slots, start = kept, 16, 17 + 8 * windows
    while slots < kept + cost do
      slots = 2 * slots
    end
    -- Never more than the longest window can fill, as far as that is room enough.
    slots = math.min(slots, math.max(most, kept + cost))
    redis.call('SET', key, string.rep('\0', start) .. log .. string.rep('\0', 4 * (slots - kept)))
  end
  local straight, unit = math.min(cost, slots - head), struct.pack('<I4', last % 4294967296)
  redis.call('SETRANGE', key, start + 4 * head, unit:rep(straight))
  if straight < cost then
    redis.call('SETRANGE', key, start, unit:rep(cost - straight))
  end
  header = struct.pack('<dI4I4B', last, (head + cost) % slots, slots, windows)
  for i = 1, windows do
    local period = tonumber(ARGV[2 * i + 3])
    header = header .. struct.pack('<I4I4', period, lives[period] + cost)
    answer[2 * i + 1] = answer[2 * i + 1] - cost
    if lives[period] == 0 then
      answer[2 * i + 2] = math.ceil(last + period - now)
    end
  end
  redis.call('SETRANGE', key, 0, header)
  redis.call('PEXPIRE', key, longest + 1000)
end
return answer
