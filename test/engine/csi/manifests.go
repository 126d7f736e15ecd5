package csi

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"text/template"

	enginecrd "slipway.dev/slipway/local/node/crd"
	"slipway.dev/slipway/test/engine/apply"
)

// Names of what a user of the engine mentions.
const (
	// Namespace of the driver's pods.
	Namespace = "engine-csi"
	// StorageClass binds at the first consumer, and is the cluster's default.
	StorageClass = "engine"
	// ImmediateClass binds at once.
	ImmediateClass = "engine-immediate"
	// SnapshotClass makes snapshots of both.
	SnapshotClass = "engine"
)

//go:embed manifests/*.yaml
var files embed.FS

// Plan is what decides about the objects.
type Plan struct {
	// Registry and Tag make up the images' names.
	Registry, Tag string
	// Volumes is the directory on each node that holds all volumes; it must be the same on all nodes of a machine.
	Volumes string
}

// Manifests are the definitions of snapshots, the driver on each node with its sidecars, and the classes.
func Manifests(plan Plan) ([]apply.Stage, error) {
	definitions, err := snapshotKinds()
	if err != nil {
		return nil, err
	}
	stages := []apply.Stage{definitions}
	for _, name := range []string{"10-permissions", "20-driver", "30-classes"} {
		stage, err := render(name, plan)
		if err != nil {
			return nil, err
		}
		stages = append(stages, stage)
	}
	return stages, nil
}

// Profiles tell CDI how to claim volumes of the classes.
func Profiles() (apply.Stage, error) { return render("40-profiles", Plan{}) }

// snapshotKinds are those that the engine on one machine plays too.
func snapshotKinds() (apply.Stage, error) {
	names, err := fs.Glob(enginecrd.Files, "snapshot.storage.k8s.io_*.yaml")
	if err != nil {
		return apply.Stage{}, fmt.Errorf("list the definitions of snapshots: %w", err)
	}
	stage := apply.Stage{Name: "definitions"}
	for _, name := range names {
		text, err := fs.ReadFile(enginecrd.Files, name)
		if err != nil {
			return apply.Stage{}, fmt.Errorf("read the definitions of snapshots: %w", err)
		}
		objects, err := apply.Parse(text)
		if err != nil {
			return apply.Stage{}, fmt.Errorf("read %s: %w", name, err)
		}
		stage.Objects = append(stage.Objects, objects...)
	}
	return stage, nil
}

func render(name string, plan Plan) (apply.Stage, error) {
	text, err := template.ParseFS(files, "manifests/"+name+".yaml")
	if err != nil {
		return apply.Stage{}, fmt.Errorf("parse manifest %s: %w", name, err)
	}
	var out bytes.Buffer
	if err := text.Execute(&out, plan); err != nil {
		return apply.Stage{}, fmt.Errorf("fill manifest %s: %w", name, err)
	}
	objects, err := apply.Parse(out.Bytes())
	if err != nil {
		return apply.Stage{}, fmt.Errorf("read manifest %s: %w", name, err)
	}
	return apply.Stage{Name: name, Objects: objects}, nil
}
