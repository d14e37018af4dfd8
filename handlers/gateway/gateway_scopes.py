"""The scopes of the calls that every gateway offers.

A plugin may declare a scope with one of these names, to describe what it allows in the plugin's
own calls.
"""

from scopegate.schemas.scopes import Risk, Scope

READ = Scope(
    "read",
    "See your e-mail address, past sign-ins, apps and connected apps.",
)
ADMIN = Scope(
    "admin",
    "Manage your tokens and apps, and disconnect apps.",
    allows_apps="Register apps for you, and create more tokens that may do what the app may. It"
    " cannot touch your own tokens and apps, or other connected apps.",
    risk=Risk.CRITICAL,
)

SCOPES = (READ, ADMIN)
