package catalog

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway.dev/slipway/test/engine/build"
	"slipway.dev/slipway/test/engine/image"
)

// versionPackage is where Kubernetes keeps what it says its version is.
const versionPackage = "k8s.io/component-base/version"

func kubernetes(root string) (Component, error) {
	module := build.Module{
		Name: Kubernetes, Dir: filepath.Join(root, "kubernetes"),
		Commands: []build.Command{{Name: "etcd", Package: "go.etcd.io/etcd/server/v3"}},
	}
	version, err := required(filepath.Join(module.Dir, "go.mod"), "k8s.io/kubernetes")
	if err != nil {
		return Component{}, err
	}
	module.LDFlags = versionFlags(version)
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"} {
		module.Commands = append(module.Commands, build.Command{Name: name, Package: "k8s.io/kubernetes/cmd/" + name})
	}
	return Component{
		Name:    Kubernetes,
		Modules: []build.Module{module, dns(root), programs(root)},
		Images: []image.Recipe{
			static("pause", "pause"), static("probe", "probe"),
			static("coredns", "coredns"),
		},
	}, nil
}

func dns(root string) build.Module {
	return build.Module{
		Name: "dns", Dir: filepath.Join(root, "dns"),
		Commands: []build.Command{{Name: "coredns", Package: "."}},
	}
}

func programs(root string) build.Module {
	module := build.Module{Name: "programs", Dir: filepath.Join(root, "programs")}
	for _, name := range []string{"pause", "probe", "container-disk"} {
		module.Commands = append(module.Commands, build.Command{Name: name, Package: "./" + name})
	}
	return module
}

// static is an image of one program that needs nothing else.
func static(name, program string) image.Recipe {
	return image.Recipe{
		Name:     name,
		Programs: map[string]string{"/" + program: program},
		Config:   ocispec.ImageConfig{Entrypoint: []string{"/" + program}, Env: []string{"PATH=/"}, WorkingDir: "/"},
	}
}

// required finds the version of a module in a go.mod file.
func required(file, module string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("find the version of %s: %w", module, err)
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(scanner.Text()), "require "))
		if len(fields) >= 2 && fields[0] == module && strings.HasPrefix(fields[1], "v") {
			return fields[1], nil
		}
	}
	if err := scanner.Err(); err != nil {
		return "", fmt.Errorf("find the version of %s: %w", module, err)
	}
	return "", fmt.Errorf("find the version of %s: %s does not require it", module, file)
}

// versionFlags tell Kubernetes its version, which it does not know by itself.
func versionFlags(version string) []string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	values := map[string]string{"gitVersion": version, "gitTreeState": "clean", "gitCommit": ""}
	if len(parts) == 3 {
		values["gitMajor"], values["gitMinor"] = parts[0], parts[1]
	}
	var flags []string
	for _, name := range []string{"gitVersion", "gitMajor", "gitMinor", "gitTreeState", "gitCommit"} {
		flags = append(flags, "-X", versionPackage+"."+name+"="+values[name])
	}
	return flags
}
