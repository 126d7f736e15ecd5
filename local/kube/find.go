package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Environment variables that say where the control plane comes from.
const (
	// BinaryVariable names the slipway-controlplane to run.
	BinaryVariable = "SLIPWAY_CONTROLPLANE"
	// AssetsVariable names a directory with etcd, kube-apiserver and
	// kube-controller-manager, as controller-runtime's test tools use it.
	AssetsVariable = "KUBEBUILDER_ASSETS"
)

const programName = "slipway-controlplane"

// wantedInterface is the interface of slipway-controlplane that this package
// speaks; that program counts it up when its command line or data layout change.
const wantedInterface = 1

// errNotHere is a place that does not have a control plane.
var errNotHere = errors.New("not there")

// finder looks in one place. It returns errNotHere, wrapped or not, when the
// next place is to be tried.
type finder struct {
	place string
	look  func(ctx context.Context, o Options) (program, error)
}

// finders is the order in which places are searched.
var finders = []finder{
	{"next to this program", besideExecutable},
	{"on the PATH", onPath},
	{"in $" + AssetsVariable, inAssets},
	{"as etcd, kube-apiserver and kube-controller-manager on the PATH", assetsOnPath},
	{"built from source", fromSource},
}

// find returns the control plane that was asked for or, when none was, the
// first that is found.
func find(ctx context.Context, o Options) (program, error) {
	if named := firstOf(o.Binary, os.Getenv(BinaryVariable)); named != "" {
		found, err := checked(ctx, named)
		if err != nil {
			return nil, fmt.Errorf("use %s: %w: correct $%s, or unset it to have one found or built", named, err, BinaryVariable)
		}
		return found, nil
	}
	return search(ctx, o, finders)
}

func search(ctx context.Context, o Options, finders []finder) (program, error) {
	tried := make([]string, 0, len(finders))
	for _, f := range finders {
		found, err := f.look(ctx, o)
		if err == nil {
			return found, nil
		}
		if !errors.Is(err, errNotHere) {
			return nil, err
		}
		tried = append(tried, f.place+": "+err.Error())
	}
	return nil, fmt.Errorf("find %s for Kubernetes %s: set $%s to one, put one beside this program, or run inside a checkout of Slipway with Go installed (tried %s)",
		programName, KubernetesVersion, BinaryVariable, strings.Join(tried, "; "))
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func besideExecutable(ctx context.Context, _ Options) (program, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if resolved, err := filepath.EvalSymlinks(self); err == nil {
		self = resolved
	}
	return checked(ctx, filepath.Join(filepath.Dir(self), programName))
}

func onPath(ctx context.Context, _ Options) (program, error) {
	path, err := exec.LookPath(programName)
	if err != nil {
		return nil, errNotHere
	}
	return checked(ctx, path)
}

// checked returns the program at a path when it is the right version.
func checked(ctx context.Context, path string) (program, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%w: %s", errNotHere, path)
	}
	text, err := exec.CommandContext(ctx, path, "version").Output()
	if err != nil {
		return nil, fmt.Errorf("%w: ask %s for its version: %w", errNotHere, path, err)
	}
	if err := suits(text); err != nil {
		return nil, fmt.Errorf("%w: %s %w", errNotHere, path, err)
	}
	return binary(path), nil
}

// suits says whether what the program printed as its version is one that this
// package can run.
func suits(text []byte) error {
	var versions struct {
		Interface  int    `json:"interface"`
		Kubernetes string `json:"kubernetes"`
	}
	if err := json.Unmarshal(text, &versions); err != nil {
		return fmt.Errorf("prints no version: %w", err)
	}
	if versions.Interface != wantedInterface {
		return fmt.Errorf("has interface %d, wanted %d", versions.Interface, wantedInterface)
	}
	if versions.Kubernetes != KubernetesVersion {
		return fmt.Errorf("is Kubernetes %s, wanted %s", versions.Kubernetes, KubernetesVersion)
	}
	return nil
}
