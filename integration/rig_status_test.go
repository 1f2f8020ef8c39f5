package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"
)

// askStatus asks on an admin socket for the status.
func askStatus(socket string) ([]byte, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}, Timeout: 5 * time.Second}
	answer, err := client.Get("http://anyport/status")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var text, out bytes.Buffer
	if _, err = text.ReadFrom(answer.Body); err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(text.String())
	}
	if err != nil {
		return nil, err
	}
	err = json.Indent(&out, text.Bytes(), "", "  ")
	return out.Bytes(), err
}
