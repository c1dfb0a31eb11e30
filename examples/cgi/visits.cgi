#!/usr/bin/env -S lemon-session cgi --storage sqlite:/var/lib/visits/sessions.db --cache /var/cache/visits
