package daemon

import (
	"context"
	"io"
	"os"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
	"anyport/proxy/resolve"
)

const (
	// resolveTimeout bounds how long the DNS names of a file may hold up the start or a reload: with the
	// defaults of resolv.conf, a server that does not answer takes 5 s, and then the next one is asked.
	resolveTimeout = 15 * time.Second

	systemFileTimeout = 2 * time.Second // to read /etc/hosts or /etc/resolv.conf
	maxSystemFile     = 4 << 20         // of them, bytes
)

// resolveNames resolves the DNS names of c. It fails if a route has no origin without them.
func (d *daemon) resolveNames(c *config.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	problems := d.proxy.Resolve(ctx, c.Routes)
	if len(problems) == 0 {
		return nil
	}
	for i := range problems {
		problems[i].File = c.Path
	}
	return c.Locate(problems)
}

// readSystemFile reads a file that may be on a mount that hangs. What exceeds maxSystemFile is left out.
func (d *daemon) readSystemFile(path string) ([]byte, error) {
	return slowfs.Do(d.systemFiles, "read "+path, func() ([]byte, error) {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return io.ReadAll(io.LimitReader(file, maxSystemFile))
	})
}

// resolverStatus is what the resolver does, in the words of the admin API; nil if no origin is a name.
func resolverStatus(s resolve.Status) *admin.ResolverStatus {
	if len(s.Names) == 0 {
		return nil
	}
	status := &admin.ResolverStatus{Servers: s.Servers, Search: append([]string{}, s.Search...), Error: s.Error}
	for _, n := range s.Names {
		status.Names = append(status.Names, admin.NameStatus{
			Name: n.Name, Addresses: n.Addresses, TTLSeconds: n.TTL.Seconds(), Server: n.Server, Error: n.Error,
		})
	}
	return status
}
