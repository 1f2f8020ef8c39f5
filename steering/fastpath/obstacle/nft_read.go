package obstacle

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// readNFT lists the base chains and the rules, and says which are obstacles.
func (r *Reader) readNFT(names map[uint32]string) ([]Obstacle, error) {
	if r.sockets == nil {
		return nil, nil
	}
	chains, err := dumpNFT(r, unix.NFT_MSG_GETCHAIN, unix.NFT_MSG_NEWCHAIN, parseChain)
	if err != nil || len(chains) == 0 {
		return nil, err
	}
	rules, err := dumpNFT(r, unix.NFT_MSG_GETRULE, unix.NFT_MSG_NEWRULE, parseRule)
	return nftObstacles(chains, rules, names), err
}

// dumpNFT asks for all objects of a kind. A kernel without nftables has none.
func dumpNFT[T any](r *Reader, get, answer int, parse func(family uint8, a attributes) (T, bool)) (all []T, err error) {
	var messages [][]byte
	for range 10 { // the rules may change while they are read
		request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|get, unix.NLM_F_DUMP)
		request.Sockets = r.sockets
		request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.NFPROTO_UNSPEC, Version: nl.NFNETLINK_V0})
		messages, err = request.Execute(unix.NETLINK_NETFILTER, uint16(unix.NFNL_SUBSYS_NFTABLES<<8|answer))
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			break
		}
	}
	if missing(err) {
		return nil, nil
	}
	for _, m := range messages {
		if len(m) < nl.SizeofNfgenmsg {
			continue
		}
		if parsed, ok := parse(m[0], attributesOf(m[nl.SizeofNfgenmsg:])); ok {
			all = append(all, parsed)
		}
	}
	return all, err
}

// attributes are netlink attributes by type, in order.
type attributes []attribute

// nlaTypeMask is NLA_TYPE_MASK of linux/netlink.h.
const nlaTypeMask = 0x3fff

type attribute struct {
	kind  uint16
	value []byte
}

func attributesOf(b []byte) (all attributes) {
	parsed, _ := nl.ParseRouteAttr(b)
	for _, a := range parsed {
		all = append(all, attribute{a.Attr.Type & nlaTypeMask, a.Value})
	}
	return all
}

// get returns the first of a type.
func (a attributes) get(kind uint16) ([]byte, bool) {
	for _, one := range a {
		if one.kind == kind {
			return one.value, true
		}
	}
	return nil, false
}

func (a attributes) text(kind uint16) string {
	b, _ := a.get(kind)
	return string(bytes.TrimRight(b, "\x00"))
}

// number is a big-endian one of 32 bits.
func (a attributes) number(kind uint16) uint32 {
	if b, ok := a.get(kind); ok && len(b) >= 4 {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (a attributes) nested(kind uint16) attributes {
	b, _ := a.get(kind)
	return attributesOf(b)
}

// nftaHookDevs is NFTA_HOOK_DEVS of linux/netfilter/nf_tables.h.
const nftaHookDevs = 4

// parseChain is only interested in base chains.
func parseChain(family uint8, a attributes) (chain, bool) {
	if _, base := a.get(unix.NFTA_CHAIN_HOOK); !base {
		return chain{}, false
	}
	hook := a.nested(unix.NFTA_CHAIN_HOOK)
	c := chain{family: family, table: a.text(unix.NFTA_CHAIN_TABLE), name: a.text(unix.NFTA_CHAIN_NAME), hook: hook.number(unix.NFTA_HOOK_HOOKNUM)}
	if _, has := a.get(unix.NFTA_CHAIN_POLICY); has {
		const drop = 0 // NF_DROP
		c.drops = a.number(unix.NFTA_CHAIN_POLICY) == drop
	}
	if d := hook.text(unix.NFTA_HOOK_DEV); d != "" {
		c.devices = []string{d}
	}
	for _, d := range hook.nested(nftaHookDevs) {
		c.devices = append(c.devices, string(bytes.TrimRight(d.value, "\x00")))
	}
	return c, true
}

func parseRule(family uint8, a attributes) (rule, bool) {
	r := rule{family: family, table: a.text(unix.NFTA_RULE_TABLE), chain: a.text(unix.NFTA_RULE_CHAIN)}
	for _, e := range a.nested(unix.NFTA_RULE_EXPRESSIONS) {
		r.matches = append(r.matches, parseExpression(attributesOf(e.value)))
	}
	return r, true
}

func parseExpression(a attributes) match {
	m, data := match{kind: a.text(unix.NFTA_EXPR_NAME)}, a.nested(unix.NFTA_EXPR_DATA)
	switch m.kind {
	case "meta":
		m.meta, m.register = data.number(unix.NFTA_META_KEY), data.number(unix.NFTA_META_DREG)
		if m.register == 0 { // it sets something
			m.kind = "meta set"
		}
	case "payload":
		m.base, m.offset, m.register = data.number(unix.NFTA_PAYLOAD_BASE), data.number(unix.NFTA_PAYLOAD_OFFSET), data.number(unix.NFTA_PAYLOAD_DREG)
		if m.register == 0 {
			m.kind = "payload set"
		}
	case "cmp":
		m.register, m.equal = data.number(unix.NFTA_CMP_SREG), data.number(unix.NFTA_CMP_OP) == unix.NFT_CMP_EQ
		m.data, _ = data.nested(unix.NFTA_CMP_DATA).get(unix.NFTA_DATA_VALUE)
	case "ct":
		if data.number(unix.NFTA_CT_DREG) == 0 {
			m.kind = "ct set"
		}
	}
	return m
}
