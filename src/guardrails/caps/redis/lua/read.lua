-- Answers questions about usage.
--
-- KEYS       slots and leases of each key that is asked about, and sums and days where it sums amounts
-- ARGV[2]    a list of {p, since, split or false, newest}, and a fifth, true, where the key sums amounts
-- Result     OK, and for each question a line of numbers: "older later instant instant ..."
--            older      how many slots count from `since` on, but for the `newest` latest
--            instants   those of the `newest` latest, from the latest on
--            Where there is a `split`, older ones count before it, later ones from it on, and none is listed.
--            Of a key that sums amounts, how much instead of how many.
-- Atomic     all questions see the same state

local function list(line, p, since, most, ended)
  local found = redis.call('ZREVRANGEBYSCORE', key(p), '+inf', since, 'WITHSCORES', 'LIMIT', 0, most + ended.number)
  for place = 1, #found, 2 do
    if #line < most + 2 and not ended.ids[found[place]] then
      line[#line + 1] = found[place + 1]
    end
  end
end

local function answer_to(question)
  local p, since, split, newest = unpack(question)
  if split then
    return {string.format('%.0f', count(p, since, split)), string.format('%.0f', count(p, split))}
  end
  local line = {0, 0}
  if newest > 0 then
    list(line, p, since, newest, ended_at(p))
  end
  line[1] = string.format('%.0f', count(p, since) - (#line - 2))
  return line
end

local answers = {}
for place, question in ipairs(plan) do
  is_summed[question[1]] = question[5]
  answers[place] = table.concat(answer_to(question), ' ')
end
return answer('OK', answers)
