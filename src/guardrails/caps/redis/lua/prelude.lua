-- The beginning of every script: nothing is done unless this server still holds the epoch, and in time.
--
-- KEYS       first the marker of each shard that the call touches, then the script's own keys
-- ARGV[1]    JSON {"markers": how many, "servers": {id: true, ...}, "not_after": instant,
--                  "now": instant or false, "grace": microseconds or false, "apart": microseconds}
-- ARGV[2]    JSON, the script's own plan; it names its keys by their places among them, from 1
-- Result     {status, the server's time, the script's own result}; of the statuses, three are given here:
--            LATE   the caller has given up by now
--            APART  the caller's `now` is so far behind this server's clock that slots it asks for may be gone
--            STALE  this server is another one, was restarted, emptied, or follows or followed another: it does not hold
--                   all of the epoch
-- Atomic     all of it
--
-- Instants are microseconds since 1970. A lease has ended where it has by `now` and by the server's clock, and is
-- forgotten `grace` later, so that a decision that had to wait still finds it. Without `grace` the time is `now` alone,
-- which may go back, and nothing is forgotten for its age.
--
-- Under a cap's key there are two sorted sets, at the places p and p + 1: its slots, decision ids by the instant that
-- questions compare, and the leases of those that are only reserved, decision ids by the end of the lease.
--
-- A key that sums amounts holds ids with their amounts in front, `250:d-1`, and two more: at p + 2 a hash, the sum of
-- each quarter of an hour (q1987200) and of each day in UTC (d20700) that is not 0, reservations included, whatever their
-- lease; at p + 3 a sorted set of those days. INVARIANT: what is in the slots is in the sums.

local call, plan = cjson.decode(ARGV[1]), cjson.decode(ARGV[2])
local clock = redis.call('TIME')
local server_time = clock[1] * 1000000 + clock[2]
local time = call.now or server_time
if call.grace then
  time = math.min(time, server_time)
end

local function answer(status, result)
  return {status, string.format('%.0f', server_time), result}
end

if server_time > call.not_after then
  return answer('LATE')
end
if call.grace and call.now and server_time - call.now > call.apart then
  return answer('APART')
end
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local role, history = string.match(redis.call('INFO', 'replication'), 'role:(%a+).-master_replid:(%x+)')
if role ~= 'master' or not call.servers[run_id .. ':' .. history] then
  return answer('STALE')
end
if call.markers > 0 and redis.call('EXISTS', unpack(KEYS, 1, call.markers)) < call.markers then
  return answer('STALE')
end

local function key(place)
  return KEYS[call.markers + place]
end

local ended_leases = {}
local is_summed = {} -- by place; set by the scripts before anything is asked of the key
local QUARTER, QUARTERS_OF_DAY = 900000000, 96

local function quarter_of(instant)
  return math.floor(instant / QUARTER)
end

local function day_of(quarter)
  return math.floor(quarter / QUARTERS_OF_DAY)
end

local function field(letter, number)
  return string.format('%s%.0f', letter, number)
end

local function amount_of(member)
  return tonumber(string.match(member, '^%d+'))
end

-- Make the sums at an instant greater by an amount, or less.
local function add(p, instant, amount)
  local quarter = quarter_of(instant)
  local day = day_of(quarter)
  for _, name in ipairs({field('q', quarter), field('d', day)}) do
    if redis.call('HINCRBY', key(p + 2), name, string.format('%.0f', amount)) == 0 then
      redis.call('HDEL', key(p + 2), name)
    end
  end
  if redis.call('HEXISTS', key(p + 2), field('d', day)) == 1 then
    redis.call('ZADD', key(p + 3), day, field('', day))
  else
    redis.call('ZREM', key(p + 3), field('', day))
  end
end

-- Take slots out of their sums, those that are in them; each quarter of an hour is written once.
local function take_off(p, members)
  local by_quarter = {}
  for _, member in ipairs(members) do
    local instant = tonumber(redis.call('ZSCORE', key(p), member))
    if instant then
      local quarter = quarter_of(instant)
      by_quarter[quarter] = (by_quarter[quarter] or 0) + amount_of(member)
    end
  end
  for quarter, amount in pairs(by_quarter) do
    add(p, quarter * QUARTER, -amount)
  end
