package esdbapi

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// crowded is the pace of two subscribers.
func crowded(stopping chan struct{}) *pace {
	p := newPace(stopping)
	p.join()
	p.join()
	return p
}

// busyWith lets events come in at a rate for a while, so that the pace knows it.
func busyWith(p *pace, perSecond int) {
	for range 2 * perSecond / 10 {
		time.Sleep(time.Second / time.Duration(perSecond))
		p.count()
	}
}

// paid is how long n payments of one batch each take.
func paid(t *testing.T, p *pace, n, batch int) time.Duration {
	t.Helper()
	began := time.Now()
	for range n {
		if err := p.pay(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(began)
}

func TestNobodyWaitsWhileTheLogIsQuiet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := crowded(make(chan struct{}))
		busyWith(p, 100) // few events are quiet, too
		if took := paid(t, p, 1000, batchEvents); took != 0 {
			t.Errorf("waited for %s", took)
		}
		busyWith(p, 1000)
		time.Sleep(3 * paceWindow)
		if took := paid(t, p, 1000, batchEvents); took != 0 {
			t.Errorf("waited for %s after it was busy", took)
		}
	})
}

func TestACrowdIsHeldToItsRateWhileTheLogIsBusy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name               string
		floor              float64
		perSecond, batches int // within one window
		want               time.Duration
	}{
		{"the floor", 10_000, 1000, 5, 32 * time.Millisecond},
		{"a quarter of what comes", 10_000, 100_000, 5, 12800 * time.Microsecond},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			p := crowded(make(chan struct{}))
			p.floor = tt.floor
			busyWith(p, tt.perSecond)
			p.free = time.Now()
			took := paid(t, p, tt.batches, 64)
			if off := took - tt.want; off.Abs() > tt.want/50 {
				t.Errorf("%s: took %s, want %s", tt.name, took, tt.want)
			}
		})
	}
}

func TestOneWhoIsAloneNeverWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := crowded(make(chan struct{}))
		p.leave()
		busyWith(p, 10_000)
		if took := paid(t, p, 100, batchEvents); took != 0 {
			t.Errorf("waited for %s", took)
		}
	})
}

func TestWaitingForThePaceEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stopping := make(chan struct{})
		p := crowded(stopping)
		busyWith(p, 1000)
		cause := errors.New("the client left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		if err := p.pay(ctx, 100*paceFloor*100); !errors.Is(err, cause) {
			t.Errorf("pay answers %v", err)
		}
		busyWith(p, 1000)
		time.AfterFunc(time.Second, func() { close(stopping) })
		for range 2 { // waiting, and when it has stopped
			if err := p.pay(t.Context(), 100*paceFloor*100); status.Code(err) != codes.Unavailable {
				t.Errorf("pay answers %v", err)
			}
		}
	})
}
