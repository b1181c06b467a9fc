package natsapi

import (
	"bytes"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// allowance bounds how many commands of a kind may fail: a burst, and so many a second. A command that fails costs
// the subscription ten times what its delivery does. An endpoint that decoded every one of a flood would fall
// behind, and nats.go then drops whatever comes next without a word.
type allowance struct {
	burst, rate float64
	left        float64
	at          time.Time
}

// What cannot be a command is a mistake that nobody makes thousands of times a second. What may be one is,
// when the queue or a share is full; then the bound is what one core decodes and refuses with ease.
func garbage() allowance  { return allowance{burst: 4096, rate: 2000} }
func failures() allowance { return allowance{burst: 16384, rate: 50_000} }

func (a *allowance) open(now time.Time) bool {
	a.left = min(a.burst, a.left+a.rate*now.Sub(a.at).Seconds())
	a.at = now
	return a.left >= 1
}

// mayBe is false only of what decode would refuse. Behind a backslash may stand any name.
func (v verb) mayBe(data []byte) bool {
	return bytes.IndexByte(data, '\\') >= 0 || bytes.Contains(data, []byte(v.needs[0])) && bytes.Contains(data, []byte(v.needs[1]))
}

// shed refuses a command unread. What cannot be one gets no reply, which would cost as much as to decode it.
func (s *Service) shed(e *endpoint, r micro.Request, now time.Time, reply bool) {
	e.shed.Add(1)
	if now.Sub(e.lastShed) > time.Minute {
		s.c.Log.Warn().Str("command", e.name).Msg("more commands fail than can be replied to: some are refused unread until this ends")
	}
	e.lastShed = now
	if reply && r.Reply() != "" {
		s.logReplyError(s.c.Conn.PublishMsg(&nats.Msg{Subject: r.Reply(), Header: s.busy.Header, Data: s.busy.Data}))
	}
}
