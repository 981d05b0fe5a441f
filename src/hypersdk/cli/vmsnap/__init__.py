"""``vmsnap``: backups of libvirt domains with rotation, status and scrubbing, from cron."""
