-- Places, moves and removes the slots of decisions, after checking that there is room: all of it or nothing.
--
-- KEYS       slots and leases of each key that is touched, sums and days where it sums amounts, and the index of each
--            recipient: a sorted set, the names of the recipient's keys by the instant until which they are needed
-- ARGV[2]    a list of {decision id, end of its lease or false, checks, slots}, carried out in order
--            checks   {p, start, end, limit}: fewer than `limit` slots count in start <= instant < end; where a fifth
--                     is true, less than `limit`
--            slots    {p, instant or false, microseconds to keep it, place of the index or 0, name in the index};
--                     false: the decision has no slot under that key. A sixth is its amount, where the key sums them
-- Result     OK; or MOVED where a check fails, and then nothing has changed: a decision that comes with checks is new
-- Atomic     all of it

local DAY = QUARTER * QUARTERS_OF_DAY
local placed, touched, indexes = {}, {}, {}

local function is_room(check)
  local p, start, stop, limit = unpack(check)
  return count(p, start, stop) < limit
end

local function take_back()
  for _, each in ipairs(placed) do
    if is_summed[each[1]] then
      take_off(each[1], {each[2]})
    end
    redis.call('ZREM', key(each[1]), each[2])
    redis.call('ZREM', key(each[1] + 1), each[2])
  end
end

local function put(id, lease, slot)
  local p, instant, amount = slot[1], slot[2], slot[6]
  if amount then
    id = string.format('%.0f:%s', amount, id)
    take_off(p, {id})
    if instant then
      add(p, instant, amount)
    end
  end
  if ended_leases[p] and (ended_leases[p].ids[id] or lease and lease <= time) then
    ended_leases[p] = nil
  end
  if instant then
    redis.call('ZADD', key(p), instant, id)
    placed[#placed + 1] = {p, id}
  else
    redis.call('ZREM', key(p), id)
  end
  if instant and lease then
    redis.call('ZADD', key(p + 1), lease, id)
  else
    redis.call('ZREM', key(p + 1), id)
  end
  if not touched[p] or touched[p][3] < slot[3] then
    touched[p] = slot
  end
end

local function keep_until(place, instant)
  redis.call('PEXPIREAT', key(place), math.ceil(instant / 1000))
end

-- Until when what lies under the key is needed. Where time is what each call says, that counts from today if later.
local function needed_until(latest, microseconds)
  if call.grace then
    return latest + microseconds
  end
  return math.max(latest, server_time) + microseconds
end

-- Let go of whole days: those that end before the instant. A day's slots and sums go together.
local function forget_days(p, instant)
  local first = day_of(quarter_of(instant))
  for _, day in ipairs(redis.call('ZRANGEBYSCORE', key(p + 3), '-inf', string.format('(%.0f', first))) do
    local fields = {'d' .. day}
    for quarter = day * QUARTERS_OF_DAY, (day + 1) * QUARTERS_OF_DAY - 1 do
      fields[#fields + 1] = field('q', quarter)
    end
    redis.call('HDEL', key(p + 2), unpack(fields))
    redis.call('ZREM', key(p + 3), day)
  end
  redis.call('ZREMRANGEBYSCORE', key(p), '-inf', string.format('(%.0f', first * DAY))
end

-- Forget what is under the key once it is needed no more, slot by slot and as a whole, and note until when the key is
-- needed in the recipient's index.
local function keep(p, microseconds, index, name)
  if call.grace and is_summed[p] then
    forget_days(p, server_time - microseconds)
  elseif call.grace then
    redis.call('ZREMRANGEBYSCORE', key(p), '-inf', server_time - microseconds)
  end
  local latest = tonumber(redis.call('ZREVRANGE', key(p), 0, 0, 'WITHSCORES')[2])
  local needed = latest and needed_until(latest, microseconds)
  if needed then
    for place = p, is_summed[p] and p + 3 or p + 1 do
      keep_until(place, needed)
    end
  end
  if index == 0 then
    return
  end
  indexes[index] = true
  if needed then
    redis.call('ZADD', key(index), needed, name)
  else
    redis.call('ZREM', key(index), name)
  end
end

local function keep_index(index)
  if call.grace then
    redis.call('ZREMRANGEBYSCORE', key(index), '-inf', server_time)
  end
  local latest = redis.call('ZREVRANGE', key(index), 0, 0, 'WITHSCORES')[2]
  if latest then
    keep_until(index, latest)
  end
end

for _, item in ipairs(plan) do
  local id, lease, checks, slots = unpack(item)
  for _, check in ipairs(checks) do
    is_summed[check[1]] = check[5]
  end
  for _, slot in ipairs(slots) do
    is_summed[slot[1]] = slot[6] and true
  end
  for _, check in ipairs(checks) do
    if not is_room(check) then
      take_back()
      return answer('MOVED')
    end
  end
  for _, slot in ipairs(slots) do
    put(id, lease, slot)
  end
end
for p, slot in pairs(touched) do
  keep(p, slot[3], slot[4], slot[5])
end
for index in pairs(indexes) do
  keep_index(index)
end
return answer('OK')
