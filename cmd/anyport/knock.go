package main

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/knock"
)

// newKnock needs neither root nor a running anyport on this host: it is the client's command.
func newKnock() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "knock HOST --route NAME --key FILE [--address ADDRESS] [--port PORT]",
		Short: "Open a door of a route with knock = [\"spa\"]",
		Long: `Send one authenticated datagram to a host that anyport serves, which opens the door of a
route to this client for the route's knock_window. The server never answers: connect to
see whether the door is open.

FILE has the form of the server's: a line "NAME BASE64KEY", of which the first counts. Both
clocks must be right to the minute.`,
		Example: `  anyport knock shell.example.com --route ssh --key ~/.config/anyport/knock.key
  anyport knock 192.0.2.7 --route ssh --key knock.key --address 198.51.100.7`,
		Args: cobra.MaximumNArgs(1),
	}
	route := cmd.Flags().String("route", "", "the route, `NAME`, whose door is to open")
	file := cmd.Flags().String("key", "", "the `FILE` with the key")
	address := cmd.Flags().String("address", "", "let in this `ADDRESS`, such as that of a NAT in front of this client; otherwise the one that the server sees")
	port := cmd.Flags().Uint16("port", 62201, "the server's [knock] `PORT`")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 || *route == "" || *file == "" {
			return usagef("knock needs a HOST, --route NAME and --key FILE")
		}
		m := knock.Message{Time: time.Now(), Route: *route}
		if *address != "" {
			client, err := netip.ParseAddr(*address)
			if err != nil {
				return usagef("--address %q is not an address", *address)
			}
			m.Client = client
		}
		return sendKnock(args[0], *port, *file, m)
	}
	return cmd
}

// sendKnock sends m to every family that host has an address of: the client may connect by either.
func sendKnock(host string, port uint16, file string, m knock.Message) error {
	keys, err := knock.ReadKeys(file)
	if err != nil {
		return err
	}
	m.Key = keys[0].Name
	var sendErr error
	sent := 0
	for _, network := range []string{"udp4", "udp6"} {
		rand.Read(m.Nonce[:]) // never fails
		conn, err := net.Dial(network, net.JoinHostPort(host, strconv.Itoa(int(port))))
		if err != nil {
			sendErr = err
			continue
		}
		if _, err := conn.Write(m.Sign(keys[0].Secret)); err != nil {
			sendErr = err
		} else {
			sent++
		}
		conn.Close()
	}
	if sent == 0 {
		return fmt.Errorf("knock: %w", sendErr)
	}
	return nil
}
