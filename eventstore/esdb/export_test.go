package esdb

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/codes"

	sdk "github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// Class names what an error of the client means, for tests.
func Class(err error) string { return classNames()[classOf(err)] }

// ClassOfCode names what a code of the client means, for tests.
func ClassOfCode(code sdk.ErrorCode, status codes.Code, has bool) string {
	return classNames()[classOfCode(code, status, has)]
}

// ClassOfStatus names what a bare gRPC status means, for tests.
func ClassOfStatus(code codes.Code) string { return classNames()[classOfStatus(code)] }

func classNames() [unsupported + 1]string {
	return [unsupported + 1]string{
		passing: "passing", lost: "lost", moved: "moved", conflict: "conflict", missing: "missing",
		denied: "denied", deleted: "deleted", refused: "refused", unsupported: "unsupported",
	}
}

// Pause is the pause after n failures, for tests.
func (c Config) Pause(n int) int64 {
	c = c.withDefaults()
	return int64(backoff{c.RetryMin, c.RetryMax}.pause(n))
}

// GiveUpThenAsk gives a call up, then asks for its deadline as the client does before it sends, for tests.
func GiveUpThenAsk(ctx context.Context) (err error) {
	defer guard(&err)
	h := handOver{ctx, nil, new(atomic.Int32)}
	h.giveUp()
	h.Deadline()
	return nil
}
