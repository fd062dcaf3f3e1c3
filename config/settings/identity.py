"""People: sign-up, sign-in, sessions, second factor (django-allauth, headless)."""
