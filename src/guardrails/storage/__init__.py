"""Where the rooms keep their state: connections, tables, migrations, and the two transactors that run handlers.

A room's store is made for one unit of work, over a connection (SQL) or a journal (memory); `bootstrap` joins the
stores of all rooms into a session. Nothing here knows a room.
"""
