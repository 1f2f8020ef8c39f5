package top

import (
	"context"
	"io"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

// printedFlows is how many flows a printed picture has.
const printedFlows = 50

// Print prints a picture of each of n intervals: rates are the difference of two samples, so the first one comes
// after the first interval. The end of ctx is not a failure.
func Print(ctx context.Context, client admin.Client, out io.Writer, interval time.Duration, n int) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	before := ask(ctx, client, admin.FlowFilter{})
	for shown := 0; before.err == nil; shown++ {
		if shown == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := ask(ctx, client, admin.FlowFilter{})
		if now.err == nil {
			flows := newPicture(before, now).flows
			text.SortFlows(flows, text.FlowOrders[0])
			if _, err := io.WriteString(out, text.Picture(before.Sample, now.Sample, flows[:min(len(flows), printedFlows)])); err != nil {
				return err
			}
		}
		before = now
	}
	if ctx.Err() != nil {
		return nil
	}
	return before.err
}
