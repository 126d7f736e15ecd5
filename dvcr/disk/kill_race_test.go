//go:build race

package disk_test

// kills is small where each byte costs twenty times as much.
const kills = 6