end

-- What has been ended for so long that nobody has to find it any more is forgotten.
local function forget_ended(p)
  local long_ago = server_time - call.grace
  local forgotten = redis.call('ZRANGEBYSCORE', key(p + 1), '-inf', long_ago)
  if is_summed[p] then
    take_off(p, forgotten)
  end
  for first = 1, #forgotten, 1000 do -- as many as the stack surely holds
    redis.call('ZREM', key(p), unpack(forgotten, first, math.min(first + 999, #forgotten)))
  end
  redis.call('ZREMRANGEBYSCORE', key(p + 1), '-inf', long_ago)
end

-- The slots under the key whose lease has ended: how many, a set of their ids, and their instants in order. They are
-- looked up once, however many checks and questions there are.
local function ended_at(p)
  local ended = ended_leases[p]
  if ended then
    return ended
  end
  ended = {number = 0, ids = {}, instants = {}}
  ended_leases[p] = ended
  local ids = redis.call('ZRANGEBYSCORE', key(p + 1), '-inf', time)
  if #ids == 0 then
    return ended
  end
  if call.grace then
    forget_ended(p)
  end
  for _, id in ipairs(ids) do
    local instant = tonumber(redis.call('ZSCORE', key(p), id))
    if instant then
      ended.number = ended.number + 1
      ended.ids[id] = instant
      ended.instants[ended.number] = instant
    end
  end
  table.sort(ended.instants)
  return ended
end

-- How many of the instants, which are in order, are before one.
local function number_before(instants, instant)
  local low, high = 0, #instants
  while low < high do
    local middle = math.floor((low + high) / 2)
    if instants[middle + 1] < instant then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

-- What the quarters hold with first <= quarter < beyond; beyond == nil: without end.
local function summed(p, first, beyond)
  local from_day, to_day = day_of(first + QUARTERS_OF_DAY - 1), beyond and day_of(beyond)
  local fields = {}
  local function add_quarters(from, to)
    for quarter = from, to - 1 do
      fields[#fields + 1] = field('q', quarter)
    end
  end
  if to_day and to_day <= from_day then
    add_quarters(first, beyond)
  else
    add_quarters(first, from_day * QUARTERS_OF_DAY)
    local last = to_day and string.format('(%.0f', to_day) or '+inf'
    for _, day in ipairs(redis.call('ZRANGEBYSCORE', key(p + 3), from_day, last)) do
      fields[#fields + 1] = 'd' .. day
    end
    if to_day then
      add_quarters(to_day * QUARTERS_OF_DAY, beyond)
    end
  end
  local total = 0
  for start = 1, #fields, 1000 do -- as many as the stack surely holds
    for _, sum in ipairs(redis.call('HMGET', key(p + 2), unpack(fields, start, math.min(start + 999, #fields)))) do
      total = total + (tonumber(sum) or 0)
    end
  end
  return total
end

-- How much counts with from <= instant < to, in whole quarters of an hour; to == nil: without end.
local function sum(p, from, to)
  local first, beyond = quarter_of(from), to and -quarter_of(-to)
  local ended = ended_at(p) -- first: it forgets some
  local total = summed(p, first, beyond)
  for member, instant in pairs(ended.ids) do
    local quarter = quarter_of(instant)
    if quarter >= first and not (beyond and quarter >= beyond) then
      total = total - amount_of(member)
    end
  end
  return math.max(0, total)
end

-- How many slots count with from <= instant < to, or how much; to == nil: without end.
local function count(p, from, to)
  if is_summed[p] then
    return sum(p, from, to)
  end
  local ended = ended_at(p) -- first: it forgets some
  local number = redis.call('ZCOUNT', key(p), from, to and string.format('(%.17g', to) or '+inf')
  local ended_before = to and number_before(ended.instants, to) or ended.number
  return number - math.max(0, ended_before - number_before(ended.instants, from))
end
