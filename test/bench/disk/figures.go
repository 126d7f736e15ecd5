package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// figures compares what was measured with the targets, and measures CPU time and memory.
func figures(ctx context.Context, o options, images imageSet, results []result) ([]figure, error) {
	our := results[0]
	all := []figure{
		{"stored for version 3, of version 1", share(our.Stored[2]-our.Stored[1], our.Stored[0]), "%", "≤ 20 (DVP 100)"},
		{"stored for version 2, of version 1", share(our.Stored[1]-our.Stored[0], our.Stored[0]), "%", ""},
		{"delta restore of version 2 moves, of a full one", share(our.DeltaBy, our.Stored[0]), "%", "≤ 6"},
	}
	for _, measure := range []func(context.Context, options, imageSet) ([]figure, error){pairFigures, cpuFigures, restoreFigures, killFigures, largeFigures} {
		more, err := measure(ctx, o, images)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

func share(part, all int64) float64 { return float64(part) * 100 / float64(all) }

const rounds = 3

// cpuFigures compares an import's CPU time with that of zstd -1 and sha256sum over the same bytes; the least of some rounds.
func cpuFigures(ctx context.Context, o options, images imageSet) (all []figure, err error) {
	packed := filepath.Join(o.dir, "packed")
	if _, err := dataOf(images.Raw[0], packed); err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(packed) }()
	var push, faces, peer float64
	for round := range rounds {
		dir := filepath.Join(o.dir, fmt.Sprint("cpu", round))
		s, err := serve(dir)
		if err != nil {
			return nil, err
		}
		u, err := child(ctx, s, "push", images.Raw[0], "v1")
		if err == nil {
			var f usage
			before := selfCPU()
			f, err = child(ctx, s, "faces", "x", "v1")
			faces = least(faces, f.cpu+selfCPU()-before, round)
		}
		if err = errors.Join(err, s.Close(ctx), os.RemoveAll(dir)); err != nil {
			return nil, err
		}
		z, err := cpuOf(ctx, "zstd", "-1", "-T1", "-q", "-c", packed)
		if err != nil {
			return nil, err
		}
		h, err := cpuOf(ctx, "sha256sum", packed)
		if err != nil {
			return nil, err
		}
		push, peer = least(push, u.cpu, round), least(peer, z+h, round)
	}
	return []figure{
		{"import: CPU", push, "s", ""},
		{"zstd -1 + sha256sum over the same data: CPU", peer, "s", ""},
		{"import: CPU against that", push / peer, "×", "≤ 1.3"},
		{"making both faces, client and registry: CPU", faces, "s", ""},
	}, nil
}

func least(old, next float64, round int) float64 {
	if round == 0 {
		return next
	}
	return min(old, next)
}

// pairFigures restores by turns from DVCR and as DVP's users do, so that what else the machine does meets both; the least of some
// rounds each.
func pairFigures(ctx context.Context, o options, images imageSet) (all []figure, err error) {
	dir := filepath.Join(o.dir, "pair")
	w := tarWay{filepath.Join(dir, "peer")}
	if _, err := w.put(ctx, images.Raw[0], "v1"); err != nil {
		return nil, err
	}
	peers, err := serve(w.dir)
	if err != nil {
		return nil, err
	}
	s, err := serve(dir)
	if err != nil {
		return nil, errors.Join(err, peers.Close(ctx))
	}
	defer func() { err = errors.Join(err, s.Close(ctx), peers.Close(ctx), os.RemoveAll(dir)) }()
	if _, err := child(ctx, s, "push", images.Raw[0], "v1"); err != nil {
		return nil, err
	}
	out := filepath.Join(dir, "out.raw")
	var our, peer float64
	for round := range rounds {
		t, err := timedAnew([]string{out}, func() error { _, err := child(ctx, s, "restore", out, "v1"); return err })
		if err != nil {
			return nil, err
		}
		our = least(our, t, round)
		t, err = timedAnew(append(w.left(), copied(w.dir)), func() error { return copyBySkopeo(ctx, peers, w.dir, w.extract(ctx)) })
		if err != nil {
			return nil, err
		}
		peer = least(peer, t, round)
	}
	if err := command(ctx, "cmp", out, w.out()); err != nil {
		return nil, err
	}
	return []figure{
		{"full restore, by turns: DVCR", our, "s", ""},
		{"full restore, by turns: skopeo copy + tar x + qemu-img convert", peer, "s", ""},
		{"full restore: skopeo copy + tar x + qemu-img convert takes", peer / our, "×", "≥ 2"},
	}, nil
}

// restoreFigures compares a restore with qemu-img convert of the same image, from memory to the page cache, neither synced.
func restoreFigures(ctx context.Context, o options, images imageSet) (all []figure, err error) {
	dir := filepath.Join(o.dir, "convert")
	s, err := serve(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close(ctx), os.RemoveAll(dir)) }()
	plain, packed := filepath.Join(dir, "plain.qcow2"), filepath.Join(dir, "packed.qcow2")
	if err := command(ctx, "qemu-img", "convert", "-O", "qcow2", images.Raw[0], plain); err != nil {
		return nil, err
	}
	if err := command(ctx, "qemu-img", "convert", "-c", "-O", "qcow2", images.Raw[0], packed); err != nil {
		return nil, err
	}
	if _, err := child(ctx, s, "push", images.Raw[0], "v1"); err != nil {
		return nil, err
	}
	out := filepath.Join(dir, "out.raw")
	var our, ourCPU, fromPlain, fromPacked float64
	for round := range rounds {
		_ = os.Remove(out) // not there the first time
		var u usage
		t, err := timed(func() (err error) { u, err = child(ctx, s, "restore", out, "v1"); return err })
		if err != nil {
			return nil, err
		}
		our, ourCPU = least(our, t, round), least(ourCPU, u.cpu, round)
		for image, best := range map[string]*float64{plain: &fromPlain, packed: &fromPacked} {
			_ = os.Remove(out)
			t, err := timed(func() error { return command(ctx, "qemu-img", "convert", "-O", "raw", image, out) })
			if err != nil {
				return nil, err
			}
			*best = least(*best, t, round)
		}
	}
	return []figure{
		{"restore", our, "s", ""},
		{"restore: CPU", ourCPU, "s", ""},
		{"restore: time against qemu-img convert of qcow2 -c", our / fromPacked, "×", "< 1"},
		{"restore: time against qemu-img convert of qcow2, uncompressed: nothing to decode, nothing verified", our / fromPlain, "×", ""},
	}, nil
}

