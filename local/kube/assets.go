package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// assets are the programs of a control plane, each in a process of its own, as
// test tools of other projects install them.
type assets struct {
	etcd, server, controllers string
}

// String implements fmt.Stringer.
func (a assets) String() string { return a.server + " and the programs beside it" }

// inAssets looks into the directory that the environment names.
func inAssets(ctx context.Context, o Options) (program, error) {
	dir := os.Getenv(AssetsVariable)
	if dir == "" {
		return nil, fmt.Errorf("%w: not set", errNotHere)
	}
	return findAssets(ctx, o, func(name string) (string, error) {
		return exec.LookPath(filepath.Join(dir, name))
	})
}

func assetsOnPath(ctx context.Context, o Options) (program, error) {
	return findAssets(ctx, o, exec.LookPath)
}

// findAssets wants all three programs: without the controllers, namespaces
// would stay and nothing owned would be collected.
func findAssets(ctx context.Context, o Options, look func(string) (string, error)) (program, error) {
	if o.Detached {
		return nil, fmt.Errorf("%w: separate programs cannot run on without this one", errNotHere)
	}
	var a assets
	for name, path := range map[string]*string{"etcd": &a.etcd, "kube-apiserver": &a.server, "kube-controller-manager": &a.controllers} {
		found, err := look(name)
		if err != nil {
			return nil, fmt.Errorf("%w: no %s", errNotHere, name)
		}
		*path = found
	}
	for _, path := range []string{a.server, a.controllers} {
		if err := a.checkMinor(ctx, path); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (assets) checkMinor(ctx context.Context, path string) error {
	text, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return fmt.Errorf("%w: ask %s for its version: %w", errNotHere, path, err)
	}
	if err := suitsMinor(string(text)); err != nil {
		return fmt.Errorf("%w: %s %w", errNotHere, path, err)
	}
	return nil
}

var errNoVersion = errors.New("prints no version")

// suitsMinor says whether the printed version ("Kubernetes v1.36.2") is of the
// minor release that Slipway runs on.
func suitsMinor(printed string) error {
	fields := strings.Fields(printed)
	if len(fields) == 0 {
		return errNoVersion
	}
	have, err := semver.NewVersion(fields[len(fields)-1])
	if err != nil {
		return fmt.Errorf("%w: %q", errNoVersion, printed)
	}
	want := semver.MustParse(KubernetesVersion)
	if have.Major() != want.Major() || have.Minor() != want.Minor() {
		return fmt.Errorf("is Kubernetes %s, wanted %d.%d", have, want.Major(), want.Minor())
	}
	return nil
}
