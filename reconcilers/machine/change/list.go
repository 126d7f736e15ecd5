package change

import (
	"strconv"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

type device = v1alpha2.BlockDeviceSpecRef

// diffBlockDevices tells devices that came or went by their index in the list
// that has them. When the rest is not in the same order, it compares place by
// place, because the order is the boot order.
func diffBlockDevices(current, desired []device) []Change {
	if added, ok := missing(desired, current); ok {
		return each(added, func(i int) Change { return deviceChange(i, nil, desired[i]) })
	}
	if removed, ok := missing(current, desired); ok {
		return each(removed, func(i int) Change { return deviceChange(i, current[i], nil) })
	}
	var changes []Change
	for i := range max(len(current), len(desired)) {
		changes = appendChange(changes, devicePath(i), Restart, at(current, i), at(desired, i))
	}
	return changes
}

// missing gives the indexes in long that short lacks, and whether the rest of
// long is exactly short.
func missing(long, short []device) ([]int, bool) {
	var indexes []int
	next := 0
	for i, d := range long {
		if next < len(short) && short[next] == d {
			next++
			continue
		}
		indexes = append(indexes, i)
	}
	return indexes, next == len(short)
}

func each(indexes []int, build func(int) Change) []Change {
	var changes []Change
	for _, i := range indexes {
		changes = append(changes, build(i))
	}
	return changes
}

func deviceChange(index int, current, desired any) Change {
	return Change{Operation: operation(current, desired), Path: devicePath(index), Current: current, Desired: desired, Action: Restart}
}

func devicePath(index int) string {
	return blockDeviceRefsPath + "." + strconv.Itoa(index)
}

func at(list []device, index int) any {
	if index >= len(list) {
		return nil
	}
	return list[index]
}

// diffProvisioning names the data that changed when its type is the same, and
// the whole field otherwise.
func diffProvisioning(current, desired *v1alpha2.Provisioning) []Change {
	if current == nil || desired == nil || current.Type != desired.Type {
		return appendChange(nil, provisioningPath, Restart, provisioning(current), provisioning(desired))
	}
	path, was := provisioningData(current)
	_, is := provisioningData(desired)
	return appendChange(nil, provisioningPath+"."+path, Restart, was, is)
}

func provisioning(p *v1alpha2.Provisioning) any {
	if p == nil {
		return nil
	}
	return *p
}

func provisioningData(p *v1alpha2.Provisioning) (path string, value any) {
	switch p.Type {
	case v1alpha2.ProvisioningTypeUserDataRef:
		if p.UserDataRef == nil {
			return "userDataRef", nil
		}
		return "userDataRef.name", p.UserDataRef.Name
	case v1alpha2.ProvisioningTypeSysprepRef:
		if p.SysprepRef == nil {
			return "sysprepRef", nil
		}
		return "sysprepRef.name", p.SysprepRef.Name
	default:
		return "userData", p.UserData
	}
}
