package instance

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/node/domain"
	"slipway.dev/slipway/local/node/job"
	"slipway.dev/slipway/local/node/placement"
	"slipway.dev/slipway/local/node/seed"
	"slipway.dev/slipway/local/node/volume"
)

// gathered is what was read about an instance.
type gathered struct {
	Situation
	plan plan
}

func (r *Reconciler) gather(ctx context.Context, vmi *virtv1.VirtualMachineInstance) (gathered, error) {
	g := gathered{Situation: Situation{
		Deleting: !vmi.DeletionTimestamp.IsZero(), Phase: vmi.Status.Phase, Process: r.Runtime.Observe(vmi.UID),
	}}
	if g.Deleting || Final(g.Phase) || g.Process.Running {
		return g, nil
	}
	if g.Refused = domain.Unsupported(&vmi.Spec); len(g.Refused) > 0 {
		return g, nil
	}
	if err := placement.Fits(&vmi.Spec, r.Node); err != nil {
		g.Blocker = Blocker{ReasonUnschedulable, err.Error()}
		return g, nil
	}
	var err error
	g.plan, g.Blocker, err = r.planVolumes(ctx, vmi)
	if state, known := r.jobs.State(job.Name(vmi)); known {
		g.Preparation = &state
	}
	return g, err
}

// planVolumes finds out how each volume becomes a file, and stops at the first that cannot yet.
func (r *Reconciler) planVolumes(ctx context.Context, vmi *virtv1.VirtualMachineInstance) (plan, Blocker, error) {
	p := plan{
		claims: map[string]string{}, images: map[string]volume.Reference{}, cdroms: map[string]bool{},
		over: map[string]string{}, empty: map[string]int64{}, seed: map[string]seed.Data{},
	}
	for _, d := range vmi.Spec.Domain.Devices.Disks {
		p.cdroms[d.Name] = d.CDRom != nil
	}
	for i := range vmi.Spec.Volumes {
		blocker, err := r.planVolume(ctx, vmi, &vmi.Spec.Volumes[i], &p)
		if err != nil || blocker != (Blocker{}) {
			return p, blocker, err
		}
	}
	return p, Blocker{}, nil
}

func (r *Reconciler) planVolume(ctx context.Context, vmi *virtv1.VirtualMachineInstance, v *virtv1.Volume, p *plan) (Blocker, error) {
	var blocker Blocker
	var err error
	switch {
	case v.PersistentVolumeClaim != nil:
		p.claims[v.Name], blocker, err = r.claim(ctx, vmi, v.PersistentVolumeClaim.ClaimName)
	case v.DataVolume != nil:
		p.claims[v.Name], blocker, err = r.claim(ctx, vmi, v.DataVolume.Name)
	case v.Ephemeral != nil && v.Ephemeral.PersistentVolumeClaim != nil:
		p.over[v.Name], blocker, err = r.claim(ctx, vmi, v.Ephemeral.PersistentVolumeClaim.ClaimName)
	case v.ContainerDisk != nil:
		p.images[v.Name], blocker, err = r.image(ctx, vmi.Namespace, v.ContainerDisk)
	case v.EmptyDisk != nil:
		p.empty[v.Name] = v.EmptyDisk.Capacity.Value()
	case v.CloudInitNoCloud != nil:
		p.seed[v.Name], blocker, err = r.seedData(ctx, vmi, v.CloudInitNoCloud)
	default:
		blocker = Blocker{ReasonInvalid, fmt.Sprintf("volume %q names no source", v.Name)}
	}
	return blocker, err
}

// claim finds the volume behind a claim. One that another guest has open is not to be had: disks are not shared.
func (r *Reconciler) claim(ctx context.Context, vmi *virtv1.VirtualMachineInstance, name string) (string, Blocker, error) {
	var pvc corev1.PersistentVolumeClaim
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: vmi.Namespace, Name: name}, &pvc)
	if apierrors.IsNotFound(err) {
		return "", Blocker{ReasonPVCNotFound, fmt.Sprintf("PersistentVolumeClaim %q does not exist", name)}, nil
	}
	if err != nil {
		return "", Blocker{}, fmt.Errorf("get claim %s/%s: %w", vmi.Namespace, name, err)
	}
	if pvc.Status.Phase != corev1.ClaimBound || pvc.DeletionTimestamp != nil {
		return "", Blocker{ReasonVolumeBinding, fmt.Sprintf("PersistentVolumeClaim %q is not bound yet", name)}, nil
	}
	id := string(pvc.UID)
	if _, err := r.Volumes.Get(id); errors.Is(err, volume.ErrNotFound) {
		return "", Blocker{ReasonInvalid, fmt.Sprintf("PersistentVolumeClaim %q is not on this node's storage", name)}, nil
	} else if err != nil {
		return "", Blocker{}, err
	}
	if user, used := r.Runtime.UserOf(id); used && user != vmi.UID {
		return "", Blocker{ReasonVolumeInUse, fmt.Sprintf("PersistentVolumeClaim %q is in use by instance %s", name, user)}, nil
	}
	return id, Blocker{}, nil
}

