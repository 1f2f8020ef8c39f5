package doctor

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"anyport/config"
)

// TakenOver returns the TPROXY rules that would lose their new conns to anyport from the moment it starts with c:
// a socket match before them accepts what has a socket, and that lookup asks the steering. It reads the network
// namespace of the calling thread. It costs a start a millisecond where there is no such rule. With an
// error it returns what could be read.
func TakenOver(ctx context.Context, c *config.Config) ([]Rule, error) {
	runtime.LockOSThread() // the namespace is the thread's
	defer runtime.UnlockOSThread()
	if may, err := mayHaveTProxy(); !may {
		return nil, err
	}
	f := &Facts{Config: c}
	_, rules, _, _, err := readFilters(ctx, nil)
	var lost []Rule
	for _, r := range rules {
		if r.Diverted != "" && len(f.taken(r)) > 0 {
			lost = append(lost, r)
		}
	}
	return lost, err
}

// mayHaveTProxy reports whether it is worth running the listers. nftables has the rules of iptables-nft, too; of those of
// iptables-legacy only the names of the tables are at hand.
func mayHaveTProxy() (bool, error) {
	for _, names := range []string{"ip_tables_names", "ip6_tables_names"} {
		text, err := os.ReadFile("/proc/thread-self/net/" + names)
		if err != nil && !errors.Is(err, fs.ErrNotExist) || strings.Contains(string(text), "mangle") {
			return true, nil
		}
	}
	rules, err := nftRuleDump()
	if err != nil {
		return false, err
	}
	for _, rule := range rules {
		if bytes.Contains(bytes.ToLower(rule), []byte("tproxy\x00")) {
			return true, nil
		}
	}
	return false, nil
}

// nftRuleDump returns the rules of all tables as netlink messages; none if the kernel has no nftables.
func nftRuleDump() ([][]byte, error) {
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
	rules, err := request.Execute(unix.NETLINK_NETFILTER, 0)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	return rules, err
}
