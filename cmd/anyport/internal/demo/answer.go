package demo

import (
	"fmt"
	"net/netip"
	"strings"

	proxyproto "github.com/pires/go-proxyproto"
)

// question is so long that the answer is not more than three times as long: otherwise it would be taken
// from amplification_budget, which a sweep of all ports would use up.
func question(dst netip.AddrPort) string {
	return fmt.Sprintf("%-64s", "hello, "+dst.String())
}

// answer is what the origin received in an exchange: client and dst from the PROXY header, and the text.
type answer struct {
	client, dst netip.AddrPort
	said        string
}

// answerText is one line: client, dst, and what was said.
func answerText(header *proxyproto.Header, said string) string {
	return fmt.Sprintf("%v %v %s\n", header.SourceAddr, header.DestinationAddr, strings.TrimSuffix(said, "\n"))
}

// parseAnswer is the inverse of answerText.
func parseAnswer(line string) (a answer, err error) {
	client, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	dst, said, _ := strings.Cut(rest, " ")
	if a.client, err = netip.ParseAddrPort(client); err != nil {
		return a, fmt.Errorf("the origin answered %q", line)
	}
	if a.dst, err = netip.ParseAddrPort(dst); err != nil {
		return a, fmt.Errorf("the origin answered %q", line)
	}
	a.said = said
	return a, nil
}

// check says what is wrong with a as the answer to said, from client to dst.
func (a answer) check(client, dst netip.AddrPort, said string) error {
	switch {
	case a.client != client:
		return fmt.Errorf("the origin received client %v, want %v", a.client, client)
	case a.dst != dst:
		return fmt.Errorf("the origin received dst %v, want %v", a.dst, dst)
	case a.said != said:
		return fmt.Errorf("the origin received %q, want %q", a.said, said)
	}
	return nil
}
