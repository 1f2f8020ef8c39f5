package main

import (
	"fmt"
	"os"
	"strings"
)

// identity is the user and the rights that anyport is started with.
type identity struct {
	name   string
	toml   string   // in [steering]
	prefix []string // of the command line
}

// identities are root, the unit's, and root that becomes another user.
func identities() ([]identity, error) {
	text, err := os.ReadFile("deploy/systemd/anyport.service")
	if err != nil {
		return nil, err
	}
	unit, err := unitPrefix(string(text))
	if err != nil {
		return nil, fmt.Errorf("deploy/systemd/anyport.service: %w", err)
	}
	return []identity{
		{"root", "", nil},
		{"the unit's capabilities", "", unit},
		{"another user", "user = \"65534\"\n", nil},
	}, nil
}

// unitPrefix runs a command with the capabilities and limits that the systemd unit grants,
// as an unprivileged user.
func unitPrefix(unit string) ([]string, error) {
	limits, held := []string{"prlimit"}, ""
	for line := range strings.Lines(unit) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "LimitNOFILE", "LimitMEMLOCK":
			name := strings.ToLower(strings.TrimPrefix(key, "Limit"))
			limits = append(limits, fmt.Sprintf("--%s=%s", name, strings.ReplaceAll(value, "infinity", "unlimited")))
		case "AmbientCapabilities":
			held = strings.ReplaceAll(strings.ToLower(value), "cap_", "+")
			held = strings.Join(strings.Fields(held), ",")
		}
	}
	if held == "" {
		return nil, fmt.Errorf("no AmbientCapabilities= in it")
	}
	return append(limits, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
		"--inh-caps="+held, "--ambient-caps="+held, "--bounding-set=-all,"+held), nil
}
