package intake_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/intake"
)

func TestLoginFor(t *testing.T) {
	const image = "registry.test:5000/team/disk:v1"
	tests := map[string]struct {
		config string
		image  string
		want   intake.Login
		err    error
	}{
		"user and password":           {`{"auths":{"registry.test:5000":{"username":"u","password":"p"}}}`, image, intake.Login{Username: "u", Password: "p"}, nil},
		"auth with a colon in it":     {`{"auths":{"registry.test:5000":{"auth":"dTpwOnE="}}}`, image, intake.Login{Username: "u", Password: "p:q"}, nil},
		"server as URL with path":     {`{"auths":{"https://registry.test:5000/v2/":{"username":"u","password":"p"}}}`, image, intake.Login{Username: "u", Password: "p"}, nil},
		"another registry only":       {`{"auths":{"other.test":{"username":"u","password":"p"}}}`, image, intake.Login{}, nil},
		"port matters":                {`{"auths":{"registry.test":{"username":"u","password":"p"}}}`, image, intake.Login{}, nil},
		"short name means Docker Hub": {`{"auths":{"https://index.docker.io/v1/":{"username":"u","password":"p"}}}`, "team/disk", intake.Login{Username: "u", Password: "p"}, nil},
		"not JSON":                    {`{`, image, intake.Login{}, intake.ErrBadSecret},
		"auth that is not base64":     {`{"auths":{"registry.test:5000":{"auth":"%%"}}}`, image, intake.Login{}, intake.ErrBadSecret},
		"no key":                      {"", image, intake.Login{}, intake.ErrBadSecret},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			secret := &corev1.Secret{Data: map[string][]byte{}}
			if test.config != "" {
				secret.Data[corev1.DockerConfigJsonKey] = []byte(test.config)
			}
			got, err := intake.LoginFor(secret, test.image)
			if !errors.Is(err, test.err) {
				t.Fatalf("error is %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("login (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSources(t *testing.T) {
	http := intake.HTTP(&v1alpha2.HTTPSource{URL: "http://files/a", CABundle: []byte("ca"), Checksum: &v1alpha2.Checksum{SHA256: "s", MD5: "m"}})
	wantHTTP := importer.Source{HTTP: &importer.HTTPSource{URL: "http://files/a", CABundle: []byte("ca"), SHA256: "s", MD5: "m"}}
	if diff := cmp.Diff(wantHTTP, http); diff != "" {
		t.Errorf("HTTP (-want +got):\n%s", diff)
	}
	registry := intake.Registry(&v1alpha2.ContainerImageSource{Image: "r/i:t", CABundle: []byte("ca")}, intake.Login{Username: "u", Password: "p"})
	wantRegistry := importer.Source{Registry: &importer.RegistrySource{Image: "r/i:t", CABundle: []byte("ca"), Username: "u", Password: "p"}}
	if diff := cmp.Diff(wantRegistry, registry); diff != "" {
		t.Errorf("Registry (-want +got):\n%s", diff)
	}
}
