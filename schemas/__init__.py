"""What travels: the requests and replies of every call, and the scopes. Imports nothing of ours."""
