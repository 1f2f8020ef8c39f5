package nginx_test

import (
	"testing"

	"anyport/cmd/anyport/internal/nginx"
	"anyport/cmd/anyport/internal/proxyconf/proxyconftest"
)

func FuzzRead(f *testing.F) { proxyconftest.Fuzz(f, "testdata/*.conf", nginx.Read) }
