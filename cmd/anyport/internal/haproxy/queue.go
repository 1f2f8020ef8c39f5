package haproxy

import (
	"strconv"
	"time"

	"anyport/cmd/anyport/internal/proxyconf"
)

// The bounds that package config has for the keys queue and queue_timeout.
const (
	mostQueue    = 65535
	longestQueue = time.Hour
)

// setQueue writes how many conns wait while all servers have their maxconn, and how long. HAProxy
// always lets them wait, and without maxqueue any number of them.
func setQueue(f *proxyconf.Forwarding, back *settings, servers []*server) {
	limited, waiting := queueOf(servers)
	if limited == nil {
		return // reasons.go and explainWritten say why
	}
	line := limited.Line
	if waiting == 0 {
		waiting = mostQueue
		line.Differs("at most %d conns wait; maxqueue sets fewer", mostQueue)
	}
	f.Set(line, "queue", strconv.Itoa(min(waiting, mostQueue)))
	setQueueTimeout(f, back)
}

// queueOf returns the first server with maxconn, and the sum of maxqueue of all that have maxconn; 0 if one
// of these has no bound. The conns of a route wait in one queue.
func queueOf(servers []*server) (limited *server, waiting int) {
	bounded := true
	for _, s := range servers {
		if s.origin.MaxConns == 0 {
			continue
		}
		if limited == nil {
			limited = s
		}
		p, _ := s.get("maxqueue")
		n, err := strconv.Atoi(p.value())
		if err != nil || n <= 0 {
			bounded = false
			continue
		}
		p.line.Became("queue")
		waiting += min(n, mostQueue)
	}
	if !bounded {
		return limited, 0
	}
	return limited, waiting
}

// setQueueTimeout: where "timeout queue" is not set, that of connect is in force (section 4.2 of HAProxy's
// manual).
func setQueueTimeout(f *proxyconf.Forwarding, back *settings) {
	d := back.last("timeout", "queue")
	if d == nil {
		d = back.last("timeout", "connect")
	}
	if d == nil {
		return
	}
	wait, err := parseTime(d.word(2))
	switch {
	case err != nil || wait < shortest:
		d.Leave("queue_timeout is from 1ms to 1h")
	case wait > longestQueue:
		f.Set(d.Line, "queue_timeout", proxyconf.Duration(longestQueue))
		d.Differs("queue_timeout is 1h at most")
	default:
		f.Set(d.Line, "queue_timeout", proxyconf.Duration(wait))
	}
}