// largeFigures shows that memory does not grow with the disk.
func largeFigures(ctx context.Context, o options, images imageSet) (all []figure, err error) {
	if o.large == "" {
		return nil, nil
	}
	dir := filepath.Join(o.dir, "large")
	s, err := serve(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close(ctx), os.RemoveAll(dir)) }()
	large := filepath.Join(dir, "large.raw")
	if err := command(ctx, "cp", "--sparse=always", images.Raw[0], large); err != nil {
		return nil, err
	}
	if err := command(ctx, "truncate", "-s", o.large, large); err != nil {
		return nil, err
	}
	info, err := os.Stat(large)
	if err != nil {
		return nil, fmt.Errorf("look at large image: %w", err)
	}
	at := strconv.FormatInt(info.Size()/2>>20, 10)
	if err := command(ctx, "dd", "if="+images.Raw[2], "of="+large, "bs=1M", "seek="+at, "conv=notrunc,sparse", "status=none"); err != nil {
		return nil, err
	}
	push, err := child(ctx, s, "push", large, "v1")
	if err != nil {
		return nil, err
	}
	restore, err := child(ctx, s, "restore", filepath.Join(dir, "out.raw"), "v1")
	if err != nil {
		return nil, err
	}
	const mib = 1 << 20
	return []figure{
		{"import of " + o.large + ": memory", float64(push.memory) / mib, "MiB", "≤ 256"},
		{"restore of " + o.large + ": memory", float64(restore.memory) / mib, "MiB", "≤ 256"},
		{"import of " + o.large + ": CPU", push.cpu, "s", ""},
		{"restore of " + o.large + ": CPU", restore.cpu, "s", ""},
	}, nil
}

func cpuOf(ctx context.Context, name string, args ...string) (float64, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), nil
}
