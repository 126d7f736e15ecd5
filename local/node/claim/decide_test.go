package claim

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestDecide(t *testing.T) {
	tests := map[string]struct {
		in   Situation
		want Action
	}{
		"of another class":                       {in: Situation{}, want: Leave},
		"new":                                    {in: Situation{Served: true}, want: Hold},
		"held":                                   {in: Situation{Served: true, Held: true, Wanted: 5}, want: Provision},
		"held, of a class that waits":            {in: Situation{Served: true, Held: true, Wanted: 5, Waits: true}, want: Postpone},
		"made, of a class that waits":            {in: Situation{Served: true, Held: true, Wanted: 5, Size: 5, Waits: true}, want: Bind},
		"a larger request during a snapshot":     {in: Situation{Served: true, Held: true, Bound: true, Wanted: 6, Size: 5, Copied: true}, want: Leave},
		"deleted during a snapshot":              {in: Situation{Served: true, Held: true, Deleting: true, Size: 5, Others: others([]string{SourceProtection})}, want: Leave},
		"refused":                                {in: Situation{Served: true, Refused: "dataSource"}, want: Leave},
		"volume made":                            {in: Situation{Served: true, Held: true, Wanted: 5, Size: 5}, want: Bind},
		"bound":                                  {in: Situation{Served: true, Held: true, Bound: true, Wanted: 5, Size: 5}, want: Leave},
		"a larger request":                       {in: Situation{Served: true, Held: true, Bound: true, Wanted: 6, Size: 5}, want: Grow},
		"a smaller request never shrinks":        {in: Situation{Served: true, Held: true, Bound: true, Wanted: 4, Size: 5}, want: Leave},
		"deleted":                                {in: Situation{Served: true, Held: true, Deleting: true, Size: 5}, want: Release},
		"deleted while a guest uses it":          {in: Situation{Served: true, Held: true, Deleting: true, Size: 5, User: "vm"}, want: Leave},
		"deleted while somebody else holds it":   {in: Situation{Served: true, Held: true, Deleting: true, Others: []string{"x"}}, want: Leave},
		"deleted in the middle of its making":    {in: Situation{Served: true, Held: true, Deleting: true}, want: Release},
		"deleted, refused: nothing stays behind": {in: Situation{Served: true, Deleting: true, Refused: "selector"}, want: Release},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Decide(tc.in); got != tc.want {
				t.Errorf("action %d, want %d", got, tc.want)
			}
		})
	}
}

func TestWhatAClaimMayBeFilledFrom(t *testing.T) {
	snapshots, other := "snapshot.storage.k8s.io", "example.org"
	ref := func(group *string, kind, namespace string) *corev1.TypedObjectReference {
		r := &corev1.TypedObjectReference{APIGroup: group, Kind: kind, Name: "x"}
		if namespace != "" {
			r.Namespace = &namespace
		}
		return r
	}
	tests := map[string]struct {
		local *corev1.TypedLocalObjectReference
		ref   *corev1.TypedObjectReference
		want  bool
	}{
		"nothing":             {want: true},
		"snapshot":            {ref: ref(&snapshots, "VolumeSnapshot", ""), want: true},
		"snapshot, old field": {local: &corev1.TypedLocalObjectReference{APIGroup: &snapshots, Kind: "VolumeSnapshot", Name: "x"}, want: true},
		"of another place":    {ref: ref(&snapshots, "VolumeSnapshot", "far")},
		"another kind":        {ref: ref(&snapshots, "VolumeGroupSnapshot", "")},
		"another group":       {ref: ref(&other, "VolumeSnapshot", "")},
		"a claim":             {ref: ref(nil, "PersistentVolumeClaim", "")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := fillable(test.local, test.ref); got != test.want {
				t.Errorf("fillable %t, want %t", got, test.want)
			}
		})
	}
}
