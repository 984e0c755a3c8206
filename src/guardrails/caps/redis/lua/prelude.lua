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

-- What has been ended for so long that nobody has to find it any more is forgotten.
local function forget_ended(p)
  local long_ago = server_time - call.grace
  local forgotten = redis.call('ZRANGEBYSCORE', key(p + 1), '-inf', long_ago)
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
      ended.ids[id] = true
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

-- How many slots count with from <= instant < to; to == nil: without end.
local function count(p, from, to)
  local ended = ended_at(p) -- first: it forgets some
  local number = redis.call('ZCOUNT', key(p), from, to and string.format('(%.17g', to) or '+inf')
  local ended_before = to and number_before(ended.instants, to) or ended.number
  return number - math.max(0, ended_before - number_before(ended.instants, from))
end
