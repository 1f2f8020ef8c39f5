package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"anyport/cmd/anyport/internal/daemon"
	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/lasttable"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
)

// upgradeReadTimeout is shorter than upgrade.Timeout, so that the process before gets the reason.
const upgradeReadTimeout = 20 * time.Second

// load reads the config to start with: that of the file, unless processes have died with it. The guard hears of the
// text first, since a binary may die of parsing it. The routes of a file with a source are those of the last table that
// was in service here; if that cannot be used, problem says why, and there are none.
func (o runOptions) load() (c *config.Config, problem, err error) {
	text, err := readToRun(o.path, o.before != nil)
	if err != nil {
		return nil, nil, err
	}
	table, unread := lasttable.Read(o.state, o.path)
	bundle := fleet.Bundle(text, table)
	c, problem, err = parseToRun(o.path, o.guard.Start(bundle), o.rehearse)
	if err != nil && o.guard.Status().Guarded {
		o.guard.UseFile(bundle, fmt.Errorf("the last config that lasted is refused: %s", config.Summary(err)))
		c, problem, err = parseToRun(o.path, bundle, o.rehearse)
	}
	if err == nil && c.Steering.User != "" && os.Geteuid() == 0 {
		// What that user may write, a later process would believe as root.
		o.guard.Disable(errors.New("steering.user cannot be trusted with what the next process of root serves: let the service manager change the user, with User= in the unit"))
	}
	return c, errors.Join(unread, problem), err
}

// parseToRun reads a file and the table that it is bundled with. A rehearsal steers nothing and follows no source: it
// rehearses the routes of the file.
func parseToRun(path string, bundle []byte, rehearse bool) (c *config.Config, problem, err error) {
	text, table := fleet.Unbundle(bundle)
	file, err := config.Parse(path, text)
	switch {
	case err != nil:
		return nil, nil, err
	case rehearse && file.FromSource() && len(file.Routes) == 0:
		return nil, nil, errors.New("--shadow: the routes come from the source of [fleet], which a rehearsal does not follow: name a file that has them")
	case rehearse:
		return file, nil, nil
	}
	if c, problem = daemon.WithTable(file, table); problem != nil {
		c = file.WithoutRoutes()
	}
	return c, problem, nil
}

// readToRun reads the file. The new process of an upgrade does not wait for a pipe or for a mount that
// hangs: the old one waits for it.
func readToRun(path string, upgrade bool) ([]byte, error) {
	if !upgrade {
		return config.ReadAny(path)
	}
	return slowfs.Do(slowfs.New(upgradeReadTimeout), "read "+path, func() ([]byte, error) { return config.Read(path) })
}
