package etcd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/grpclog"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/access"
)

// The times of a client. An endpoint that says nothing is given up after keepAliveTime and
// keepAliveTimeout together, and another one is asked.
const (
	callTimeout      = 5 * time.Second
	keepAliveTime    = 10 * time.Second // etcd ends a client that pings more often than each 5 s
	keepAliveTimeout = 5 * time.Second
	redialMost       = 3 * time.Second // gRPC would wait up to 2 minutes
)

// defaultPort is etcd's for clients.
const defaultPort = "2379"

// Store is a fleet.Store in an etcd.
type Store struct {
	client *clientv3.Client
	prefix string // ends with a slash
}

var _ fleet.Store = (*Store)(nil)

// quiet keeps gRPC from writing to stderr, which is the log's.
var quiet = sync.OnceFunc(func() {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
})

// Open makes a client of the etcd of a source's URL, "etcd://HOST:PORT,HOST:PORT/PREFIX". It asks the
// server only for a token, if a has a user; an etcd that is away shows in the first call otherwise.
func Open(source string, a access.Access) (*Store, error) {
	endpoints, prefix, err := parse(source, a.TLS != nil)
	if err != nil {
		return nil, err
	}
	quiet()
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		DialTimeout:          callTimeout,
		DialKeepAliveTime:    keepAliveTime,
		DialKeepAliveTimeout: keepAliveTimeout,
		TLS:                  a.TLS,
		Username:             a.User,
		Password:             a.Password,
		Logger:               zap.NewNop(), // what matters is an error of a call, which the caller logs
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: redialMost},
			MinConnectTimeout: redialMost,
		})},
	})
	if err != nil {
		return nil, explain(endpoints, err)
	}
	return &Store{client, prefix}, nil
}

// parse returns the endpoints of a URL, with their scheme and port, and the prefix of its keys.
func parse(source string, secure bool) (endpoints []string, prefix string, err error) {
	rest, ok := strings.CutPrefix(source, "etcd://")
	hosts, path, _ := strings.Cut(rest, "/")
	path = strings.Trim(path, "/")
	if !ok || hosts == "" || path == "" {
		return nil, "", fmt.Errorf("%q does not have the form etcd://HOST:PORT/PREFIX", source)
	}
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), defaultPort)
		}
		endpoints = append(endpoints, scheme+host)
	}
	return endpoints, "/" + path + "/", nil
}

// Close ends all calls and watches. Leases end by themselves, after their time.
func (s *Store) Close() error { return s.client.Close() }

// call bounds a call, which would wait for a server without end.
func call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, callTimeout)
}

// list reads the values of keys with a prefix.
func (s *Store) list(ctx context.Context, prefix string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := call(ctx)
	defer cancel()
	r, err := s.client.Get(ctx, s.prefix+prefix, append(opts, clientv3.WithPrefix())...)
	return r, s.explain(err)
}

// encode is a value of a key.
func encode(value any) (string, error) {
	text, err := json.Marshal(value)
	return string(text), err
}
