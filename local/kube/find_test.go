package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// script writes an executable that prints a line.
func script(t *testing.T, dir, name, line string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\necho '%s'\n", line), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

const good = `{"interface":1,"kubernetes":"` + KubernetesVersion + `"}`

func TestSuits(t *testing.T) {
	cases := map[string]struct {
		printed string
		suits   bool
	}{
		"the wanted version":  {printed: good, suits: true},
		"another Kubernetes":  {printed: `{"interface":1,"kubernetes":"v1.35.0"}`},
		"another interface":   {printed: `{"interface":2,"kubernetes":"` + KubernetesVersion + `"}`},
		"built without flags": {printed: `{"interface":1,"kubernetes":"v0.0.0-master+$Format:%H$"}`},
		"another program":     {printed: "hello"},
		"nothing":             {},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := suits([]byte(tc.printed)); (err == nil) != tc.suits {
				t.Errorf("suits: %v, want %t", err, tc.suits)
			}
		})
	}
}

func TestSuitsMinor(t *testing.T) {
	cases := map[string]struct {
		printed string
		suits   bool
	}{
		"the same":           {printed: "Kubernetes v1.36.3\n", suits: true},
		"another patch":      {printed: "Kubernetes v1.36.0\n", suits: true},
		"another minor":      {printed: "Kubernetes v1.35.9\n"},
		"a prefix of it":     {printed: "Kubernetes v1.3.6\n"},
		"another major":      {printed: "Kubernetes v2.36.0\n"},
		"nothing":            {},
		"not a version":      {printed: "usage: kube-apiserver"},
		"a development head": {printed: "Kubernetes v0.0.0-master+$Format:%H$"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := suitsMinor(tc.printed); (err == nil) != tc.suits {
				t.Errorf("suits: %v, want %t", err, tc.suits)
			}
		})
	}
}

func TestFindTakesTheOneNamed(t *testing.T) {
	dir := t.TempDir()
	option := script(t, dir, "option", good)
	variable := script(t, dir, "variable", good)
	t.Setenv(BinaryVariable, variable)
	for want, o := range map[string]Options{option: {Binary: option}, variable: {}} {
		got, err := find(t.Context(), o)
		if err != nil || got.String() != want {
			t.Errorf("find: %v, %v; want %s", got, err, want)
		}
	}
}

func TestFindRefusesTheWrongOneNamed(t *testing.T) {
	old := script(t, t.TempDir(), "old", `{"interface":1,"kubernetes":"v1.30.0"}`)
	for name, path := range map[string]string{"an old one": old, "none": old + "-gone"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(BinaryVariable, path)
			_, err := find(t.Context(), Options{})
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), BinaryVariable) {
				t.Errorf("error %v, want one that names %s and the remedy", err, path)
			}
		})
	}
}

func TestOnPath(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if _, err := onPath(t.Context(), Options{}); !errors.Is(err, errNotHere) {
		t.Errorf("empty PATH: %v, want errNotHere", err)
	}
	want := script(t, dir, programName, good)
	if got, err := onPath(t.Context(), Options{}); err != nil || got.String() != want {
		t.Errorf("found %v, %v; want %s", got, err, want)
	}
	script(t, dir, programName, "something else")
	if _, err := onPath(t.Context(), Options{}); !errors.Is(err, errNotHere) {
		t.Errorf("wrong version on PATH: %v, want errNotHere", err)
	}
}

func TestInAssetsWantsAllThreeOfOneMinor(t *testing.T) {
	const fits, old = "Kubernetes v1.36.9", "Kubernetes v1.35.0"
	cases := map[string]struct {
		programs map[string]string
		detached bool
		found    bool
	}{
		"all three":         {programs: map[string]string{"etcd": "", "kube-apiserver": fits, "kube-controller-manager": fits}, found: true},
		"no controllers":    {programs: map[string]string{"etcd": "", "kube-apiserver": fits}},
		"no etcd":           {programs: map[string]string{"kube-apiserver": fits, "kube-controller-manager": fits}},
		"an old API server": {programs: map[string]string{"etcd": "", "kube-apiserver": old, "kube-controller-manager": fits}},
		"old controllers":   {programs: map[string]string{"etcd": "", "kube-apiserver": fits, "kube-controller-manager": old}},
		"to be detached":    {programs: map[string]string{"etcd": "", "kube-apiserver": fits, "kube-controller-manager": fits}, detached: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv(AssetsVariable, dir)
			for program, version := range tc.programs {
				script(t, dir, program, version)
			}
			_, err := inAssets(t.Context(), Options{Detached: tc.detached})
			if tc.found && err != nil || !tc.found && !errors.Is(err, errNotHere) {
				t.Errorf("look: %v, want found %t", err, tc.found)
			}
		})
	}
}

func TestSearch(t *testing.T) {
	broken := errors.New("broken")
	place := func(name string, err error) finder {
		return finder{place: name, look: func(context.Context, Options) (program, error) {
			return binary(name), err
		}}
	}
	t.Run("takes the first", func(t *testing.T) {
		got, err := search(t.Context(), Options{}, []finder{place("a", errNotHere), place("b", nil), place("c", nil)})
		if err != nil || got != program(binary("b")) {
			t.Errorf("found %v, %v; want b", got, err)
		}
	})
	t.Run("stops where something is wrong", func(t *testing.T) {
		if _, err := search(t.Context(), Options{}, []finder{place("a", broken), place("b", nil)}); !errors.Is(err, broken) {
			t.Errorf("error %v, want %v", err, broken)
		}
	})
	t.Run("says what was tried", func(t *testing.T) {
		_, err := search(t.Context(), Options{}, []finder{place("a", errNotHere), place("b", errNotHere)})
		if err == nil || !strings.Contains(err.Error(), "a: ") || !strings.Contains(err.Error(), "b: ") || !strings.Contains(err.Error(), BinaryVariable) {
			t.Errorf("error %v, want both places and the remedy", err)
		}
	})
}
