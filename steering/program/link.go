package program

import (
	"errors"

	"github.com/cilium/ebpf/link"
)

// LinkFromFD makes a link of a descriptor, which then belongs to the link.
func LinkFromFD(fd int) (*link.NetNsLink, error) {
	l, err := link.NewFromFD(fd)
	if err != nil {
		return nil, err
	}
	return AsNetNsLink(l)
}

// AsNetNsLink refuses a link of another kind, and closes it.
func AsNetNsLink(l link.Link) (*link.NetNsLink, error) {
	if l, ok := l.(*link.NetNsLink); ok {
		return l, nil
	}
	return nil, errors.Join(errors.New("it is not a link to a network namespace"), l.Close())
}
