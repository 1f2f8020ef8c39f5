// Package peers decides what [fleet] peers, device and key of a file mean on this host: which of its
// addresses is the one on the backplane, who the others are, and how long packets may be. It reads the
// key and the devices; package daemon does what it decides, and steering/fleet speaks with the peers.
package peers
