package haproxy_test

import (
	"testing"

	"anyport/cmd/anyport/internal/haproxy"
	"anyport/cmd/anyport/internal/proxyconf/proxyconftest"
)

func FuzzRead(f *testing.F) { proxyconftest.Fuzz(f, "testdata/*.cfg", haproxy.Read) }
