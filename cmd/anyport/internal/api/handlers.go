package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
)

// socketHandler answers on the admin socket. An answer is one JSON object; a refusal is its reason
// as text, with status 403 if the peer may not ask and 409 if it cannot be done.
func (a *API) socketHandler() http.Handler {
	mux := http.NewServeMux()
	for _, v := range verbs {
		mux.HandleFunc(v.pattern, a.allowed(v, func(w http.ResponseWriter, r *http.Request) { v.answer(a, w, r) }))
	}
	return mux
}

func (a *API) status(w http.ResponseWriter, _ *http.Request) { a.write(w, a.service.Status(), nil) }

func (a *API) about(*http.Request) (admin.About, error) { return a.service.About(), nil }

func (a *API) drift(*http.Request) (admin.Drift, error) { return a.service.Drift() }

func (a *API) sysdump(*http.Request) (admin.Sysdump, error) { return a.service.Sysdump() }

func (a *API) drain(r *http.Request) (admin.Drained, error) {
	return a.service.Drain(r.Context(), admin.DrainOrder{Route: r.FormValue("route"), Undo: isSet(r, "undo"), Wait: isSet(r, "wait"), Force: isSet(r, "force")})
}

func (a *API) confirm(r *http.Request) (admin.Confirmed, error) {
	return a.service.Confirm(r.Context())
}

// reload orders what admin.Client.Reload, Share or EndShare has written.
func (a *API) reload(r *http.Request) (admin.Reloaded, error) {
	share, end := r.FormValue("share"), admin.TrialEnd(r.FormValue("end"))
	switch {
	case share != "" && end == "" && !isSet(r, "dry_run"):
		percent, err := parseShare(share)
		if err != nil {
			return admin.Reloaded{}, err
		}
		return a.service.Share(r.Context(), percent)
	case share == "" && !isSet(r, "dry_run") && (end == admin.TrialAll || end == admin.TrialBack):
		return a.service.EndShare(r.Context(), end == admin.TrialAll)
	case share != "" || end != "":
		return admin.Reloaded{}, errors.New("one of share, end=all, end=back and dry_run")
	}
	files, err := takeFiles(r)
	if err != nil {
		return admin.Reloaded{}, err
	}
	defer files.close()
	return a.service.Reload(r.Context(), isSet(r, "dry_run"), files)
}

// parseShare reads a percentage of the clients.
func parseShare(text string) (float64, error) {
	percent, err := strconv.ParseFloat(text, 64)
	if err != nil || !(percent > 0 && percent < 100) {
		return 0, fmt.Errorf("share: %q is not a percentage between 0 and 100", text)
	}
	return percent, nil
}

// explain asks about the packet that the request describes.
func (a *API) explain(r *http.Request) (admin.Explained, error) {
	q, err := parseQuestion(r)
	if err != nil {
		return admin.Explained{}, err
	}
	return a.service.Explain(q)
}

// upgrade orders an upgrade, with the file descriptors that came along.
func (a *API) upgrade(r *http.Request) (admin.Upgraded, error) {
	files, err := takeFiles(r)
	if err != nil {
		return admin.Upgraded{}, err
	}
	defer files.close()
	order := UpgradeOrder{Binary: r.FormValue("binary"), Root: peerOf(r).root(), Files: files, End: admin.TrialEnd(r.FormValue("end"))}
	share := r.FormValue("share")
	if order.End != "" && (order.End != admin.TrialAll && order.End != admin.TrialBack || order.Binary != "" || share != "") {
		return admin.Upgraded{}, errors.New("one of share, end=all and end=back; binary not with end")
	}
	if share != "" {
		if order.Share, err = parseShare(share); err != nil {
			return admin.Upgraded{}, err
		}
	}
	return a.service.Upgrade(r.Context(), order)
}

// origin orders what admin.Client.Origin has written.
func (a *API) origin(r *http.Request) (admin.OriginStatus, error) {
	order := admin.OriginOrder{Route: r.FormValue("route"), Address: r.FormValue("address"), State: r.FormValue("state")}
	if order.State == "" {
		weight, err := strconv.Atoi(r.FormValue("weight"))
		if err != nil || weight < 0 || weight > 65535 {
			return admin.OriginStatus{}, fmt.Errorf("weight: %q is not a number from 0 to 65535", r.FormValue("weight"))
		}
		order.Weight = weight
	}
	return a.service.Origin(r.Context(), order)
}

// portMap asks about the prefix, or the address, that the request names.
func (a *API) portMap(r *http.Request) (admin.PortMap, error) {
	protocol := config.TCP
	if text := r.FormValue("protocol"); text == config.UDP.String() {
		protocol = config.UDP
	} else if text != "" && text != protocol.String() {
		return admin.PortMap{}, errors.New("protocol must be tcp or udp")
	}
	text := r.FormValue("prefix")
	if text == "" {
		return a.service.PortMap(protocol, netip.Addr{})
	}
	address, _, _ := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return admin.PortMap{}, fmt.Errorf("prefix: %w", err)
	}
	return a.service.PortMap(protocol, addr)
}

// scans lists as many of each kind as the request says.
func (a *API) scans(r *http.Request) (admin.Scans, error) {
	limit := admin.MostScans
	if text := r.FormValue("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > admin.MostScans {
			return admin.Scans{}, fmt.Errorf("limit: %q is not a number from 1 to %d", text, admin.MostScans)
		}
	}
	return a.service.Scans(limit)
}

// parseQuestion reads what admin.Client.Explain has written.
func parseQuestion(r *http.Request) (q admin.Question, err error) {
	for _, p := range []config.Protocol{config.TCP, config.UDP} {
		if r.FormValue("protocol") == p.String() {
			q.Protocol = p
		}
	}
	if q.Protocol == 0 {
		return q, errors.New("protocol must be tcp or udp")
	}
	if q.Dst, err = netip.ParseAddrPort(r.FormValue("dst")); err != nil {
		return q, fmt.Errorf("dst: %w", err)
	}
	if text := r.FormValue("client"); text != "" {
		if q.Client, err = netip.ParseAddr(text); err != nil {
			return q, fmt.Errorf("client: %w", err)
		}
	}
	if text := r.FormValue("at"); text != "" {
		if q.At, err = time.Parse(time.RFC3339, text); err != nil {
			return q, fmt.Errorf("at: %w", err)
		}
	}
	return q, nil
}

// isSet reports whether a switch of the request is on.
func isSet(r *http.Request, name string) bool { return r.FormValue(name) == "1" }

// write writes the answer, or the reason of a refusal.
func (a *API) write(w http.ResponseWriter, value any, err error) {
	if err != nil {
		if word := admin.RefusedWord(err); word != "" {
			w.Header().Set(admin.RefusedHeader, word)
		}
		http.Error(w, config.Detail(err), http.StatusConflict)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		a.log.Debug("an answer was not read", "error", err)
	}
}
