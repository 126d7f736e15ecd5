package admission

import (
	"context"
	"net/netip"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/address/pool"
)

func judgeAddress(_ context.Context, _ client.Reader, r revision[*v1alpha2.VirtualMachineIPAddress]) (verdict, error) {
	errs := checkAddress(r.new)
	if r.updates {
		errs = append(errs, checkAddressChange(r.old, r.new)...)
	}
	return verdict{errors: errs}, nil
}

func checkAddress(address *v1alpha2.VirtualMachineIPAddress) field.ErrorList {
	path, ip := specPath.Child("staticIP"), address.Spec.StaticIP
	static := address.Spec.Type == v1alpha2.IPAddressStatic
	switch {
	case !static && ip != "":
		return field.ErrorList{field.Forbidden(path, "only type Static takes an IP address")}
	case static && ip == "":
		return field.ErrorList{field.Required(path, "type Static takes an IP address")}
	case !static:
		return nil
	}
	if parsed, err := netip.ParseAddr(ip); err != nil || !parsed.Is4() {
		return field.ErrorList{field.Invalid(path, ip, "use an IPv4 address such as 10.66.10.5")}
	}
	return nil
}

// checkAddressChange keeps the IP address; an Auto address may become Static
// with the IP address that it has.
func checkAddressChange(old, changed *v1alpha2.VirtualMachineIPAddress) field.ErrorList {
	path := specPath.Child("staticIP")
	wasStatic, isStatic := old.Spec.Type == v1alpha2.IPAddressStatic, changed.Spec.Type == v1alpha2.IPAddressStatic
	switch {
	case wasStatic && isStatic && old.Spec.StaticIP != changed.Spec.StaticIP:
		return field.ErrorList{field.Forbidden(path, "the IP address cannot change: make another address")}
	case !wasStatic && isStatic && old.Status.Address != changed.Spec.StaticIP:
		return field.ErrorList{field.Invalid(path, changed.Spec.StaticIP, "an address of type Auto may become Static only with the IP address that it has")}
	default:
		return nil
	}
}

func judgeLease(_ context.Context, _ client.Reader, r revision[*v1alpha2.VirtualMachineIPAddressLease]) (verdict, error) {
	if r.updates {
		return verdict{}, nil
	}
	return verdict{errors: checkLease(r.new)}, nil
}

func checkLease(lease *v1alpha2.VirtualMachineIPAddressLease) field.ErrorList {
	var errs field.ErrorList
	ip, err := pool.LeaseAddress(lease.Name)
	if err != nil || pool.LeaseName(ip) != lease.Name {
		errs = append(errs, field.Invalid(metadataPath.Child("name"), lease.Name, "a lease is named after its IP address, such as ip-10-66-10-5"))
	}
	if lease.Spec.VirtualMachineIPAddressRef == nil {
		errs = append(errs, field.Required(specPath.Child("virtualMachineIPAddressRef"), "a lease belongs to an address: make a VirtualMachineIPAddress, and the lease follows"))
	}
	return errs
}
