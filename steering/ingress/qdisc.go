package ingress

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// clsact is the qdisc that filters at the ingress are in (Linux 4.5).
func clsact(index int) *netlink.GenericQdisc {
	return &netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT},
		QdiscType:  "clsact",
	}
}

// addQdisc reports whether there was none. One that is there, clsact or ingress, will do.
func addQdisc(index int) (added bool, err error) {
	err = netlink.QdiscAdd(clsact(index))
	if errors.Is(err, unix.EEXIST) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("add the qdisc clsact: %w", err)
	}
	return true, nil
}

// removeEmptyQdisc leaves one that has filters, of whomever.
func removeEmptyQdisc(index int) error {
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		left, err := netlink.FilterList(device(index), parent)
		if gone(err) {
			return nil
		}
		if err != nil || len(left) > 0 {
			return err
		}
	}
	if err := netlink.QdiscDel(clsact(index)); err != nil && !gone(err) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("remove the empty qdisc clsact: %w", err)
	}
	return nil
}
