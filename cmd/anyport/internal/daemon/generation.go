package daemon

import (
	"time"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/knock"
	"anyport/cmd/anyport/internal/peers"
	"anyport/config"
	"anyport/steering/host"
	"anyport/steering/services"
	"anyport/steering/table"
)

// generation is one config in service, with everything that was derived from it. It never changes: a
// reload makes the next one, so that status and explain may read it on any goroutine.
type generation struct {
	number   int // 1 is what the process began with
	config   *config.Config
	source   fleet.Hash // names the text of its routes; "": they are the file's, or there are none
	table    *table.Table
	keys     knock.Keys    // of authenticated knocks
	peerKeys peers.Keys    // of [fleet], if it has peers
	shadowed []host.Shadow // listeners that get nothing more, as shadow_listeners allows
	loaded   time.Time
}

// otherListeners returns the listeners of other processes than this one and the one before.
func (d *daemon) otherListeners() ([]host.Listener, error) {
	if d.before != nil {
		return d.before.Listeners, nil
	}
	return host.OtherListeners()
}

// prepare compiles c and checks whether this host, with these listeners of other processes, can serve
// it.
func prepare(c *config.Config, number int, others []host.Listener) (*generation, error) {
	table, err := table.Compile(c)
	if err != nil {
		return nil, err
	}
	if err := checkHTTP(c, table); err != nil {
		return nil, err
	}
	found, err := services.Check(c)
	if err != nil {
		return nil, err
	}
	shadowed, err := host.Check(c, table, others, found.Owns)
	if err != nil {
		return nil, err
	}
	return &generation{number: number, config: c, source: tableHash(c), table: table, shadowed: shadowed, loaded: time.Now()}, nil
}

// tableHash names the table that the routes of c are from.
func tableHash(c *config.Config) fleet.Hash {
	if c.TableText() == "" {
		return ""
	}
	return fleet.HashOf([]byte(c.TableText()))
}
