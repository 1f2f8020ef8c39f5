package integration

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"
)

// TestQUIC runs a QUIC client and server through anyport: several connections at once,
// each with streams that are echoed and with ECN. Each continues when the client's
// address changes, as that of a phone does.
func TestQUIC(t *testing.T) { onBothPaths(t, speaksQUIC) }

func speaksQUIC(t *testing.T, r *rig) {
	r.serveQUIC(t, "10.0.0.5:443")
	r.edge.serveWith(t, `
[route.quic]
protocol = "udp"
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
ports    = [443]
origins  = ["10.0.0.5"]
`)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var clients sync.WaitGroup
	for i := range 4 {
		dst := [...]string{dstV4 + ":443", "[" + dstV6 + "]:443"}[i%2]
		clients.Go(func() {
			if err := r.talkQUIC(t, ctx, dst); err != nil {
				t.Errorf("conn %d, to %s: %v", i, dst, err)
			}
		})
	}
	clients.Wait()
}

// serveQUIC sends back what comes on any stream.
func (r *rig) serveQUIC(t *testing.T, address string) {
	t.Helper()
	listener, err := quic.Listen(r.origin.listenPacket(t, address), serverTLS(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() }) // and with it all conns
	go func() {
		for {
			conn, err := listener.Accept(context.Background())
			if err != nil {
				return
			}
			go echoStreams(conn)
		}
	}()
}

// echoStreams ends with the conn.
func echoStreams(conn *quic.Conn) {
	for {
		stream, err := conn.AcceptStream(context.Background())
		if err != nil {
			return
		}
		go func() {
			io.Copy(stream, stream)
			stream.Close()
		}()
	}
}

// talkQUIC makes one conn, uses it from one address and then from another.
func (r *rig) talkQUIC(t *testing.T, ctx context.Context, dst string) error {
	addr, err := net.ResolveUDPAddr("udp", dst)
	if err != nil {
		return err
	}
	first, second := r.client.transport(t), r.client.transport(t)
	defer first.Close()
	defer second.Close()
	var ecn ecnWitness
	conn, err := first.Dial(ctx, addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"echo"}}, ecn.config())
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer conn.CloseWithError(0, "")
	if err := echoAll(ctx, conn); err != nil {
		return fmt.Errorf("from the first address: %w", err)
	}
	if err := ecn.capable(); err != nil {
		return err
	}
	path, err := conn.AddPath(second)
	if err != nil {
		return err
	}
	if err := errors.Join(path.Probe(ctx), path.Switch()); err != nil {
		return fmt.Errorf("move to the second address: %w", err)
	}
	if err := echoAll(ctx, conn); err != nil {
		return fmt.Errorf("from the second address: %w", err)
	}
	return nil
}

func (h *host) transport(t *testing.T) *quic.Transport {
	return &quic.Transport{Conn: h.listenPacket(t, ":0")}
}

// echoAll sends some streams at once and compares what comes back.
func echoAll(ctx context.Context, conn *quic.Conn) error {
	faults := make([]error, 4)
	var streams sync.WaitGroup
	for i := range faults {
		streams.Go(func() { faults[i] = echoOne(ctx, conn, byte(i)) })
	}
	streams.Wait()
	return errors.Join(faults...)
}

func echoOne(ctx context.Context, conn *quic.Conn, seed byte) error {
	size := soak(1<<18, 1<<24)
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	sent, arrived := sha256.New(), sha256.New()
	var sender sync.WaitGroup
	var sending error
	sender.Go(func() {
		sending = errors.Join(send(io.MultiWriter(stream, sent), size, seed), stream.Close())
	})
	n, err := io.Copy(arrived, stream)
	sender.Wait()
	if err := errors.Join(err, sending); err != nil {
		return err
	}
	return check(fmt.Sprintf("%d %x", n, arrived.Sum(nil)), fmt.Sprintf("%d %x", size, sent.Sum(nil)))
}

// serverTLS has a certificate that nobody but this test trusts.
func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}},
		NextProtos:   []string{"echo"},
	}
}
