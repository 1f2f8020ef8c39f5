// Package fleet has conns survive when routers send their packets to another host of the fleet. The
// programs of fleet.bpf.c wrap a TCP packet whose conn this host does not have, and send it to the
// peers; the peer that has the conn takes it. Package fleet loads the programs, attaches them, and
// speaks with the fleets of the peers: who is alive (hello), and who has a conn (mine, gone).
package fleet
