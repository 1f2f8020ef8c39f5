package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"anyport/cmd/anyport/internal/api"
	"anyport/cmd/anyport/internal/privileges"
	"anyport/cmd/anyport/internal/socket"
	"anyport/config"
	"anyport/steering/table"
)

// openAdmin goes on with the admin socket of the process before, or makes one.
func (d *daemon) openAdmin() (err error) {
	path := d.opt.Config.Admin.Socket
	if d.adminGroup, err = findGroup(d.opt.Config.Admin.Group); err != nil {
		return err
	}
	d.joinGroup()
	if d.before != nil {
		listener, err := d.before.TakeAdmin(path)
		if err != nil {
			return err
		}
		if listener != nil {
			d.admin = socket.Inherit(listener, path, d.adminGroup) // the file is the other's until this process serves
		}
	}
	if d.admin == nil && path != "" {
		if d.admin, err = socket.Listen(path, d.account, d.adminGroup); err != nil {
			return err
		}
	}
	if d.admin != nil {
		d.closers = append(d.closers, func() error { return ignoreClosed(d.admin.Close()) })
	}
	return nil
}

// findGroup looks up admin.group; "" is none.
func findGroup(name string) (int, error) {
	if name == "" {
		return socket.NoGroup, nil
	}
	gid, err := privileges.FindGroup(name)
	if err != nil {
		return socket.NoGroup, fmt.Errorf("admin.group: %w", err)
	}
	return gid, nil
}

// joinGroup makes this process a member of admin.group, so that it can give the socket to the group once more after
// somebody has removed it, without CAP_CHOWN. Who may not join (EPERM) is a member already, as after an upgrade, or
// cannot give the socket to the group, which has an error of its own.
func (d *daemon) joinGroup() {
	if d.adminGroup == socket.NoGroup {
		return
	}
	if d.account != nil {
		d.account.Groups = append(d.account.Groups, d.adminGroup) // privileges.Drop sets them
	}
	if groups, err := syscall.Getgroups(); err == nil && !slices.Contains(groups, d.adminGroup) {
		_ = syscall.Setgroups(append(groups, d.adminGroup))
	}
}

// openHTTP listens on admin.http before the privileges are given up: its port may be below 1024.
func (d *daemon) openHTTP() (err error) {
	address := d.opt.Config.Admin.HTTP
	if address == "" {
		return nil
	}
	if d.web, err = api.ListenWeb(address, d.account); err != nil {
		return err
	}
	d.closers = append(d.closers, func() error { return ignoreClosed(d.web.Close()) })
	if !netip.MustParseAddrPort(address).Addr().IsLoopback() {
		d.log.Warn("admin.http is not on loopback: whoever reaches it may read it, without a password", "address", address)
	}
	return nil
}

// ignoreClosed ignores that the server of a listener has closed it already.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// checkHTTP refuses an admin.http whose conns the steering would take.
func checkHTTP(c *config.Config, compiled *table.Table) error {
	if c.Admin.HTTP == "" {
		return nil
	}
	address := netip.MustParseAddrPort(c.Admin.HTTP)
	if d := compiled.Decide(config.TCP, address, netip.Addr{}); d.Verdict != table.Pass {
		return c.Locate(config.Problems{{File: c.Path, Key: "admin.http",
			Text: fmt.Sprintf("%s lies in %s, which is served: nobody would reach it; choose another address, or a route with action = \"pass\"", address, d.Prefix)}})
	}
	return nil
}
