"""Messages and their replies: declaring, admitting, running and refusing calls, and streams."""
