-- Makes sure that the epoch is here, which every script does at its beginning.
--
-- KEYS       none of its own
-- ARGV[2]    not used
-- Result     OK
-- Atomic     all of it

return answer('OK')
