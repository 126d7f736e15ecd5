package qemu

import (
	"bufio"
	"encoding/json"
	"io"
)

// Exit says how a guest ended.
type Exit string

// The ways to end.
const (
	GuestShutdown Exit = "GuestShutdown" // the guest powered itself off, by itself or when asked
	GuestReset    Exit = "GuestReset"    // the guest reset itself and the Spec ends it then
	GuestPanicked Exit = "GuestPanicked" // the guest reported a crash of its kernel
	HostStopped   Exit = "HostStopped"   // the monitor was told to quit, or QEMU got a signal that it could handle
	Crashed       Exit = "Crashed"       // QEMU ended without a word: killed, or crashed itself
)

// shutdownEvent is the monitor's event of that name.
type shutdownEvent struct {
	Event string `json:"event"`
	Data  struct {
		Guest  bool   `json:"guest"`
		Reason string `json:"reason"`
	} `json:"data"`
}

// ReadExit reads an event log and says how the guest ended. The last shutdown counts.
func ReadExit(log io.Reader) Exit {
	exit := Crashed
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e shutdownEvent
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Event != "SHUTDOWN" {
			continue
		}
		exit = classify(e)
	}
	return exit
}

func classify(e shutdownEvent) Exit {
	switch {
	case e.Data.Reason == "guest-panic":
		return GuestPanicked
	case e.Data.Reason == "guest-reset":
		return GuestReset
	case e.Data.Guest:
		return GuestShutdown
	}
	return HostStopped
}