func (r *Reconciler) image(ctx context.Context, namespace string, c *virtv1.ContainerDiskSource) (volume.Reference, Blocker, error) {
	ref, err := volume.ParseReference(c.Image)
	if err != nil {
		return ref, Blocker{ReasonInvalid, err.Error()}, nil
	}
	if c.ImagePullSecret == "" {
		if ref.Host == r.Default.Host {
			ref.Username, ref.Password = r.Default.Username, r.Default.Password
		}
		return ref, Blocker{}, nil
	}
	secret, blocker, err := r.secret(ctx, namespace, c.ImagePullSecret)
	if err != nil || blocker != (Blocker{}) {
		return ref, blocker, err
	}
	ref.Username, ref.Password = pullCredentials(secret.Data[corev1.DockerConfigJsonKey], ref.Host)
	return ref, Blocker{}, nil
}

// pullCredentials finds a registry's user in a Docker configuration.
func pullCredentials(config []byte, host string) (username, password string) {
	var parsed struct {
		Auths map[string]struct {
			Username string `json:"username"`
			Password string `json:"password"`
			Auth     []byte `json:"auth"`
		} `json:"auths"`
	}
	if json.Unmarshal(config, &parsed) != nil {
		return "", ""
	}
	for _, key := range []string{host, "http://" + host, "https://" + host} {
		entry, ok := parsed.Auths[key]
		if !ok {
			continue
		}
		if entry.Username == "" {
			entry.Username, entry.Password = splitAuth(entry.Auth)
		}
		return entry.Username, entry.Password
	}
	return "", ""
}

func (r *Reconciler) seedData(ctx context.Context, vmi *virtv1.VirtualMachineInstance, s *virtv1.CloudInitNoCloudSource) (seed.Data, Blocker, error) {
	out := seed.Data{InstanceID: vmi.Name + "." + vmi.Namespace, Hostname: domain.Hostname(vmi)}
	var blocker Blocker
	var err error
	out.UserData, blocker, err = r.text(ctx, vmi.Namespace, s.UserData, s.UserDataBase64, s.UserDataSecretRef, "userdata", "userData")
	if err != nil || blocker != (Blocker{}) {
		return out, blocker, err
	}
	out.NetworkConfig, blocker, err = r.text(ctx, vmi.Namespace, s.NetworkData, s.NetworkDataBase64, s.NetworkDataSecretRef, "networkdata", "networkData")
	return out, blocker, err
}

// text reads a value that may be given inline, in base64, or in a Secret under one of the keys.
func (r *Reconciler) text(ctx context.Context, namespace, inline, encoded string, ref *corev1.LocalObjectReference, keys ...string) ([]byte, Blocker, error) {
	switch {
	case inline != "":
		return []byte(inline), Blocker{}, nil
	case encoded != "":
		plain, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, Blocker{ReasonInvalid, "cloud-init data is not valid base64: " + err.Error()}, nil
		}
		return plain, Blocker{}, nil
	case ref == nil:
		return nil, Blocker{}, nil
	}
	secret, blocker, err := r.secret(ctx, namespace, ref.Name)
	if err != nil || blocker != (Blocker{}) {
		return nil, blocker, err
	}
	for _, key := range keys {
		if data, ok := secret.Data[key]; ok {
			return data, Blocker{}, nil
		}
	}
	return nil, Blocker{ReasonSecretNotFound, fmt.Sprintf("Secret %q has no key %q", ref.Name, keys[0])}, nil
}

func (r *Reconciler) secret(ctx context.Context, namespace, name string) (*corev1.Secret, Blocker, error) {
	var secret corev1.Secret
	err := r.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &secret)
	if apierrors.IsNotFound(err) {
		return nil, Blocker{ReasonSecretNotFound, fmt.Sprintf("Secret %q does not exist", name)}, nil
	}
	if err != nil {
		return nil, Blocker{}, fmt.Errorf("get secret %s/%s: %w", namespace, name, err)
	}
	return &secret, Blocker{}, nil
}
