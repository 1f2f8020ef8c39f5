package obstacle

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"anyport/steering/ingress"
)

// readIngress says what else runs at the ingress of a device: filters of tc, and programs of TCX. Those
// of anyports leave datagrams of admitted flows alone.
func (r *Reader) readIngress(l netlink.Link, own []uint32) (what []string, err error) {
	filters, err := r.route.FilterList(l, netlink.HANDLE_MIN_INGRESS)
	if err != nil && !missing(err) {
		return nil, err
	}
	for _, f := range filters {
		if ingress.IsOurs(f) {
			continue
		}
		what = append(what, fmt.Sprintf("filter of tc at the ingress of %s (%s, pref %d)", l.Attrs().Name, f.Type(), f.Attrs().Priority))
	}
	result, err := link.QueryPrograms(link.QueryOptions{Target: l.Attrs().Index, Attach: ebpf.AttachTCXIngress})
	if errors.Is(err, ebpf.ErrNotSupported) || missing(err) {
		return what, nil
	}
	if err != nil {
		return nil, err
	}
	for _, p := range result.Programs {
		if !slices.Contains(own, uint32(p.ID)) {
			what = append(what, fmt.Sprintf("TCX program %d at the ingress of %s", p.ID, l.Attrs().Name))
		}
	}
	return what, nil
}
