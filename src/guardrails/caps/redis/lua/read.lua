-- Answers questions about usage.
--
-- KEYS       slots and leases of each key that is asked about
-- ARGV[2]    a list of {p, since, split or false, newest}
-- Result     OK, and for each question {older, later, instants}: how many slots count from `since` on, but for the
--            `newest` latest, whose instants are listed from the latest on; where there is a `split`, how many count
--            before it and how many from it on, and none is listed
-- Atomic     all questions see the same state

local function newest_of(p, since, most, ended)
  local instants = {}
  if most == 0 then
    return instants
  end
  local unlisted = 0
  for _ in pairs(ended) do
    unlisted = unlisted + 1
  end
  local found = redis.call('ZREVRANGEBYSCORE', key(p), '+inf', since, 'WITHSCORES', 'LIMIT', 0, most + unlisted)
  for place = 1, #found, 2 do
    if #instants < most and not ended[found[place]] then
      instants[#instants + 1] = found[place + 1]
    end
  end
  return instants
end

local answers = {}
for place, question in ipairs(plan) do
  local p, since, split, newest = unpack(question)
  local ended = ended_at(p)
  if split then
    answers[place] = {count(p, since, split, ended), count(p, split, nil, ended), {}}
  else
    local instants = newest_of(p, since, newest, ended)
    answers[place] = {count(p, since, nil, ended) - #instants, 0, instants}
  end
end
return answer('OK', answers)
