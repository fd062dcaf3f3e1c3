"""Django's PostgreSQL backend, which finds the embedded server and asks for version 18."""
