package build

// Module is a Go module of which commands are built.
type Module struct {
	// Name tells it apart in messages and in the cache.
	Name string
	// Dir is the module's directory.
	Dir string
	// LDFlags come after those that every build has.
	LDFlags []string
	// Sources are directories of this repository that all commands are made of,
	// such as a module that replaces another.
	Sources []string
	// Commands to build.
	Commands []Command
}

// Command is one program of a module.
type Command struct {
	// Name of the binary.
	Name string
	// Package is the import path, or a path relative to the module ("./cmd/x").
	Package string
	// CGO links against the C library; without, the binary is static.
	CGO bool
}

// Binaries are the paths of what was built, by the names of the commands.
type Binaries map[string]string
