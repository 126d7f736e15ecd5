package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is USER_HZ, in which /proc counts CPU time.
const clockTick = 10 * time.Millisecond

func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+2:]))
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	system, err := strconv.Atoi(fields[12])
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return time.Duration(user+system) * clockTick, nil
}

// memory reports the peak of every process of the platform.
func (b *bench) memory(context.Context, options) ([]figure, error) {
	resident, err := memoryOf(b.pid, "VmRSS:")
	if err != nil {
		return nil, err
	}
	peak, err := memoryOf(b.pid, "VmHWM:")
	if err != nil {
		return nil, err
	}
	figures := []figure{
		{Name: "resident memory of slipway (controllers, DVCR, Git, engine)", Value: resident, Unit: "MiB", Target: "< 150"},
		{Name: "peak memory of slipway, while it imported", Value: peak, Unit: "MiB"},
	}
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, entry := range entries {
		line, err := os.ReadFile(entry)
		pid, convErr := strconv.Atoi(filepath.Base(filepath.Dir(entry)))
		if err != nil || convErr != nil || pid == b.pid || !bytes.Contains(line, []byte(b.layout.Root)) {
			continue
		}
		peak, err := memoryOf(pid, "VmHWM:")
		if err != nil {
			continue
		}
		program, _, _ := bytes.Cut(line, []byte{0})
		figures = append(figures, figure{Name: "peak memory of " + filepath.Base(string(program)), Value: peak, Unit: "MiB"})
	}
	return figures, nil
}

// memoryOf reads a line of /proc/PID/status, in MiB.
func memoryOf(pid int, label string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, label); found {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			if err != nil {
				return 0, fmt.Errorf("parse %q: %w", line, err)
			}
			return kib / 1024, nil
		}
	}
	return 0, fmt.Errorf("process %d has no line %s", pid, label)
}
