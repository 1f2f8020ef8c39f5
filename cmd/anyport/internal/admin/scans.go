package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// MostScans bounds each list of Scans.
const MostScans = 1024

// Scans is what `anyport scans --json` prints: who sends to ports that nobody serves. Each list has those with
// the most packets first.
type Scans struct {
	Since    time.Time     `json:"since"`    // what came before is not in it
	Packets  uint64        `json:"packets"`  // that are in the lists, or were, while they had a place there
	Skipped  uint64        `json:"skipped"`  // more than the kernel reports: they are in no list
	Complete bool          `json:"complete"` // no entry had to yield its place to another one
	Clients  []Scanner     `json:"clients"`  // IPv4 addresses and IPv6 /64s
	Networks []Scanner     `json:"networks"` // IPv4 /24s and IPv6 /56s
	Ports    []ScannedPort `json:"ports"`    // of served prefixes
}

// Scanner is a client, or a network of clients.
type Scanner struct {
	Prefix  string    `json:"prefix"`
	Packets uint64    `json:"packets"` // from Since on
	Ports   PortSum   `json:"ports"`   // likewise
	Since   time.Time `json:"since"`   // the first packet of this entry; an entry that is quiet for a day is forgotten
	Last    time.Time `json:"last"`
}

// PortSum is a number of different ports.
type PortSum struct {
	Count  int      `json:"count"`
	Exact  bool     `json:"exact"`            // or else give or take 7 % (a standard error)
	Listed []string `json:"listed,omitempty"` // "22/tcp", if there are at most 32
}

// ScannedPort is a port of a served prefix.
type ScannedPort struct {
	Prefix       string    `json:"prefix"`
	Protocol     string    `json:"protocol"`
	Port         int       `json:"port"`
	Packets      uint64    `json:"packets"` // from Since on
	Clients      int       `json:"clients"`
	ClientsExact bool      `json:"clients_exact"`
	Since        time.Time `json:"since"`
	Last         time.Time `json:"last"`
}

// ScanStatus sums up packets to ports that nobody serves.
type ScanStatus struct {
	Reported uint64 `json:"reported"` // by the kernel, since its program was loaded
	Skipped  uint64 `json:"skipped"`  // more than it may report
	Clients  int    `json:"clients"`  // of the last day, and at most MostScans
}

// Scans asks for the first entries of each list; limit is from 1 to MostScans.
func (c Client) Scans(ctx context.Context, limit int) (*Scans, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	return ask[Scans](ctx, c, http.MethodGet, "/scans", url.Values{"limit": {strconv.Itoa(limit)}})
}
