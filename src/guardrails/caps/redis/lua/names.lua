-- Lists what is kept for a recipient.
--
-- KEYS       the recipient's index (see place.lua)
-- ARGV[2]    not used
-- Result     OK, and the names in the index that are still needed
-- Atomic     all of it

return answer('OK', redis.call('ZRANGEBYSCORE', key(1), call.grace and server_time or '-inf', '+inf'))
