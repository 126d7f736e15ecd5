package compare

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Verdict says what is wrong with what an engine writes of a machine at a point, or what is still to come.
type Verdict func(at Point, seen Objects) error

// KubeVirt wants what was recorded, and with a directory records what it sees there.
func KubeVirt(record string) Verdict {
	if record != "" {
		return func(at Point, seen Objects) error {
			if err := rest(at, seen); err != nil {
				return err
			}
			return seen.write(record, at)
		}
	}
	return against(func(Point) []difference { return nil })
}

// Node wants what was recorded but for the differences in the table.
func Node() Verdict { return against(known) }

func against(known func(Point) []difference) Verdict {
	return func(at Point, seen Objects) error {
		if err := rest(at, seen); err != nil {
			return err
		}
		recorded, err := Recorded(at)
		if err != nil {
			return err
		}
		return compare(recorded, seen, known(at))
	}
}

// compare tells of each difference that is not known, and of each known one that is none.
func compare(recorded, seen Objects, known []difference) error {
	want, err := fields(recorded)
	if err != nil {
		return err
	}
	got, err := fields(seen)
	if err != nil {
		return err
	}
	var wrong []string
	met := map[string]bool{}
	for _, field := range union(want, got) {
		if want[field] == got[field] {
			continue
		}
		if i := slices.IndexFunc(known, func(d difference) bool { return d.covers(field) }); i >= 0 {
			met[known[i].field] = true
			continue
		}
		wrong = append(wrong, fmt.Sprintf("%s is %s, KubeVirt wrote %s", field, quote(got, field), quote(want, field)))
	}
	for _, d := range known {
		if !met[d.field] {
			wrong = append(wrong, d.field+" is in the table of differences and is none: take it out")
		}
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "\n"))
	}
	return nil
}

func union(a, b map[string]string) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func quote(fields map[string]string, field string) string {
	if value, ok := fields[field]; ok {
		return fmt.Sprintf("%q", value)
	}
	return "not there"
}
