package doctor

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/access"
	"anyport/cmd/anyport/internal/fleet/follow"
	"anyport/cmd/anyport/internal/privileges"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
)

// sourceTimeout bounds how long doctor waits for a source.
const sourceTimeout = 6 * time.Second

// askSource reaches the source of tables as a running anyport does, and looks whether steering.user can read its files.
func askSource(ctx context.Context, f *Facts) error {
	if f.Config == nil || !f.Config.FromSource() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	source, err := openSource(f)
	if err == nil {
		defer source.Close()
		answered := false
		watching, stop := context.WithCancel(ctx)
		defer stop()
		err = source.Watch(watching, f.Config.Fleet.Host, func(follow.Wanted) { answered = true; stop() })
		if answered {
			f.Namesake, err = namesake(ctx, source, f.Config.Fleet)
		}
	}
	f.SourceErr = err
	return nil
}

// openSource notes which of the files of [fleet] steering.user cannot read, and opens the source. follow.Open has no
// time limit for the files: they are read before, since they may be on a mount that hangs.
func openSource(f *Facts) (source follow.Source, err error) {
	files, c := slowfs.New(readTimeout), f.Config
	f.SourceFiles, err = slowfs.Do(files, "look at the files of [fleet]", func() ([]string, error) { return unreadable(c), nil })
	if err == nil {
		_, err = slowfs.Do(files, "read the files of [fleet]", func() (access.Access, error) { return access.Read(c.Fleet) })
	}
	if err != nil {
		return nil, err
	}
	return follow.Open(c.Fleet)
}

// namesake is the hostname of another host that has the name of this one; "": there is none. A report of this host is
// from where doctor runs.
func namesake(ctx context.Context, source follow.Source, c config.Fleet) (string, error) {
	store, ok := source.(interface {
		Hosts(context.Context) ([]fleet.Report, error)
	})
	name := c.Host
	if name == "" {
		name, _ = os.Hostname()
	}
	if !ok || name == "" {
		return "", nil
	}
	reports, err := store.Hosts(ctx)
	here := follow.Place()
	for _, r := range reports {
		if r.Host == name && r.Place != "" && here != "" && r.Place != here {
			return r.Hostname, nil
		}
	}
	return "", err
}

// unreadable are the files of [fleet] that steering.user may not read, by their owner and mode. Root reads all of them
// at the start, and the user has to at each new contact.
func unreadable(c *config.Config) (paths []string) {
	if c.Steering.User == "" {
		return nil
	}
	account, err := privileges.Find(c.Steering.User)
	if err != nil {
		return nil // which another check says
	}
	for _, path := range []string{c.Fleet.SourceCA, c.Fleet.SourceCert, c.Fleet.SourceCertKey, c.Fleet.SourceCredentials} {
		if info, err := os.Stat(path); path != "" && err == nil && !mayRead(info, account) {
			paths = append(paths, path)
		}
	}
	return paths
}

// mayRead judges the mode of a file; who may enter its directories is not looked at.
func mayRead(info os.FileInfo, account *privileges.Account) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case !ok || account.UID == 0:
		return true
	case int(stat.Uid) == account.UID:
		return mode&0o400 != 0
	case int(stat.Gid) == account.GID || slices.Contains(account.Groups, int(stat.Gid)):
		return mode&0o040 != 0
	}
	return mode&0o004 != 0
}

// checkSource: a host whose source gives nothing serves the last table that it had, or nothing.
func checkSource(f *Facts) (findings []Finding) {
	if f.Config == nil || !f.Config.FromSource() {
		return ok("the routes are those of the file")
	}
	user := f.Config.Steering.User
	if len(f.SourceFiles) > 0 {
		files := strings.Join(f.SourceFiles, " ")
		findings = append(findings, fail(fmt.Sprintf("chown %s %s", user, files),
			"anyport reads them again at each new contact, as steering.user: without them it loses the source", "%s cannot read %s", user, files)...)
	}
	if f.Namesake != "" {
		findings = append(findings, warn("anyport fleet   # then write another host = in [fleet] of one of the two",
			"only one of two hosts with one name reports, and a push watches only that one", "another host, %s, reports to the fleet under this one's name",
			f.Namesake)...)
	}
	if f.SourceErr != nil {
		findings = append(findings, warn("anyport doctor   # once the source answers",
			"anyport would start with the last table that was in service here, or serve nothing", "the source %s: %v", f.Config.Fleet.Source, f.SourceErr)...)
	}
	if findings == nil {
		return ok("the source answers")
	}
	return findings
}
