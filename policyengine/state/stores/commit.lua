-- A plain commit in one atomic step: sliding and calendar windows, no session, approval or idempotency key. It does what
-- `transaction.lua` does with such a commit, and `policyengine/state/apply.py` is the specification of both. It touches
-- each meter as little as it can: its head is read, and a ring is not taken apart.
--
-- KEYS: the meters, in the order of the charges, then the lease. ARGV[1]: the time in microseconds, or nothing for the
-- server's own. ARGV[2]: lease, keep, and each charge. ARGV[3]: what the lease keeps. The answer is 'D' (done), 'R'
-- (refused), 'K' (the clocks differ too much), or nothing at all where a meter is written in another form: nothing was
-- done then, and the other script does it. `form.lua` says how meters and leases are written.

local BUCKETS, GRACE = 60, 60000000
local take, put, floor, max = struct.unpack, struct.pack, math.floor, math.max

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local asked, count = ARGV[2], #KEYS - 1
local lease, keep, pos = take('>dd', asked)
local values, lasting, places, said, refused = {}, {}, {}, {}, {}
local skewed = false

for i, value in ipairs(count > 0 and redis.call('MGET', unpack(KEYS, 1, count)) or {}) do
  local kind, amount, ceiling, a, b, c, d, meta
  kind, amount, ceiling, a, b, c, d, meta, pos = take('>BddddddHc0', asked, pos)
  local at, blocked, used, free = now, 0, 0, nil
  if kind == 1 then
    local sum, first, last, newest, rest = 0, -1, -1, 0, 0
    if value then
      if value:byte(1) ~= 83 then return '' end
      local seen
      seen, sum, first, last, newest, blocked, meta, rest = take('>ddddddHc0', value, 2)
      at = max(now, seen)
    end
    local index = floor(at / a)
    local oldest, size = index - BUCKETS, value and #value or 0
    while first < oldest and rest <= size and size > 0 do
      -- The oldest bucket has left the window.
      local at_index, gone, after = take('>dd', value, rest)
      if at_index >= oldest then first = at_index break end
      sum, rest = sum - gone, after
      first = rest <= size and first or last
    end
    if last < oldest then sum, first, last, newest = 0, -1, -1, 0 end
    used = sum
    if blocked <= at and used + amount <= ceiling then
      local body = size > 0 and rest <= size and value:sub(rest) or ''
      if last == index then
        newest = newest + amount
      else
        if last >= 0 then body = body .. put('>dd', last, newest) end
        if first < 0 then first = index end
        last, newest = index, amount
      end
      local ends = (index + BUCKETS + 1) * a
      used = used + amount
      values[i] = 'S' .. put('>ddddddHc0', at, used, first, last, newest, blocked, #meta, meta) .. body
      lasting[i], places[i] = max(ends, blocked) + GRACE - now, index
      said[i] = put('>dd', used, ends)
    elseif amount > ceiling then
      free = -1
    else
      local left, time = used + amount - ceiling, at
      while left > 0 and size > 0 and rest <= size do
        local at_index, gone
        at_index, gone, rest = take('>dd', value, rest)
        left, time = left - gone, (at_index + BUCKETS + 1) * a
      end
      if left > 0 and last >= 0 then time = (last + BUCKETS + 1) * a end
      free = max(time, blocked)
    end
  else
    local start, finish, counted = 0, 0, 0
    if value then
      if value:byte(1) ~= 67 then return '' end
      local seen
      seen, start, finish, counted, blocked, meta = take('>dddddHc0', value, 2)
      at = max(now, seen)
    end
    if at < start or at >= finish then
      counted = 0
      if a <= at and at < b then start, finish = a, b
      elseif b <= at and at < c then start, finish = b, c
      elseif c <= at and at < d then start, finish = c, d
      else start, finish = nil, nil end
    end
    used = counted
    if blocked <= at and used + amount <= ceiling then
      if start then
        used = used + amount
        local ends = used > 0 and finish or at
        values[i] = 'C' .. put('>dddddHc0', at, start, finish, used, blocked, #meta, meta)
        lasting[i], places[i] = max(ends, blocked) + GRACE - now, start
        said[i] = put('>dd', used, ends)
      else
        skewed = true
      end
    elseif amount > ceiling then
      free = -1
    else
      free = max(used + amount > ceiling and finish or at, blocked)
    end
  end
  if free then refused[#refused + 1] = put('>ddd', i - 1, used, free) end
end

if #refused > 0 then return 'R' .. put('>d', now) .. table.concat(refused) end
if skewed then return 'K' end

local function write(key, value, lasts)
  if ARGV[1] ~= '' then
    -- The server would forget by its own clock.
    redis.call('SET', key, value)
  else
    redis.call('SET', key, value, 'PX', max(1, math.ceil(lasts / 1000)))
  end
end

for i = 1, count do
  write(KEYS[i], values[i], lasting[i])
  places[i] = put('>d', places[i])
end
if count > 0 then
  write(KEYS[count + 1], 'L' .. put('>ddB', now + lease, now + keep, count) .. table.concat(places) .. ARGV[3], keep)
end
return 'D' .. put('>d', now) .. table.concat(said)
