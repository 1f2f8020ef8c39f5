package admin

import (
	"context"
	"errors"
	"net/http"
)

// About is what commands need to know of a process before they give it an order. It does not grow with the routes.
type About struct {
	Version   string `json:"version"`
	PID       int    `json:"pid"`
	Path      string `json:"path"`       // of the file that it serves; a relative one is relative to the directory that it began in
	ProgramID uint32 `json:"program_id"` // of the steering program; 0: the kernel does not say

	Peers *PeersStatus `json:"peers,omitempty"` // if the file has peers in [fleet]
}

// About asks what the process is. One of an older version gives its whole status instead, which takes it seconds if it
// has very many routes.
func (c Client) About(ctx context.Context) (*About, error) {
	short, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	about, err := ask[About](short, c, http.MethodGet, "/about", nil)
	if !errors.Is(err, errUnknownVerb) {
		return about, err
	}
	status, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	return &About{Version: status.Version, PID: status.PID, Path: status.Config.Path, ProgramID: status.Steering.ProgramID, Peers: status.Peers}, nil
}
