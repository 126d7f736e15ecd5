package claim

import "testing"

func TestDecide(t *testing.T) {
	tests := map[string]struct {
		in   Situation
		want Action
	}{
		"of another class":                       {in: Situation{}, want: Leave},
		"new":                                    {in: Situation{Served: true}, want: Hold},
		"held":                                   {in: Situation{Served: true, Held: true, Wanted: 5}, want: Provision},
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
