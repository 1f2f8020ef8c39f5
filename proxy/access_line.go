package proxy

import (
	"encoding/hex"
	"io"
	"log/slog"
	"strings"

	"golang.org/x/sys/unix"

	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// accessHandler writes a line as logfmt or JSON, with neither level nor message.
func accessHandler(w io.Writer, format string) slog.Handler {
	opt := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.LevelKey || a.Key == slog.MessageKey {
			return slog.Attr{}
		}
		return a
	}}
	if format == "json" {
		return slog.NewJSONHandler(w, opt)
	}
	return slog.NewTextHandler(w, opt)
}

func accessLine(r route.Record) slog.Record {
	line := slog.NewRecord(r.Begun.Add(r.Took), slog.LevelInfo, "", 0)
	line.AddAttrs(
		slog.String("protocol", r.Protocol.String()),
		slog.String("route", r.Route),
		slog.String("client", r.Client.String()),
		slog.String("dst", r.Dst.String()),
		slog.String("origin", accessOrigin(r)),
		slog.Float64("seconds", r.Took.Seconds()),
		slog.Uint64("to_origin", r.ToOrigin),
		slog.Uint64("to_client", r.ToClient),
		slog.String("verdict", r.Verdict.String()),
	)
	if r.Error != origin.NoError {
		line.AddAttrs(slog.String("error", r.Error.String()))
	}
	if r.Errno != 0 {
		line.AddAttrs(slog.String("errno", unix.ErrnoName(r.Errno)))
	}
	if r.Peer.IsValid() {
		line.AddAttrs(slog.String("peer", r.Peer.String()))
	}
	if r.UniqueID != "" {
		line.AddAttrs(slog.String("unique_id", uniqueIDText(r.UniqueID)))
	}
	return line
}

// uniqueIDText is an id as it is, if it is printable ASCII without spaces, and otherwise in hexadecimal.
func uniqueIDText(id string) string {
	if strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return hex.EncodeToString([]byte(id))
	}
	return id
}

func accessOrigin(r route.Record) string {
	if !r.Origin.IsValid() {
		return ""
	}
	return r.Origin.String()
}
