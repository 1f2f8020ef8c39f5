package peer

import (
	"cmp"
	"fmt"
	"os"
	"time"
)

// nginxStream is a package of its own on Debian: libnginx-mod-stream.
const nginxStream = "/usr/lib/nginx/modules/ngx_stream_module.so"

const nginxFile = `
load_module %s;
daemon off;
pid %s/nginx.pid;
error_log stderr warn;
worker_processes %d;
worker_rlimit_nofile %d;
events { worker_connections %d; }
stream {
  server {
    listen %s;
    proxy_pass %s:%s;
    proxy_timeout %dms;
  }
}
`

// nginx is nginx's stream module.
type nginx struct{ workers int }

// deploy starts it. It makes sockets neither transparent, as
// TPROXY asks, nor with a receive buffer beyond net.core.rmem_max, so it inherits
// them ready-made, the way it hands them over to a new binary.
//
// It asks for the dst of a conn if its listener is a wildcard one, and then has
// its port; it never learns the dst port of a datagram.
func (n nginx) deploy(d *Deployment) error {
	listen, port, prepare := d.wildcard().String(), "$server_port", d.tproxy
	count := 1
	if d.Protocol == "udp" {
		listen, port, prepare = listen+" udp reuseport", fmt.Sprint(d.Port), d.redirect
		count = n.workers
	}
	if err := prepare(); err != nil {
		return err
	}
	files, inherited, err := d.listeners(count)
	defer closeAll(files) // nginx has its own
	if err != nil {
		return err
	}
	nofile, err := raiseFiles()
	if err != nil {
		return err
	}
	text := fmt.Sprintf(nginxFile, nginxStream, d.Dir, n.workers, nofile, nofile, listen, d.originHost(), port, cmp.Or(d.Idle, time.Minute).Milliseconds())
	path, err := d.write("nginx.conf", text)
	if err != nil {
		return err
	}
	return d.start(files, []string{"NGINX=" + inherited}, "nginx", "-c", path, "-e", "stderr")
}

func (d *Deployment) listeners(count int) (files []*os.File, inherited string, err error) {
	const firstExtra = 3
	for i := range count {
		file, err := d.listener(d.wildcard(), d.Protocol == "udp")
		if err != nil {
			return files, "", err
		}
		files = append(files, file)
		inherited += fmt.Sprintf("%d;", firstExtra+i)
	}
	return files, inherited, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}
