-- Begins an epoch: sets the markers of its shards.
--
-- KEYS       the markers
-- ARGV[2]    a list of their places
-- Result     OK
-- Atomic     all of it

for _, place in ipairs(plan) do
  redis.call('SET', key(place), '')
end
return answer('OK')
