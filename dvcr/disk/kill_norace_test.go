//go:build !race

package disk_test

const kills = 50
