#!/bin/sh
# Sends a volume to an upload server: all of a device, or the files of a directory. The server has to be told how many
# bytes will come, to say how far it is.
set -eu
: "${VOLUME_MODE:?block or filesystem}" "${MOUNT_POINT:?where the volume is}"

send() {
  exec /usr/bin/cdi-cloner -v=3 -alsologtostderr -content-type "$1" -upload-bytes "$2" -mount "$MOUNT_POINT"
}

if [ "$VOLUME_MODE" = block ]; then
  send blockdevice-clone "$(blockdev --getsize64 "$MOUNT_POINT")"
fi
cd "$MOUNT_POINT"
# Holes are filled only where the volume was to be allocated in full.
if [ "${PREALLOCATION:-}" = true ]; then
  size=$(du --summarize --bytes .)
else
  size=$(du --summarize --block-size=1 .)
fi
send filesystem-clone "${size%%[!0-9]*}"
