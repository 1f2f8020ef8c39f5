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
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  %s
listen any
  bind %s
  server origin %s %s
`

// haproxy deploys HAProxy as its manual has it, with `bind … transparent`.
func haproxy(options string) func(*Deployment) error {
	return func(d *Deployment) error {
		if err := d.tproxy(); err != nil {
			return err
		}
		return d.runHAProxy(nil, options, tproxyAddress+" transparent")
	}
}

// haproxySteered hands HAProxy a listening socket that a program steers all into.
func haproxySteered(d *Deployment) error {
	listener, err := d.listener(false)
	if err != nil {
		return err
	}
	defer listener.Close() // HAProxy has its own
	if err := d.steer(listener); err != nil {
		return err
	}
	return d.runHAProxy([]*os.File{listener}, "", "fd@3")
}

func (d *Deployment) runHAProxy(files []*os.File, options, bind string) error {
	send := ""
	if d.Header != "off" {
		send = "send-proxy-" + d.Header
	}
	nofile, err := raiseFiles()
	if err != nil {
		return err
	}
	text := fmt.Sprintf(haproxyFile, nofile/2-100, options, bind, d.Origin, send)
	path, err := d.write("haproxy.cfg", text)
	if err != nil {
		return err
	}
	return d.start(files, nil, "haproxy", "-db", "-f", path)
}
