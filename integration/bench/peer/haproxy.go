package peer

import (
	"fmt"
	"os"
)

// No port after the origin's address: HAProxy keeps the one that the client asked for.
const haproxyFile = `
global
  nbthread 2
  maxconn %d
  maxpipes %d
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  %s
listen any
  bind %s
  %s
  server origin %s %s
`

// haproxy is HAProxy configured as its manual says.
type haproxy struct {
	options string
	reject  string // a rule for conns that it does not want
	pipes   int    // descriptors kept for splice, not for conns
}

func (h haproxy) deploy(d *Deployment) error {
	if err := d.tproxy(); err != nil {
		return err
	}
	return h.run(d, d.address().String()+" transparent")
}

// deploySteered gives HAProxy a listening socket that a BPF program steers everything to.
func (h haproxy) deploySteered(d *Deployment) error {
	listener, err := d.listener(d.address(), false)
	if err != nil {
		return err
	}
	defer listener.Close() // HAProxy has its own
	if err := d.steer(listener); err != nil {
		return err
	}
	return h.run(d, "fd@3", listener)
}

func (h haproxy) run(d *Deployment, bind string, files ...*os.File) error {
	send := ""
	if d.Header != "" {
		send = "send-proxy-" + d.Header
	}
	nofile, err := raiseFiles()
	if err != nil {
		return err
	}
	conns := (nofile-200)/2 - h.pipes
	path, err := d.write("haproxy.cfg", fmt.Sprintf(haproxyFile, conns, h.pipes, h.options, bind, h.reject, d.originHost(), send))
	if err != nil {
		return err
	}
	return d.start(files, nil, "haproxy", "-db", "-f", path)
}
