"""Workers: the broker is a doorbell, the database is the queue of record."""
