package daemon

import "anyport/proxy/udp"

// openFastPath joins the proxy, which decides which flows the kernel may forward, and the steering, which
// tells the kernel. The flows of a process that was killed go on in this one, as after a death in a trial; a process that
// still lives, in an upgrade, hands its flows over itself.
func (d *daemon) openFastPath() {
	kernel := d.steering.FastPath()
	var left udp.FastLeft
	if d.before == nil || d.opt.heirOf != nil {
		found, err := kernel.Adopt()
		if err != nil {
			d.log.Warn("the flows that the kernel forwards are not known", "error", err)
		}
		left = found
	}
	d.proxy.UseFastPath(kernel, left)
}
