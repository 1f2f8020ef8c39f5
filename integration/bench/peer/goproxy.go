package peer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// goProxy deploys a proxy that works like most proxies written in Go, as a process of its own.
func goProxy(d *Deployment) error {
	if err := d.tproxy(); err != nil {
		return err
	}
	return d.start(nil, nil, d.Self, "proxy", d.Protocol, d.Origin.String())
}

// Proxy is the process of the peer `go`. It serves until it is killed.
func Proxy(protocol string, origin netip.Addr) error {
	if _, err := raiseFiles(); err != nil {
		return err
	}
	switch protocol {
	case "tcp":
		return proxyConns(origin)
	case "udp":
		return proxyDatagrams(origin)
	}
	return fmt.Errorf("no protocol is called %q", protocol)
}

// proxyConns serves until it fails, with two goroutines for each conn.
func proxyConns(origin netip.Addr) error {
	file, err := transparentListener("tcp", address4, false)
	if err != nil {
		return err
	}
	listener, err := net.FileListener(file)
	if err != nil {
		return err
	}
	file.Close()
	for {
		client, err := listener.Accept()
		if errors.Is(err, unix.EMFILE) { // as net/http does: some conn will end
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if err != nil {
			return err
		}
		go relay(client.(*net.TCPConn), origin) // ends with the conn
	}
}

// relay connects a conn to the port of the origin that it asked for.
func relay(client *net.TCPConn, origin netip.Addr) {
	defer client.Close()
	dst := client.LocalAddr().(*net.TCPAddr).AddrPort()
	conn, err := net.Dial("tcp4", netip.AddrPortFrom(origin, dst.Port()).String())
	if err != nil {
		return
	}
	defer conn.Close()
	done := make(chan struct{})
	go func() { // ends with the client's side
		defer close(done)
		oneWay(conn.(*net.TCPConn), client)
	}()
	oneWay(client, conn.(*net.TCPConn))
	<-done
}

// oneWay passes on the end of a direction too, as FIN. On Linux io.Copy between two TCP conns uses splice.
func oneWay(to, from *net.TCPConn) {
	io.Copy(to, from)
	to.CloseWrite()
}
