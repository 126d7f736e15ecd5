// Package qmp speaks QEMU's machine protocol: JSON commands and events, one per line, on a Unix socket.
//
// In: the path of a monitor socket. Out: replies to commands, events, and the news that the other side has gone.
// It never starts or stops a process.
package qmp
