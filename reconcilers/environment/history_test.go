package environment

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

func TestTrimHistory(t *testing.T) {
	entries := func(reported ...string) []v1alpha1.HistoryEntry {
		var all []v1alpha1.HistoryEntry
		for i, r := range reported {
			all = append(all, v1alpha1.HistoryEntry{Revision: fmt.Sprint(i), Reported: r})
		}
		return all
	}
	untold := make([]string, 30)
	tests := map[string]struct {
		history []v1alpha1.HistoryEntry
		want    []string
	}{
		"short":                        {entries("", "Healthy"), []string{"0", "1"}},
		"old ones that were told go":   {entries("", "a", "a", "a", "a", "a", "a"), []string{"0", "1", "2", "3", "4"}},
		"untold ones stay":             {entries("", "a", "a", "a", "a", "a", "", "a", ""), []string{"0", "1", "2", "3", "4", "6", "8"}},
		"a server that takes no notes": {entries(untold...), []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, entry := range trimHistory(test.history) {
				got = append(got, entry.Revision)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
		})
	}
}
