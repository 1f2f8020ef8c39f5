package config

import (
	"fmt"
	"log/slog"
	"time"
)

// The defaults that a command needs before it has read a file.
const (
	DefaultPath        = "/etc/anyport/anyport.toml"
	DefaultAdminSocket = "/run/anyport/admin.sock"
)

// Config is one file, read and found valid. It never changes after Load, so goroutines share
// it without a lock.
type Config struct {
	Path     string // as given to Load
	Listen   Listen
	Steering Steering
	Admin    Admin
	Log      Log
	Fleet    Fleet
	Knock    Doorbell
	Announce Announce
	Routes   []*Route  // in the order of the file
	Notes    []Problem // what is valid and may surprise, in the order of the file

	text     string       // of the file, for Locate: a problem that is found after Load needs its place too
	defaults Timeouts     // of [defaults], which those of a table go before
	table    *sourceTable // where Routes are from; nil: the file
}

// Source is the text of the file.
func (c *Config) Source() string { return c.text }

// Listen is the [listen] table: what the listening sockets are opened with.
type Listen struct {
	Workers          int  // sockets per protocol
	TCPBacklog       int  // connections
	UDPReceiveBuffer Size // bytes, a socket
	MaxFlows         int  // of all routes at once
}

// PinAuto lets anyport choose whether and where the steering is pinned.
const PinAuto = "auto"

// Steering is the [steering] table.
type Steering struct {
	ManageRoutes    bool
	User            string
	Pin             string // a directory, "" or PinAuto
	Unmatched       Action // Refuse, Drop or Pass
	AllowLoopback   bool
	ShadowListeners bool
}

// Admin is the [admin] table: where the running process answers commands and browsers.
type Admin struct {
	Socket string // path of the unix socket; "" = none
	Group  string // whose members may read, by name or number; "" = none
	HTTP   string // host:port; "" = none

	HTTPHosts  []string // names that HTTP answers to, beside addresses and this host's own name
	HTTPWrites bool     // HTTP takes orders
}

// Log is the [log] table. The access log is apart from the log of the process.
type Log struct {
	Level  slog.Level
	Format string // "text" or "json"
	Access string // see Destination

	AccessSample   Percent       // of normal ends; everything else is always logged
	AccessProgress time.Duration // between lines of a live conn or flow; 0: only at its end
}

// Doorbell is the [knock] table: where authenticated datagrams open doors.
type Doorbell struct {
	Port int    // UDP, on every served address of a route with knock = ["spa"]
	Keys string // a file
}

// Timeouts are the keys of [defaults]. Each of them can also stand in a route.
type Timeouts struct {
	Connect   time.Duration // one dial of one origin
	Idle      time.Duration // TCP: no byte in either direction
	UDPIdle   time.Duration // no datagram in either direction; 0: as FlowIdle says
	Keepalive time.Duration // TCP, both sides: probes after this long without a byte; 0: none
	HalfClose time.Duration // one side has closed: how long the other may still send
	Drain     time.Duration // how long a conn may outlive its route or the process's stop
	MaxAge    time.Duration // TCP: the longest life of a conn, give or take a tenth; 0: no bound. A key of routes only
	Header    time.Duration // TCP: how long a peer of accept_proxy has for its PROXY header
	Queued    time.Duration // TCP: how long a conn waits for an origin at its max_conns
}

// Size is a number of bytes. The file may give it with a unit, a diff shows it without.
type Size int64

// Rate is a number of bytes a second, never of bits.
type Rate int64

// String is the rate in bytes: exact, so that reading it again gives the same value.
func (r Rate) String() string { return fmt.Sprintf("%dB/s", int64(r)) }
