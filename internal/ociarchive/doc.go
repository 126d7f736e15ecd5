// Package ociarchive writes container images without a container engine.
//
// In come files, directories and an image's configuration; out go layers and OCI image layouts as tar archives, which
// containerd, podman and skopeo import. What is written depends on the content alone, not on times, on the order of
// things or on the machine. The package never compresses, never runs a program and never reaches a registry.
package ociarchive
