#!/bin/sh
# Runs a program ($2 and so on) where the kernel knows the emulator of a line for systemd-binfmt (of the file $1). This is root
# of a user namespace with a mount namespace; what is registered there ends with them, and the host does not see it.
set -eu
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
grep '^:' "$1" >/proc/sys/fs/binfmt_misc/register
shift
exec "$@"
