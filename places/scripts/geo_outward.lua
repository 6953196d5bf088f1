-- The members of an index from a distance outwards, the nearest first, however far: Hjaltason and Samet, "Distance
-- browsing in spatial databases", ACM TODS 24 (1999). A heap of cells and members by how near they may be: a cell that
-- comes to the top is counted, and gives way to its members or its quarters; a member that does is the next nearest.
--
-- KEYS[1] the marker: the run id of the server, and behind it the generation that is live
-- KEYS[2] what the keys of all generations begin with
-- ARGV[1], ARGV[2] longitude and latitude of the centre
-- ARGV[3], ARGV[4] metres: what is nearer is not looked at, nor is what is farther
-- ARGV[5] how many members
-- ARGV[6] the cuisine, or nothing for all
-- ARGV[7] the radius of the sphere, in metres
-- ARGV[8] metres that a member may be misplaced by
--
-- Returns {members, the metres up to which none is missing, or nothing if there are no more}; 0 if there is no index.
local run = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), 1, 16)
local live = redis.call('GET', KEYS[1])
if not live or string.sub(live, 1, #run) ~= run then
  return 0
end
local index = KEYS[2] .. string.sub(live, #run + 1) .. ':' .. ARGV[6]
local east, north = math.rad(ARGV[1]), math.rad(ARGV[2])
local least, last, wanted = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local radius, misplaced = tonumber(ARGV[7]), tonumber(ARGV[8])
-- Redis's map: a score is the number of one of 4^26 cells, two bits a level, that of the longitude before that of the
-- latitude. A cell of up to FEW members is not quartered.
local sin, cos, asin, sqrt, min, max, floor, pi = math.sin, math.cos, math.asin, math.sqrt, math.min, math.max, math.floor, math.pi
local TOP, DEEPEST, FEW = math.rad(85.05112878), 26, 16
local HEIGHT, WIDTH = 2 * TOP / 2 ^ DEEPEST, 2 * pi / 2 ^ DEEPEST

local function metres(here, along, latitude)
  local a, b = sin((latitude - here) / 2), sin(along / 2)
  return 2 * radius * asin(min(1, sqrt(a * a + cos(here) * cos(latitude) * b * b)))
end

-- From a point to the nearest of a cell: on the meridian that is nearest, the foot of the perpendicular, or an end.
local function away(here, there, south, west, height, width)
  local along = math.abs((west + width / 2 - there + pi) % (2 * pi) - pi) - width / 2
  if along <= 0 then
    return metres(here, 0, min(max(here, south), south + height))
  end
  local foot = math.atan2(sin(here), cos(here) * cos(along))
  if foot > south and foot < south + height then
    return metres(here, along, foot)
  end
  return min(metres(here, along, south), metres(here, along, south + height))
end

local heap, size = {}, 0
local function push(item)
  size = size + 1
  local at = size
  while at > 1 do
    local above = floor(at / 2)
    if heap[above][1] <= item[1] then
      break
    end
    heap[at], at = heap[above], above
  end
  heap[at] = item
end
local function pop()
  local top, item = heap[1], heap[size]
  heap[size], size = nil, size - 1
  local at = 1
  while 2 * at <= size do
    local below = 2 * at
    if below < size and heap[below + 1][1] < heap[below][1] then
      below = below + 1
    end
    if item[1] <= heap[below][1] then
      break
    end
    heap[at], at = heap[below], below
  end
  if size > 0 then
    heap[at] = item
  end
  return top
end

-- A cell: how near, its level, and which it is: its number, its row from the south and column from the west.
local function push_cell(level, number, row, column)
  local height, width = 2 * TOP / 2 ^ level, 2 * pi / 2 ^ level
  local south, west = row * height - TOP, column * width - pi
  -- The farthest point of a cell is the antipode of the nearest to the centre's antipode.
  if least <= 0 or pi * radius - away(-north, east + pi, south, west, height, width) + misplaced >= least then
    push({ away(north, east, south, west, height, width) - misplaced, false, level, number, row, column })
  end
end
local function push_member(id, score, level, number, row, column)
  -- The cell's own bits are known; behind them come those of the member in it.
  local part = 4 ^ (DEEPEST - level)
  local rest = score - number * part
  for _ = level + 1, DEEPEST do
    part = part / 4
    local quarter = floor(rest / part)
    rest = rest - quarter * part
    row, column = 2 * row + quarter % 2, 2 * column + floor(quarter / 2)
  end
  local latitude, longitude = (row + 0.5) * HEIGHT - TOP, (column + 0.5) * WIDTH - pi
  local distance = metres(north, longitude - east, latitude)
  if distance + misplaced >= least then
    push({ distance - misplaced, id })
  end
end

local found = {}
push_cell(0, 0, 0, 0)
while size > 0 and #found < wanted and heap[1][1] <= last do
  local bound, id, level, number, row, column = unpack(pop())
  if id then
    found[#found + 1] = id
  else
    local part = 4 ^ (DEEPEST - level)
    local from, to = string.format('%.0f', number * part), string.format('(%.0f', (number + 1) * part)
    local count = redis.call('ZCOUNT', index, from, to)
    if count > FEW and level < DEEPEST then
      for quarter = 0, 3 do
        local up, right = quarter % 2, floor(quarter / 2)
        push_cell(level + 1, 4 * number + quarter, 2 * row + up, 2 * column + right)
      end
    elseif count > max(wanted, FEW) then
      -- A crowd at one point: whoever wants more of it must say so, or look elsewhere.
      return { found, string.format('%.17g', bound) }
    elseif count > 0 then
      local members = redis.call('ZRANGEBYSCORE', index, from, to, 'WITHSCORES')
      for at = 1, #members, 2 do
        push_member(members[at], members[at + 1], level, number, row, column)
      end
    end
  end
end
return { found, size > 0 and string.format('%.17g', heap[1][1]) }
