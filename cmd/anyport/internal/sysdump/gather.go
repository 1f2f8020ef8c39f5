package sysdump

import (
	"context"
	"fmt"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config/secrets"
)

// Options say what to look at.
type Options struct {
	Path    string // of the file
	Named   bool   // somebody has named it: else it may be missing, or that of the process
	Socket  string // where to ask the process; "": nowhere
	Version string // of this binary, as a line
	Now     time.Time
	Host    string
}

// gatherer holds what was gathered so far. It lives for one Gather, on one goroutine.
type gatherer struct {
	Options
	files   *slowfs.Worker
	client  admin.Client
	before  *admin.Status // a second before process, for rates; nil: there is no process
	process *admin.Sysdump

	text    []byte        // of the file; nil: it could not be read
	mask    *secrets.Mask // of its secrets
	archive *Archive
}

// Gather reads everything. What fails is noted in the archive, and the rest goes on.
func Gather(ctx context.Context, o Options) *Archive {
	g := &gatherer{Options: o, files: slowfs.New(readTimeout), client: admin.Client{Socket: o.Socket}, archive: &Archive{made: o.Now, host: o.Host}}
	g.ask(ctx)
	g.readFile()
	for _, part := range []func(context.Context){g.addFile, g.addVersions, g.addDoctor, g.addKernel, g.addNetwork, g.addProcess, g.addFlows} {
		part(ctx)
	}
	return g.archive
}

// add masks a file and adds it.
func (g *gatherer) add(name, about string, data []byte) {
	g.archive.add(name, about, g.mask.Bytes(name, data))
}

// missing notes what could not be read, and why.
func (g *gatherer) missing(what string, err error) {
	g.archive.missing = append(g.archive.missing, g.mask.String(fmt.Sprintf("%s: %v", what, err)))
}
