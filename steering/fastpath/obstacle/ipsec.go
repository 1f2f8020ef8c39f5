package obstacle

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// readIPsec finds any policy: which addresses it has does not matter, for tunnels are seldom alone.
func (r *Reader) readIPsec() ([]Obstacle, error) {
	if r.ipsec == nil {
		return nil, nil
	}
	policies, err := r.ipsec.XfrmPolicyList(netlink.FAMILY_ALL)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the policies of IPsec: %w", err)
	}
	if len(policies) == 0 {
		return nil, nil
	}
	return []Obstacle{{What: fmt.Sprintf("IPsec policy from %v to %v (ip xfrm policy)", policies[0].Src, policies[0].Dst)}}, nil
}
